//! The depth and the age of the queue, for operators and gauges.

use std::time::Duration;

use super::{Queue, QueueError};
use crate::domain::Class;

/// How many tickets there are, by state, and how old they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// Every live ticket.
    pub live: u64,
    /// Tenants with a fresh ticket that could be leased now.
    pub fresh_tenants: u64,
    /// Tenants with a backfill ticket that could be leased now.
    pub backfill_tenants: u64,
    pub parked: u64,
    pub leased: u64,
    /// How long the oldest ready ticket has been ready. Only the first tickets of the 64 tenants at the front of
    /// the ring are looked at, so a ticket of a tenant further back may be older.
    pub oldest_fresh: Option<Duration>,
    pub oldest_backfill: Option<Duration>,
    /// Until the next parked ticket becomes ready. Zero if it is overdue.
    pub next_parked: Option<Duration>,
    /// Until the first lease expires. Zero if it has expired and was not reaped yet.
    pub next_expiry: Option<Duration>,
    pub fresh: TicketCounts,
    pub backfill: TicketCounts,
}

/// Tickets of one class, by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TicketCounts {
    /// Could be leased, unless their tenant is paused or at its cap.
    pub ready: u64,
    pub leased: u64,
    pub parked: u64,
}

/// What the script answers: tickets and tenants, times in milliseconds, tickets by class and state.
type Reply = ([u64; 5], [i64; 4], [u64; 6]);

impl Queue {
    /// The queue's depth and age. The cost is constant, however deep the queue is.
    ///
    /// # Errors
    /// If Redis fails.
    pub async fn stats(&self) -> Result<QueueStats, QueueError> {
        let (sizes, times, counts): Reply = self
            .timed("stats", |mut redis| async move {
                self.scripts()
                    .stats
                    .key(self.prefix())
                    .invoke_async(&mut redis)
                    .await
            })
            .await?;
        let [live, fresh_tenants, backfill_tenants, parked, leased] = sizes;
        // The script says -1 where there is no such ticket.
        let [oldest_fresh, oldest_backfill, next_parked, next_expiry] =
            times.map(|milliseconds| u64::try_from(milliseconds).ok().map(Duration::from_millis));
        let (fresh, backfill) = counts.split_at(3);
        Ok(QueueStats {
            live,
            fresh_tenants,
            backfill_tenants,
            parked,
            leased,
            oldest_fresh,
            oldest_backfill,
            next_parked,
            next_expiry,
            fresh: TicketCounts::read(fresh),
            backfill: TicketCounts::read(backfill),
        })
    }

    /// Sets the gauges `queue_tickets` and `queue_oldest_ready_age_seconds`. Each worker does it every ten seconds.
    ///
    /// # Errors
    /// If Redis fails. The gauges then keep their values.
    pub async fn publish_gauges(&self) -> Result<(), QueueError> {
        let stats = self.stats().await?;
        // Every worker sets the same fleet-wide numbers. A dashboard takes the maximum and not the
        // sum.
        publish_class(Class::Fresh, stats.oldest_fresh, stats.fresh);
        publish_class(Class::Backfill, stats.oldest_backfill, stats.backfill);
        Ok(())
    }
}

impl TicketCounts {
    /// From three numbers in the script's order.
    fn read(counts: &[u64]) -> Self {
        let count = |index: usize| counts.get(index).copied().unwrap_or_default();
        Self {
            ready: count(0),
            leased: count(1),
            parked: count(2),
        }
    }
}

fn publish_class(class: Class, oldest: Option<Duration>, counts: TicketCounts) {
    let class = class.as_str();
    metrics::gauge!("pathbound_queue_oldest_ready_age_seconds", "class" => class)
        .set(oldest.unwrap_or_default().as_secs_f64());
    for (state, count) in [
        ("ready", counts.ready),
        ("leased", counts.leased),
        ("parked", counts.parked),
    ] {
        metrics::gauge!("pathbound_queue_tickets", "class" => class, "state" => state)
            .set(count as f64);
    }
}
