//! How many workers the fleet should have: a pure function of what was measured.
//!
//! One scheduler measures the fleet every few seconds and gives each measurement to [`PoolState::step`]. The state goes to
//! Redis with the result, so that another scheduler goes on where this one has ended.
//!
//! - *What is needed* is the work that arrives, and as much more as ends the work that waits within the drain target. What
//!   arrives is what the slots work plus what the waiting work grows by. The median of a minute is taken, so that one
//!   burst is work that waits and no load that lasts.
//! - *What the budgets feed* is the most slots that could run at once. A ticket runs in one slot, and one whose workspace has
//!   no call left is parked. So tickets that are not parked bound the slots, and so do the calls that the budgets allow.
//!   More workers would wait.
//! - *Hysteresis*: a pool grows when its slots would be used by more than four fifths, and shrinks when they would be used by
//!   less than two thirds of that in the smaller pool too.

mod numbers;
mod pool;
mod sample;

pub use numbers::FleetNumbers;
pub use pool::{Bound, Decision, PoolState, Settings};
pub use sample::{Budgets, ClassReading, Sample};

/// A set of workers that are scaled together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pool {
    /// Workers that take both classes.
    All,
    /// Workers that take fresh tickets only.
    Fresh,
    /// Workers that take backfill tickets only.
    Backfill,
}

impl Pool {
    pub const ALL: [Self; 3] = [Self::All, Self::Fresh, Self::Backfill];

    /// The label `pool` of `pathbound_autoscale_desired_workers`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Fresh => "fresh",
            Self::Backfill => "backfill",
        }
    }
}

#[cfg(test)]
mod tests;
