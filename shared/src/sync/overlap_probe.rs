//! Overlap probes: the proof that a search of contacts has shown every change.
//!
//! Up to version 2.16 contact search counts in whole days of the workspace's time zone, and `>` means "from the start
//! of the next day". From 2.17 on it counts in seconds, says its documentation. If it counted in days after all, it
//! would leave out the day of its bound, and its answer would look like the answer of a quiet workspace.
//!
//! A search by seconds therefore begins a second before a few stored contacts that changed before the watermark: its
//! probes. An answer that shows one of them also shows every later change, whatever it counts in. An answer that shows
//! none proves nothing, because the probes may be deleted or the search may count in days. A search by days follows.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::intercom::Version;

/// A search shows the changes of this long before the watermark again, for clocks that differ and for changes in the
/// same second.
pub(super) const OVERLAP: TimeDelta = TimeDelta::seconds(60);
/// A search by days begins this long before the watermark. The longest day has 25 hours.
const DAY_OVERLAP: TimeDelta = TimeDelta::hours(48);
/// All probes have to be deleted at once for a poll to cost a second call.
const PROBES: usize = 5;

/// Where a search for the changes after `since` begins. `probe` is the first probe of the last walk.
pub(super) fn search_from(
    version: Version,
    since: DateTime<Utc>,
    probe: Option<DateTime<Utc>>,
) -> DateTime<Utc> {
    match probe {
        Some(probe) if version >= Version::V2_17 => probe - TimeDelta::seconds(1),
        _ => day_granular_from(since),
    }
}

/// Where a search begins that may count in days.
pub(super) fn day_granular_from(since: DateTime<Utc>) -> DateTime<Utc> {
    since - DAY_OVERLAP
}

/// The newest contacts that a walk has shown and that changed before the watermark that it leaves. In seconds since
/// 1970, newest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct OverlapProbes(Vec<i64>);

impl OverlapProbes {
    /// Adds the times of a page's contacts. `watermark` is the one that the walk leaves.
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
        self.0.truncate(PROBES);
    }

    /// The probe that changed first. A search from before it shows them all.
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
    fn the_five_newest_before_the_watermark_are_kept_in_any_page_order() {
        let mut probes = OverlapProbes::default();
        assert_eq!(probes.first(), None);
        probes.note([3, 1, 2].map(at).into_iter(), at(1_000));
        assert_eq!(probes.first(), Some(at(1)));
        probes.note(
            [900, 939, 940, 941, 2_000, 5].map(at).into_iter(),
            at(1_000),
        );
        assert_eq!(
            probes.0,
            [939, 900, 5, 3, 2].map(|second| at(second).timestamp())
        );
    }

    #[test]
    fn only_a_version_that_counts_in_seconds_searches_from_its_probe() {
        let probe = Some(at(-7_200));
        assert_eq!(search_from(Version::V2_17, at(0), probe), at(-7_201));
        assert_eq!(search_from(Version::V2_17, at(0), None), at(-172_800));
        assert_eq!(search_from(Version::V2_16, at(0), probe), at(-172_800));
    }
}
