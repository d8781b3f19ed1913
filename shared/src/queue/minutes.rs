//! What the fleet did in each of the last minutes.
//!
//! The call that settles a lease counts its slice, so a slice is counted once, and what was counted outlives its worker. If
//! Redis is emptied, the numbers begin anew.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Queue, QueueError};

/// What was counted in one minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minute {
    /// When it began, by Redis' clock.
    pub at: DateTime<Utc>,
    /// Slices that ended.
    pub slices: u64,
    /// Those of them whose work could not be done.
    pub failures: u64,
    /// Calls to Intercom that they have sent.
    pub calls: u64,
    pub fresh: ClassMinute,
    pub backfill: ClassMinute,
}

/// What was counted of one class in one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassMinute {
    /// Slices that ended.
    pub slices: u64,
    /// Calls to Intercom that they have sent.
    pub calls: u64,
    /// For how long they have held their slots in all. It may be longer than a minute.
    pub held: Duration,
}

/// What the script answers of a minute: the minute, slices, failures, calls, and the numbers of both classes.
type Reply = (i64, u64, u64, u64, [u64; 6]);

impl Queue {
    /// The last minutes, the oldest first. The last one is not over yet. The cost is one read for each of them.
    ///
    /// # Errors
    /// If Redis fails.
    pub async fn minutes(&self, count: u32) -> Result<Vec<Minute>, QueueError> {
        let replies: Vec<Reply> = self
            .timed("minutes", |mut redis| async move {
                let mut call = self.scripts().minutes.key(self.prefix());
                call.arg(count).invoke_async(&mut redis).await
            })
            .await?;
        let minute = |(minute, slices, failures, calls, classes): Reply| {
            let at = DateTime::from_timestamp(minute.saturating_mul(60), 0)?;
            let (fresh, backfill) = classes.split_at(3);
            Some(Minute {
                at,
                slices,
                failures,
                calls,
                fresh: ClassMinute::read(fresh),
                backfill: ClassMinute::read(backfill),
            })
        };
        Ok(replies.into_iter().filter_map(minute).collect())
    }
}

impl ClassMinute {
    /// From three numbers in the script's order.
    fn read(numbers: &[u64]) -> Self {
        let number = |index: usize| numbers.get(index).copied().unwrap_or_default();
        Self {
            slices: number(0),
            calls: number(1),
            held: Duration::from_millis(number(2)),
        }
    }
}
