//! The decision for one pool, and what it remembers between two measurements.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Sample;

/// Measurements that are remembered: about a minute.
const REMEMBERED: usize = 7;
/// Without so many measurements nothing is decided, because a first look at a busy fleet says little.
const NEEDED: usize = 3;
/// What could run is averaged over so many measurements: two rate windows or more, because tickets are parked until the next
/// one begins.
const RECENT: usize = 3;
/// A pool grows if its slots would be used by more than this.
const GROWS_ABOVE: f64 = 0.8;
/// It shrinks to what would be used by no more than this.
const SHRINKS_TO: f64 = 0.6;

/// What an operator has configured for a pool.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Slices that one worker runs at once.
    pub slots: u32,
    pub min_workers: u32,
    pub max_workers: u32,
}

/// What keeps the number of workers where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// The work that is due.
    Work,
    /// Rate budgets: more workers would have nothing to run.
    RateBudgets,
    /// The configured minimum.
    Minimum,
    /// The configured maximum. More workers would help.
    Maximum,
}

impl Bound {
    pub const ALL: [Self; 4] = [Self::Work, Self::RateBudgets, Self::Minimum, Self::Maximum];

    /// The label `bound` of `pathbound_autoscale_pool_bound`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Work => "work",
            Self::RateBudgets => "rate_budgets",
            Self::Minimum => "minimum",
            Self::Maximum => "maximum",
        }
    }

    /// The same for people, behind the number.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Work => "as many as the due work needs",
            Self::RateBudgets => "limited by rate budgets",
            Self::Minimum => "the configured minimum",
            Self::Maximum => "limited by autoscale_max_workers",
        }
    }
}

/// How many workers a pool should have, and why.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    pub workers: u32,
    pub bound: Bound,
    /// Slots that the work needs.
    pub needed_slots: f64,
    /// Slots that could run something at once.
    pub fed_slots: f64,
}

/// The last measurements of a pool, and its last number of workers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PoolState {
    samples: VecDeque<Sample>,
    workers: Option<u32>,
}

impl PoolState {
    /// Takes a measurement in and decides. `None` while too few were taken, and then the pool should stay as it is.
    pub fn step(&mut self, sample: Sample, settings: &Settings) -> Option<Decision> {
        self.samples.push_back(sample);
        while self.samples.len() > REMEMBERED {
            self.samples.pop_front();
        }
        if self.samples.len() < NEEDED {
            return None;
        }
        let decision = self.decide(settings);
        self.workers = Some(decision.workers);
        Some(decision)
    }

    fn decide(&self, settings: &Settings) -> Decision {
        let needed_slots = self.load() + self.samples.back().map_or(0.0, |last| last.drain_slots);
        let slots = f64::from(settings.slots.max(1));
        let fed_slots = self.fed_slots(slots);
        let for_work = self.with_hysteresis(needed_slots, slots);
        let fed = whole(fed_slots / slots);
        let (workers, bound) = if for_work > fed {
            (fed, Bound::RateBudgets)
        } else {
            (for_work, Bound::Work)
        };
        let max_workers = settings.max_workers.max(settings.min_workers);
        let (workers, bound) = if workers > max_workers {
            (max_workers, Bound::Maximum)
        } else if workers < settings.min_workers {
            // What is idle because of its budgets is still said to be bound by them.
            let bound = match bound {
                Bound::RateBudgets if needed_slots > f64::from(settings.min_workers) * slots => {
                    bound
                }
                _ => Bound::Minimum,
            };
            (settings.min_workers, bound)
        } else {
            (workers, bound)
        };
        Decision {
            workers,
            bound,
            needed_slots,
            fed_slots,
        }
    }

    /// The number of workers whose slots are used neither too much nor too little. The one before stays if it is among them.
    fn with_hysteresis(&self, needed_slots: f64, slots: f64) -> u32 {
        let least = whole(needed_slots / (slots * GROWS_ABOVE));
        let largest = whole(needed_slots / (slots * SHRINKS_TO));
        match self.workers {
            Some(before) => before.clamp(least, largest),
            None => least,
        }
    }

    /// Slots that the arriving work takes: the median of what each measurement says.
    fn load(&self) -> f64 {
        let mut arrived: Vec<f64> = self
            .samples
            .iter()
            .zip(self.samples.iter().skip(1))
            .map(|(before, after)| {
                let growth = after.waiting_seconds - before.waiting_seconds;
                (after.running + growth / after.seconds.max(0.1)).max(0.0)
            })
            .collect();
        arrived.sort_by(f64::total_cmp);
        arrived.get(arrived.len() / 2).copied().unwrap_or_default()
    }

    /// Slots that could run at once, as the tickets and the budgets of the last measurements say. While no budget is known,
    /// the pool does not grow, because a few calls tell what they allow.
    fn fed_slots(&self, slots: f64) -> f64 {
        let recent: Vec<&Sample> = self.samples.iter().rev().take(RECENT).collect();
        let runnable = mean(recent.iter().map(|sample| sample.runnable));
        let known: Vec<f64> = recent
            .iter()
            .filter_map(|sample| sample.fed_slots)
            .collect();
        let budgets = if known.is_empty() {
            let running = recent.first().map_or(0.0, |last| last.running);
            running.max(self.workers.map_or(0.0, f64::from) * slots)
        } else {
            mean(known.into_iter())
        };
        runnable.min(budgets)
    }
}

fn mean(numbers: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = numbers.len().max(1) as f64;
    numbers.sum::<f64>() / count
}

/// The whole number from this one up. No fleet has more workers than the largest.
fn whole(workers: f64) -> u32 {
    // A hair above a whole number is an error of arithmetic.
    (workers - 1e-9).ceil().clamp(0.0, f64::from(u32::MAX)) as u32
}
