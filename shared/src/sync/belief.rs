//! How long Intercom's refusals are doubted.
//!
//! A refusal may pass: a proxy of Intercom's own, a deploy, or a permission that is being changed. A refusal of a whole
//! stream is therefore asked about several times before it stops the stream, and once it is believed, it is checked
//! again and again, ever more rarely.

use std::time::Duration;

use crate::{backoff::Backoff, store::StreamRefusals};

/// Refusals in a row that are needed, however long they are apart.
const MIN_REFUSALS: i32 = 3;
/// A plan or a permission changes rarely, so a lasting block is checked once a day.
const LONGEST_CHECK: Duration = Duration::from_secs(24 * 60 * 60);
/// `/me` has confirmed that the token is refused, so this part of the usual time is enough.
const TOKEN_SHARE: u32 = 6;

/// How long to wait until the refusal is asked about again. `None` if it is believed.
pub(super) fn doubt(
    code: &str,
    before: &StreamRefusals,
    confirmation: Duration,
) -> Option<Duration> {
    // A refusal that stopped the stream before needs no second proof.
    if before.blocked_times > 0 {
        return None;
    }
    let repeated = before.code.as_deref() == Some(code);
    let times = 1 + if repeated { before.times } else { 0 };
    let since = before.since.filter(|_| repeated).unwrap_or(before.now);
    let lasted = (before.now - since).to_std().unwrap_or_default();
    if times >= MIN_REFUSALS && lasted >= confirmation {
        return None;
    }
    Some(Backoff::new(confirmation / 9, confirmation / 3).delay(times.unsigned_abs()))
}

/// How long a token is doubted.
pub(super) fn token_confirmation(confirmation: Duration) -> Duration {
    confirmation / TOKEN_SHARE
}

/// Until the next check of a block that was confirmed so often before.
pub(super) fn next_check(first: Duration, blocked_times: i32) -> Duration {
    Backoff::new(first, LONGEST_CHECK).delay(blocked_times.unsigned_abs() + 1)
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;

    const CONFIRMATION: Duration = Duration::from_secs(180);

    fn refused(code: &str, times: i32, seconds: i64) -> StreamRefusals {
        StreamRefusals {
            code: Some(code.to_owned()),
            since: Some(DateTime::UNIX_EPOCH),
            times,
            blocked_times: 0,
            now: DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds),
        }
    }

    #[test]
    fn a_refusal_is_believed_when_it_is_lasting_and_repeated() {
        let none = StreamRefusals {
            code: None,
            since: None,
            ..refused("plan", 0, 0)
        };
        let again = |seconds| Some(Duration::from_secs(seconds));
        for (name, before, answer) in [
            ("the first", none, again(20)),
            ("the second", refused("plan", 1, 20), again(40)),
            ("the third", refused("plan", 2, 60), again(60)),
            ("often and not long", refused("plan", 9, 179), again(60)),
            ("long and not often", refused("plan", 1, 999), again(40)),
            ("often and long", refused("plan", 4, 180), None),
            ("another than before", refused("scope", 9, 999), again(20)),
        ] {
            assert_eq!(doubt("plan", &before, CONFIRMATION), answer, "{name}");
        }
    }

    #[test]
    fn all_questions_fit_into_the_time_and_few_more() {
        let (mut at, mut times) = (0, 0);
        while let Some(wait) = doubt("plan", &refused("plan", times, at), CONFIRMATION) {
            at += i64::try_from(wait.as_secs()).unwrap();
            times += 1;
        }
        assert_eq!((times + 1, at), (5, 180));
    }

    #[test]
    fn a_block_is_checked_ever_more_rarely() {
        let first = Duration::from_secs(300);
        let hours = |times| next_check(first, times).as_secs_f64() / 3600.0;
        assert_eq!(next_check(first, 0), first);
        assert_eq!(next_check(first, 1), 2 * first);
        assert!((hours(8) - 21.33).abs() < 0.01 && (hours(9) - 24.0).abs() < f64::EPSILON);
        let blocked = StreamRefusals {
            blocked_times: 1,
            ..refused("other", 0, 0)
        };
        assert_eq!(doubt("plan", &blocked, CONFIRMATION), None);
    }
}
