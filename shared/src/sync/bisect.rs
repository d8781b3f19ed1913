//! Finds the one record that makes a search fail, so that only this record is quarantined and not its page.
//!
//! A search that answers 404 or 5xx because of one record does so for every page that would hold it. The record's
//! place is found first, by requesting fewer records: it is the next record when a page of one fails. Its time is found
//! second. No record lies between the last one read and the failing one, newest first. "Older than T" therefore fails
//! for every T above its second, and works from its second on.

use serde::{Deserialize, Serialize};

/// What is known of the failing record. Times are seconds since 1970, as Intercom counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Bisect {
    /// It is among the next `span` records.
    Among { span: usize },
    /// It is the next record, and older than `failing`. `step` seconds before that is tried next.
    Below { failing: i64, step: i64 },
    /// "Older than `working`" works, "older than `failing`" does not.
    Between { working: i64, failing: i64 },
    /// It changed last in this second, if the next record still fails. The failure may have been an outage that has
    /// ended meanwhile.
    StillFails { second: i64 },
    /// It changed last in this second, if "older than `second`" still works. An outage may have begun meanwhile.
    StillWorks { second: i64 },
}

/// The result of one more call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    NotYet(Bisect),
    /// Everything works again, or nothing does. No record is the cause.
    Nothing,
    /// The failing record changed last in this second.
    At(i64),
}

impl Bisect {
    /// After a page of this many records has failed.
    pub(super) const fn begin(span: usize) -> Self {
        Self::Among { span }
    }

    /// The number of records to request next.
    pub(super) const fn per_page(&self) -> usize {
        if let Self::Among { span } = self {
            span.div_ceil(2)
        } else {
            1
        }
    }

    /// The time to try next. `None` requests the next records instead.
    pub(super) const fn probe(&self) -> Option<i64> {
        match self {
            Self::Among { .. } | Self::StillFails { .. } => None,
            Self::Below { failing, step } => Some(*failing - *step),
            Self::Between { working, failing } => Some(*working + (*failing - *working) / 2),
            Self::StillWorks { second } => Some(*second),
        }
    }

    /// After a call that worked.
    pub(super) fn worked(self) -> Found {
        let asked = self.per_page();
        let probed = self.probe().unwrap_or_default();
        match self {
            Self::Among { span } if span <= asked => Found::Nothing,
            Self::Among { span } => Found::NotYet(Self::Among { span: span - asked }),
            Self::Below { failing, .. } | Self::Between { failing, .. } => {
                narrowed(probed, failing)
            }
            Self::StillFails { .. } => Found::Nothing,
            Self::StillWorks { second } => Found::At(second),
        }
    }

    /// After a call that failed. Everything from `reached` on, in seconds, has been read.
    pub(super) fn failed(self, reached: i64) -> Found {
        let asked = self.per_page();
        let probed = self.probe().unwrap_or_default();
        match self {
            // The failing record may have changed in the same second as the last one read.
            Self::Among { .. } if asked == 1 => Found::NotYet(Self::Below {
                failing: reached + 1,
                step: 1,
            }),
            Self::Among { .. } => Found::NotYet(Self::Among { span: asked }),
            Self::Below { step, .. } => Found::NotYet(Self::Below {
                failing: probed,
                step: step * 2,
            }),
            Self::Between { working, .. } => narrowed(working, probed),
            Self::StillFails { second } => Found::NotYet(Self::StillWorks { second }),
            Self::StillWorks { .. } => Found::Nothing,
        }
    }
}

fn narrowed(working: i64, failing: i64) -> Found {
    Found::NotYet(if failing - working <= 1 {
        Bisect::StillFails { second: working }
    } else {
        Bisect::Between { working, failing }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intercom::PAGE;

    /// Searches as the walk does until the bad record is found. Returns its second and the number of calls.
    fn search(times: &[i64], bad: usize) -> (i64, usize) {
        let (mut at, mut calls, mut bisect) = (0, 0, Bisect::begin(PAGE));
        loop {
            calls += 1;
            let worked = match bisect.probe() {
                Some(before) => times.iter().position(|time| *time < before) != Some(bad),
                None => !(at..at + bisect.per_page()).contains(&bad),
            };
            let reached = if at == 0 {
                times[0] + 1_000
            } else {
                times[at - 1]
            };
            let found = if worked {
                at += if bisect.probe().is_none() {
                    bisect.per_page()
                } else {
                    0
                };
                bisect.worked()
            } else {
                bisect.failed(reached)
            };
            match found {
                Found::NotYet(next) => bisect = next,
                Found::At(second) => return (second, calls),
                Found::Nothing => panic!("the bad record was passed"),
            }
            assert!(calls < 100);
        }
    }

    #[test]
    fn every_place_is_found_to_the_second_in_few_calls() {
        let times: Vec<i64> = (0..200).map(|n| 1_700_000_000 - n * 977).collect();
        for bad in 0..PAGE {
            let (second, calls) = search(&times, bad);
            assert_eq!(second, times[bad], "record {bad}");
            assert!(calls <= 42, "{calls} calls for record {bad}");
        }
    }

    #[test]
    fn it_may_share_its_second_with_the_one_before() {
        let times: Vec<i64> = (0..200).map(|n| 1_700_000_000 - n / 2 * 60).collect();
        for bad in 1..PAGE {
            // By time, only the first record of a second differs from the others of it.
            let (second, _) = search(&times, bad);
            assert_eq!(second, times[bad], "record {bad}");
        }
    }

    #[test]
    fn an_outage_that_ends_in_the_middle_is_not_taken_for_a_record() {
        for failures in 1..60 {
            let (mut calls, mut bisect) = (0, Bisect::begin(PAGE));
            let found = loop {
                calls += 1;
                let found = if calls <= failures {
                    bisect.failed(1_700_000_000)
                } else {
                    bisect.worked()
                };
                match found {
                    Found::NotYet(next) => bisect = next,
                    found => break found,
                }
                if bisect.probe().is_some_and(|before| before <= 0) {
                    break Found::Nothing;
                }
            };
            assert_eq!(found, Found::Nothing, "after {failures} failures");
        }
    }

    #[test]
    fn a_page_that_works_again_ends_the_search() {
        let mut bisect = Bisect::begin(PAGE);
        let mut read = 0;
        loop {
            read += bisect.per_page();
            match bisect.worked() {
                Found::NotYet(next) => bisect = next,
                found => return assert_eq!((found, read), (Found::Nothing, PAGE)),
            }
        }
    }
}
