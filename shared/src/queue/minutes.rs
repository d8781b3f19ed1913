//! What the fleet did in each of the last minutes.
//!
//! The call that settles a lease counts its slice, so a slice is counted once, and what was counted outlives its worker. If
//! Redis is emptied, the numbers begin anew.

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
}

impl Queue {
    /// The last minutes, the oldest first. The last one is not over yet. The cost is one read for each of them.
    ///
    /// # Errors
    /// If Redis fails.
    pub async fn minutes(&self, count: u32) -> Result<Vec<Minute>, QueueError> {
        let replies: Vec<(i64, u64, u64, u64)> = self
            .timed("minutes", |mut redis| async move {
                let mut call = self.scripts().minutes.key(self.prefix());
                call.arg(count).invoke_async(&mut redis).await
            })
            .await?;
        let minute = |(minute, slices, failures, calls): (i64, u64, u64, u64)| {
            let at = DateTime::from_timestamp(minute.saturating_mul(60), 0)?;
            Some(Minute {
                at,
                slices,
                failures,
                calls,
            })
        };
        Ok(replies.into_iter().filter_map(minute).collect())
    }
}
