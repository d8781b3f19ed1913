//! When objects were made and last changed: spread over the history, with runs of equal
//! `updated_at` as bulk updates leave them.

use rand::Rng;

use super::World;
use crate::spec::WorkspaceSpec;
use crate::store::Kind;

/// The span that a workspace's history covers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    start: i64,
    end: i64,
}

/// Creation and last change, Unix seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At {
    pub(crate) created: i64,
    pub(crate) updated: i64,
}

impl Times {
    /// Up to one hour before `now`.
    pub(crate) fn new(spec: &WorkspaceSpec, now: i64) -> Self {
        let end = now - 3601;
        Self {
            start: end - i64::from(spec.history_days.max(1)) * 86_400,
            end,
        }
    }

    /// The last moment of the history.
    pub(crate) fn end(&self) -> i64 {
        self.end
    }

    /// The times of object `number` of `total`: created in the order of the numbers.
    pub(crate) fn of(&self, world: &World, kind: Kind, number: u64, total: u64) -> At {
        let mut rng = world.rng(kind, number ^ (1 << 40));
        let span = self.end - self.start;
        let slot = span / i64::try_from(total.max(1)).unwrap_or(1).max(1);
        let place = self.start + slot * i64::try_from(number).unwrap_or(0);
        let created = (place + rng.random_range(0..=slot.max(1))).min(self.end);
        At {
            created,
            updated: self.bulk(&mut rng, created).unwrap_or_else(|| {
                let age = self.end - created;
                let share = rng.random::<f64>();
                // Most objects rest soon after they were made.
                created + scale(age, share * share * share)
            }),
        }
    }

    /// One in sixteen was last touched by a bulk update.
    fn bulk(&self, rng: &mut impl Rng, created: i64) -> Option<i64> {
        let which = rng.random_range(0..64_i64);
        let at = self.end - (self.end - self.start) * which / 12;
        (which < 4 && at >= created).then_some(at)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "seconds of a few years are exact in a double"
)]
fn scale(seconds: i64, share: f64) -> i64 {
    (seconds as f64 * share) as i64
}
