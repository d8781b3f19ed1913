//! Calendar days of a time zone: contact search up to 2.16 knows nothing finer.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone};
use chrono_tz::Tz;

/// The first second of the local day of `at`, and the first second of the next one.
pub(crate) fn bounds(tz: Tz, at: i64) -> Option<(i64, i64)> {
    let date = DateTime::from_timestamp(at, 0)?
        .with_timezone(&tz)
        .date_naive();
    Some((
        start(tz, date)?,
        start(tz, date.checked_add_days(Days::new(1))?)?,
    ))
}

/// Midnight, or the first moment after it where the clocks skip midnight.
fn start(tz: Tz, date: NaiveDate) -> Option<i64> {
    let midnight = date.and_time(NaiveTime::MIN);
    (0..=8)
        .map(|quarters| midnight + TimeDelta::minutes(15 * quarters))
        .find_map(|local| tz.from_local_datetime(&local).earliest())
        .map(|moment| moment.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(tz: Tz, at: i64) -> i64 {
        let (start, end) = bounds(tz, at).unwrap_or_default();
        assert!(start <= at && at < end);
        (end - start) / 3600
    }

    #[test]
    fn days_have_23_24_or_25_hours() {
        let tz = chrono_tz::America::Los_Angeles;
        assert_eq!(hours(tz, 1_762_070_400), 25); // 2 November 2025
        assert_eq!(hours(tz, 1_741_521_600), 23); // 9 March 2025
        assert_eq!(hours(tz, 1_750_000_000), 24);
    }

    #[test]
    fn a_day_without_midnight_starts_later() {
        // Beirut skipped 00:00 to 01:00 on 31 March 2024.
        let (start, _) = bounds(chrono_tz::Asia::Beirut, 1_711_870_000).unwrap_or_default();
        assert_eq!(start, 1_711_836_000);
    }
}
