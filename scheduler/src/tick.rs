//! One look at what is due.

use chrono::TimeDelta;
use shared::{
    queue::{PauseScope, Queue, Ticket},
    store::{Due, SchedulerStore},
};

use super::SchedulerError;

/// Rows claimed at once: bounded, so that a herd due at one moment is taken in bites.
const BITE: i32 = 1_000;

/// A due row is ticketed anew after this long, in case its ticket was lost by itself.
const AGAIN_AFTER: TimeDelta = TimeDelta::seconds(30);

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
pub async fn apply_pauses(store: &SchedulerStore, queue: &Queue) -> Result<(), SchedulerError> {
    // What is no scope was written by another hand, and pauses nothing.
    let scopes: Vec<PauseScope> = store
        .pauses()
        .await?
        .iter()
        .filter_map(|pause| pause.scope.parse().ok())
        .collect();
    Ok(queue.set_paused(&scopes).await?)
}

/// Makes tickets of what is due. When Redis was emptied since the last time, of everything that is due,
/// whether it had a ticket or not: this is the whole recovery from losing Redis.
///
/// # Errors
/// When Postgres or Redis fails; nothing is lost, the rows stay due.
pub async fn tick(store: &SchedulerStore, queue: &Queue) -> Result<Ticked, SchedulerError> {
    if !queue.is_filled().await? {
        apply_pauses(store, queue).await?;
        let tickets = refill(store, queue).await?;
        queue.mark_filled().await?;
        tracing::info!(tickets, "redis was empty: made every ticket anew");
        return Ok(Ticked {
            tickets,
            more: false,
        });
    }
    let due = store.claim_due_streams(BITE).await?;
    push(queue, &due).await?;
    // One bite a tick: a long backlog keeps its tickets, and is not written anew again and again.
    let stale = store
        .claim_stale_tickets(BITE, store.now().await? - AGAIN_AFTER)
        .await?;
    push(queue, &stale).await?;
    Ok(Ticked {
        tickets: due.len() + stale.len(),
        more: due.len() == BITE as usize,
    })
}

/// All that is due, ticketed or not, in as many bites as it needs. What becomes due meanwhile is the next tick's.
async fn refill(store: &SchedulerStore, queue: &Queue) -> Result<usize, SchedulerError> {
    let (mut tickets, mut last) = (0, None);
    loop {
        let due = store.due_streams_after(last, BITE).await?;
        push(queue, &due).await?;
        tickets += due.len();
        last = due.last().copied();
        if due.len() < BITE as usize {
            return Ok(tickets);
        }
    }
}

async fn push(queue: &Queue, due: &[Due]) -> Result<(), SchedulerError> {
    let tickets: Vec<Ticket> = due.iter().copied().map(Ticket::from).collect();
    queue.push(&tickets).await?;
    Ok(())
}
