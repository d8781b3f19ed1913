//! One tick: the due streams of this moment.

use chrono::TimeDelta;
use shared::{
    pulse::Pulse,
    queue::{PauseScope, Queue, Ticket},
    store::{Due, SchedulerStore},
};

use super::{SchedulerError, step::within};

/// The most rows of one claim, so that many streams that are due together are claimed in batches.
const BATCH_SIZE: i32 = 1_000;

/// A stream that is still due after this long gets a ticket again, because its first one may be lost.
const STALE_AFTER: TimeDelta = TimeDelta::seconds(30);

/// What a tick did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticked {
    /// Streams whose tickets were pushed. Some of them may have had a live ticket.
    pub tickets: usize,
    /// Whether the batch was full. The caller should then tick again at once.
    pub more: bool,
}

/// Copies the pauses of Postgres to Redis, which may have been emptied or away.
///
/// # Errors
/// If Postgres or Redis fails.
pub async fn apply_pauses(store: &SchedulerStore, queue: &Queue) -> Result<(), SchedulerError> {
    let mut scopes = paused_scopes(store).await?;
    loop {
        queue.set_paused(&scopes).await?;
        // A pause that was made or lifted meanwhile may have reached Redis first, and was undone there just now.
        let newer = paused_scopes(store).await?;
        if newer == scopes {
            return Ok(());
        }
        scopes = newer;
    }
}

async fn paused_scopes(store: &SchedulerStore) -> Result<Vec<PauseScope>, SchedulerError> {
    let pauses = store.pauses().await?;
    // A row that is no scope was not written by us, and it pauses nothing.
    let scopes = pauses.iter().filter_map(|pause| pause.scope.parse().ok());
    Ok(scopes.collect())
}

/// Pushes the tickets of streams that became due. If Redis was emptied since the last tick, it pushes the tickets
/// of all due streams instead. That is the whole recovery from a loss of Redis.
///
/// # Errors
/// If Postgres or Redis fails. No work is lost, because the streams stay due.
pub async fn tick(store: &SchedulerStore, queue: &Queue) -> Result<Ticked, SchedulerError> {
    tick_with(store, queue, &Pulse::default()).await
}

/// The same. The pulse beats with each step, because a refill of a large fleet takes longer than a hanging step may.
pub(crate) async fn tick_with(
    store: &SchedulerStore,
    queue: &Queue,
    pulse: &Pulse,
) -> Result<Ticked, SchedulerError> {
    if !queue.is_filled().await? {
        within(apply_pauses(store, queue)).await?;
        let tickets = refill(store, queue, pulse).await?;
        // Only after the last push, because a crash before it must start the refill anew.
        queue.mark_filled().await?;
        tracing::info!(
            tickets,
            "redis was empty, pushed the tickets of all due streams"
        );
        return Ok(Ticked {
            tickets,
            more: false,
        });
    }
    let due = within(store.claim_due_streams(BATCH_SIZE)).await?;
    push(queue, &due).await?;
    pulse.beat();
    // One batch a tick, because in a long backlog most tickets are live and pushing them again is wasted.
    let stale = async {
        let before = store.now().await? - STALE_AFTER;
        store.claim_stale_tickets(BATCH_SIZE, before).await
    };
    let stale = within(stale).await?;
    push(queue, &stale).await?;
    Ok(Ticked {
        tickets: due.len() + stale.len(),
        more: due.len() == BATCH_SIZE as usize,
    })
}

/// Pushes the tickets of all due streams, in batches. The next tick finds the streams that become due meanwhile.
async fn refill(
    store: &SchedulerStore,
    queue: &Queue,
    pulse: &Pulse,
) -> Result<usize, SchedulerError> {
    let (mut tickets, mut last) = (0, None);
    loop {
        let due = within(store.due_streams_after(last, BATCH_SIZE)).await?;
        push(queue, &due).await?;
        pulse.beat();
        tickets += due.len();
        // By key and not by offset, because rows are claimed and freed meanwhile.
        last = due.last().copied();
        if due.len() < BATCH_SIZE as usize {
            return Ok(tickets);
        }
    }
}

async fn push(queue: &Queue, due: &[Due]) -> Result<(), SchedulerError> {
    let tickets: Vec<Ticket> = due.iter().copied().map(Ticket::from).collect();
    // No limit of its own, because each of its calls has one.
    queue.push(&tickets).await?;
    Ok(())
}
