//! What one measurement says of a pool, in slots and in seconds of slots.

use serde::{Deserialize, Serialize};

/// A slice of a class that has not run yet takes so long. It is used until slices were counted.
const FIRST_SLICE_SECONDS: f64 = 1.0;
/// The same for one call of backfill.
const FIRST_CALL_SECONDS: f64 = 0.05;

/// What was read of one class.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClassReading {
    /// Tickets that a worker could lease now.
    pub ready: f64,
    pub leased: f64,
    /// Tickets that wait for a time, such as the next rate window.
    pub parked: f64,
    /// Of the last minutes: slices that ended, their calls, and the seconds for which they held their slots.
    pub slices: f64,
    pub calls: f64,
    pub held_seconds: f64,
    /// Calls that Postgres knows to be outstanding. `None` if only tickets tell.
    pub outstanding_calls: Option<f64>,
}

/// What the rate budgets allowed in the last windows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Budgets {
    /// Budgets that the fleet has called with.
    pub budgets: f64,
    /// Calls a second that they allow together.
    pub calls_per_second: f64,
}

/// One measurement of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Since the measurement before.
    pub seconds: f64,
    /// Slots that run slices.
    pub running: f64,
    /// Tickets that run or could run now.
    pub runnable: f64,
    /// Seconds of slots that the waiting work takes.
    pub waiting_seconds: f64,
    /// Slots that end the waiting work within its drain target.
    pub drain_slots: f64,
    /// Slots whose calls the budgets allow. `None` if no budget is known.
    pub fed_slots: Option<f64>,
}

impl Sample {
    /// The measurement of a class, so many seconds after the one before. What waits should have ended after
    /// `drain_seconds`.
    #[must_use]
    pub fn of(class: &ClassReading, budgets: Budgets, seconds: f64, drain_seconds: f64) -> Self {
        let slice_seconds = ratio(class.held_seconds, class.slices).unwrap_or(FIRST_SLICE_SECONDS);
        let call_seconds = ratio(class.held_seconds, class.calls);
        // A thread is one call, and a ticket of threads stands for many.
        let waiting_seconds = match class.outstanding_calls {
            Some(calls) => calls * call_seconds.unwrap_or(FIRST_CALL_SECONDS),
            None => class.ready * slice_seconds,
        };
        let tickets = class.ready + class.leased + class.parked;
        let each = ratio(budgets.calls_per_second, budgets.budgets);
        let fed_slots = each
            .zip(call_seconds)
            .map(|(calls_per_second, call_seconds)| tickets * calls_per_second * call_seconds);
        Self {
            seconds,
            running: class.leased,
            runnable: class.ready + class.leased,
            waiting_seconds,
            drain_slots: waiting_seconds / drain_seconds.max(1.0),
            fed_slots,
        }
    }

    /// The measurement of a pool that takes both classes.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let fed_slots = match (self.fed_slots, other.fed_slots) {
            // What is not known bounds nothing.
            (Some(one), Some(two)) => Some(one + two),
            _ => None,
        };
        Self {
            seconds: self.seconds,
            running: self.running + other.running,
            runnable: self.runnable + other.runnable,
            waiting_seconds: self.waiting_seconds + other.waiting_seconds,
            drain_slots: self.drain_slots + other.drain_slots,
            fed_slots,
        }
    }
}

fn ratio(sum: f64, of: f64) -> Option<f64> {
    (of > 0.0 && sum > 0.0).then(|| sum / of)
}
