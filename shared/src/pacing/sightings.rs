//! Whether all workspaces of the app share one bucket: Intercom does not say. What they announce shows it.
//!
//! A bucket gives each number of `Remaining` once per window. So with a bucket of its own for each workspace, two
//! that are both read meet the same numbers again and again, and with one for all they never do. One process sees
//! only some of the numbers, and would judge late or never: each tells the fleet's ledger once per window what it
//! saw, and `app.lua` judges by what all of them saw.

use std::collections::BTreeSet;

use redis::ToRedisArgs;

use super::RateLimitHeaders;

/// Of a large limit, only every so many-th number is looked at: this many numbers of a window at most.
const PLACES: u64 = 512;
/// More of one window is not told.
const MOST: usize = 512;

/// What this process has seen of one window and not yet told.
#[derive(Debug, Default)]
pub struct Sightings {
    reset: u64,
    seen: BTreeSet<Sighting>,
}

/// A workspace was told a number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Sighting {
    limit: u64,
    /// Which of the numbers that are looked at.
    place: u64,
    workspace: String,
}

/// What a process saw in one window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    reset: u64,
    sightings: BTreeSet<Sighting>,
}

impl Sightings {
    /// Takes in what the answer to a call headers that was counted (no 429). Returns what to tell the fleet now: a
    /// window that has ended.
    pub fn notice(&mut self, workspace_id: &str, headers: RateLimitHeaders) -> Option<Seen> {
        let (limit, remaining, reset) = (headers.limit?, headers.remaining?, headers.reset?);
        let ended = (reset > self.reset && !self.seen.is_empty()).then(|| Seen {
            reset: self.reset,
            sightings: std::mem::take(&mut self.seen),
        });
        self.reset = self.reset.max(reset);
        let step = limit.div_ceil(PLACES).max(1);
        // A late answer's window has been told.
        if reset == self.reset && remaining % step == 0 && self.seen.len() < MOST {
            let place = remaining / step;
            self.seen.insert(Sighting {
                limit,
                place,
                workspace: workspace_id.to_owned(),
            });
        }
        ended
    }
}

impl Seen {
    /// The script's arguments.
    #[must_use]
    pub fn arguments(&self) -> Vec<Vec<u8>> {
        let mut arguments = Vec::with_capacity(1 + 3 * self.sightings.len());
        self.reset.write_redis_args(&mut arguments);
        for Sighting {
            limit,
            place,
            workspace,
        } in &self.sightings
        {
            limit.write_redis_args(&mut arguments);
            place.write_redis_args(&mut arguments);
            workspace.write_redis_args(&mut arguments);
        }
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(limit: u64, remaining: u64, reset: u64) -> RateLimitHeaders {
        RateLimitHeaders {
            limit: Some(limit),
            remaining: Some(remaining),
            reset: Some(reset),
            ..RateLimitHeaders::default()
        }
    }

    #[test]
    fn each_window_is_told_when_it_has_ended() {
        let mut sightings = Sightings::default();
        assert_eq!(sightings.notice("a", headers(167, 166, 10)), None);
        assert_eq!(sightings.notice("b", headers(167, 166, 10)), None);
        assert_eq!(sightings.notice("b", headers(167, 165, 10)), None);
        let window = sightings.notice("a", headers(167, 166, 20)).unwrap();
        assert_eq!(
            (window.reset, window.sightings.len()),
            (10, 3),
            "both that were told 166"
        );
        assert_eq!(sightings.notice("a", headers(167, 160, 10)), None, "late");
        assert_eq!(
            sightings
                .notice("a", headers(167, 165, 30))
                .unwrap()
                .sightings
                .len(),
            1
        );
    }

    #[test]
    fn of_a_large_limit_some_numbers_are_looked_at() {
        let mut sightings = Sightings::default();
        for remaining in 0..10_000 {
            sightings.notice("a", headers(10_000, remaining, 10));
        }
        assert_eq!(sightings.seen.len(), 500);
    }

    #[test]
    fn an_answer_without_headers_is_no_sighting() {
        let mut sightings = Sightings::default();
        assert_eq!(
            sightings.notice(
                "a",
                RateLimitHeaders {
                    remaining: None,
                    ..headers(167, 1, 10)
                }
            ),
            None
        );
        assert!(sightings.seen.is_empty());
    }
}
