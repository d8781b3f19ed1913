//! One look at what is due.

use std::time::Instant;

use shared::{
    queue::{PauseScope, Queue, Ticket},
    store::Store,
};

use super::SchedulerError;

/// Rows claimed at once: bounded, so that a herd due at one moment is taken in bites.
const BITE: i32 = 1_000;

/// A due row is ticketed anew after this many seconds, in case its ticket was lost by itself.
const AGAIN_AFTER_SECONDS: f64 = 30.0;

/// What a tick did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticked {
    /// Rows that were made tickets of (some may have had one).
    pub tickets: usize,
    /// A full bite: look again at once.
    pub more: bool,
}

/// Makes exactly what Postgres says is paused paused in Redis, which may have been emptied or away.
///
/// # Errors
/// When Postgres or Redis fails.
pub async fn apply_pauses(store: &Store, queue: &Queue) -> Result<(), SchedulerError> {
    // What is no scope was written by another hand, and pauses nothing.
    let scopes: Vec<PauseScope> = store.pauses().await?.iter().filter_map(|pause| pause.scope.parse().ok()).collect();
    Ok(queue.set_paused(&scopes).await?)
}

/// Makes tickets of what is due. When Redis was emptied since the last time, of everything that is due,
/// whether it had a ticket or not: this is the whole recovery from losing Redis.
///
/// # Errors
/// When Postgres or Redis fails; nothing is lost, the rows stay due.
pub async fn tick(store: &Store, queue: &Queue) -> Result<Ticked, SchedulerError> {
    let filled = queue.is_filled().await?;
    if !filled {
        apply_pauses(store, queue).await?;
    }
    let begun = Instant::now();
    let mut tickets = 0;
    loop {
        // Refilling an empty Redis takes what was ticketed before the refill began, in as many bites as it needs.
        let again_after = if filled { AGAIN_AFTER_SECONDS } else { begun.elapsed().as_secs_f64() };
        let due = store.claim_due_streams(BITE, again_after).await?;
        let full = due.len() == BITE as usize;
        tickets += due.len();
        let bite: Vec<Ticket> =
            due.into_iter().map(|(tenant, connection, stream)| Ticket::new(tenant, connection, stream)).collect();
        queue.push(&bite).await?;
        if filled {
            return Ok(Ticked { tickets, more: full });
        }
        if !full {
            queue.mark_filled().await?;
            tracing::info!(tickets, "redis was empty: made every ticket anew");
            return Ok(Ticked { tickets, more: false });
        }
    }
}
