//! Witnesses: why a search of contacts is known to have shown every change.
//!
//! Up to version 2.16 contact search counts in whole days of the workspace's time zone, and `>` means "from the start
//! of the next day". From 2.17 on it counts in seconds, says its text; but a search that counted in days after all
//! would just show nothing of its bound's day, like a quiet workspace. So a search by seconds begins a second before
//! a few contacts that changed before the watermark and are held: its witnesses. An answer that shows one of them shows
//! everything that changed later too, whatever it counts in. One that shows none proves nothing (they have ended,
//! or it counts in days), and is followed by a search by days.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::intercom::Version;

/// A search shows the changes of this long before the watermark again, for clocks that differ and for changes in the
/// same second.
pub(super) const OVERLAP: TimeDelta = TimeDelta::seconds(60);
/// A search by days needs this much more than the watermark: the longest day is 25 hours.
const DAYWISE: TimeDelta = TimeDelta::hours(48);
/// So many have to end at once for a poll to cost a second call.
const WITNESSES: usize = 5;

/// Where a search for what changed after `since` begins, by what a witness of the last walk allows.
pub(super) fn search_from(
    version: Version,
    since: DateTime<Utc>,
    witness: Option<DateTime<Utc>>,
) -> DateTime<Utc> {
    match witness {
        Some(witness) if version >= Version::V2_17 => witness - TimeDelta::seconds(1),
        _ => by_days(since),
    }
}

/// Where it begins when nothing but whole days is to be relied on.
pub(super) fn by_days(since: DateTime<Utc>) -> DateTime<Utc> {
    since - DAYWISE
}

/// The newest contacts that a walk has shown and that had changed before the next one's watermark, newest first, as
/// seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Witnesses(Vec<i64>);

impl Witnesses {
    /// Takes in what a page has shown; `watermark` is what the walk will leave.
    pub(super) fn note(
        &mut self,
        changed: impl Iterator<Item = DateTime<Utc>>,
        watermark: DateTime<Utc>,
    ) {
        self.0.extend(
            changed
                .filter(|at| *at < watermark - OVERLAP)
                .map(|at| at.timestamp()),
        );
        self.0.sort_unstable_by(|one, other| other.cmp(one));
        self.0.truncate(WITNESSES);
    }

    /// The one that changed first: a search from before it shows them all.
    pub(super) fn first(&self) -> Option<DateTime<Utc>> {
        self.0
            .last()
            .and_then(|at| DateTime::from_timestamp(*at, 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_780_000_000 + second, 0).expect("a time")
    }

    #[test]
    fn the_five_newest_from_before_the_watermark_are_kept_whatever_the_order_of_pages() {
        let mut witnesses = Witnesses::default();
        assert_eq!(witnesses.first(), None);
        witnesses.note([3, 1, 2].map(at).into_iter(), at(1_000));
        assert_eq!(witnesses.first(), Some(at(1)));
        witnesses.note(
            [900, 939, 940, 941, 2_000, 5].map(at).into_iter(),
            at(1_000),
        );
        assert_eq!(
            witnesses.0,
            [939, 900, 5, 3, 2].map(|second| at(second).timestamp())
        );
    }

    #[test]
    fn only_a_version_that_counts_in_seconds_is_asked_by_its_witnesses() {
        let witness = Some(at(-7_200));
        assert_eq!(search_from(Version::V2_17, at(0), witness), at(-7_201));
        assert_eq!(search_from(Version::V2_17, at(0), None), at(-172_800));
        assert_eq!(search_from(Version::V2_16, at(0), witness), at(-172_800));
    }
}
