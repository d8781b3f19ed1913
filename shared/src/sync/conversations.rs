//! Conversation stubs: a search by `updated_at`, newest first, over everything or over what changed.
//!
//! Search is exact to the second here. The walk follows Intercom's own cursor, a keyset that survives a
//! restart; should the cursor die, the walk resumes by time, and reads the last second it had reached
//! again in full: a bulk update gives thousands of conversations one `updated_at`.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{Progress, SliceError, Sliced, slice::Slice};
use crate::{
    domain::{
        Mode, Stream,
        records::{Conversation, Poison},
    },
    intercom::{
        Order, PAGE, Read, Refusal, Search,
        wire::{self, Next, Page},
    },
    store::{Tally, WalkEnd},
};

/// `>` is exclusive or inclusive by version; a minute covers both, and same-second changes.
const OVERLAP: TimeDelta = TimeDelta::seconds(60);

/// Where a walk is.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Walk {
    mode: Mode,
    begun_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    /// Changes up to here were held when it began; `None` walks everything.
    since: Option<DateTime<Utc>>,
    after: Option<String>,
    /// Resumed by time: only what is older than this.
    before: Option<DateTime<Utc>>,
    /// The oldest `updated_at` seen, while the order held.
    reached: Option<DateTime<Utc>>,
    /// False once an answer was not sorted: then nothing may be concluded from order.
    sorted: bool,
    seen: i64,
    poisoned: i64,
}

pub(super) async fn slice(slice: &Slice<'_>) -> Result<Sliced, SliceError> {
    let mut walk = open_walk(slice).await?;
    let search = Search {
        after: walk.since.map_or(DateTime::UNIX_EPOCH, |since| since - OVERLAP),
        before: walk.before,
        order: Order::Descending,
        starting_after: walk.after.clone(),
        per_page: PAGE,
    };
    let answer = match slice.workspace.read(&Read::ConversationsSearch { search: &search }).await {
        Err(error) if walk.after.is_some() && error.refusal() == Some(&Refusal::BadRequest) => {
            return resume_by_time(slice, walk).await;
        }
        answer => answer?,
    };
    let page = Page::split(&answer.body)?;
    walk.started_at.get_or_insert(answer.at);
    walk.seen += page.items.len() as i64;
    let next = match page.next {
        Some(Next::After(after)) if Some(&after) == walk.after.as_ref() => return resume_by_time(slice, walk).await,
        Some(Next::After(after)) => Some(after),
        _ => None,
    };
    let (stubs, poisons) = read_all(&page.items);
    for stub in &stubs {
        walk.sorted &= walk.reached.is_none_or(|reached| stub.updated_at <= reached);
        walk.reached = Some(stub.updated_at);
    }
    walk.poisoned += poisons.len() as i64;
    walk.after = next;
    store(slice, walk, stubs, &poisons, page.total_count).await
}

async fn open_walk(slice: &Slice<'_>) -> Result<Walk, SliceError> {
    if let Some(walk) = slice.state.cursor.clone().and_then(|cursor| serde_json::from_value(cursor).ok()) {
        return Ok(walk);
    }
    let mut tx = slice.ctx.store.begin_fenced(slice.key).await?;
    tx.start_runs(slice.key).await?;
    tx.commit().await?;
    let since =
        slice.state.watermark.filter(|_| slice.state.mode == Mode::Incremental && slice.state.walked_at.is_some());
    Ok(Walk {
        mode: if since.is_some() { Mode::Incremental } else { slice.state.mode.max(Mode::Full) },
        begun_at: slice.state.now,
        started_at: None,
        since,
        after: None,
        before: None,
        reached: None,
        sorted: true,
        seen: 0,
        poisoned: 0,
    })
}

/// The cursor is dead. Where the order held, everything newer than the second reached is stored; that
/// second itself is read again, whole.
async fn resume_by_time(slice: &Slice<'_>, mut walk: Walk) -> Result<Sliced, SliceError> {
    let before = walk.reached.filter(|_| walk.sorted).map(|reached| reached + TimeDelta::seconds(1));
    if before.is_none() || before == walk.before {
        return Err(SliceError::StartOver("intercom no longer knows the cursor"));
    }
    walk.before = before;
    walk.after = None;
    let mut tx = slice.ctx.store.begin_fenced(slice.key).await?;
    tx.save_cursor(slice.key, &walk, Tally::default()).await?;
    tx.commit().await?;
    Ok(Progress::More.into())
}

fn read_all(items: &[&str]) -> (Vec<Conversation>, Vec<Poison>) {
    let (mut stubs, mut poisons) = (Vec::with_capacity(items.len()), Vec::new());
    for raw in items {
        match wire::read_conversation(raw) {
            wire::Read::Good(stub) => stubs.push(stub),
            wire::Read::Bad(poison) => poisons.push(poison),
        }
    }
    (stubs, poisons)
}

async fn store(
    slice: &Slice<'_>,
    walk: Walk,
    stubs: Vec<Conversation>,
    poisons: &[Poison],
    total: Option<i64>,
) -> Result<Sliced, SliceError> {
    let key = slice.key;
    let ids: Vec<String> = stubs.iter().map(|stub| stub.source_id.clone()).collect();
    let mut tx = slice.ctx.store.begin_fenced(key).await?;
    let written = tx.write_stubs(key.connection, stubs).await?;
    let quarantined = tx.quarantine(key.connection, poisons).await?;
    let healed = tx.resolve_quarantine(key.connection, "conversation", &ids).await?;
    tx.save_cursor(key, &walk, Tally { inserted: written.inserted, quarantined, healed }).await?;
    let progress = if walk.after.is_some() {
        Progress::More
    } else {
        let started_at = walk.started_at.unwrap_or(walk.begun_at);
        let rhythm = &slice.ctx.config.rhythm;
        if walk.since.is_none() {
            tx.forget_quarantine(key.connection, "conversation", walk.begun_at).await?;
        }
        tx.end_walk(
            key,
            &WalkEnd {
                mode: walk.mode,
                begun_at: walk.begun_at,
                watermark: Some(started_at - TimeDelta::from_std(rhythm.index_lag).unwrap_or_default()),
                full: walk.since.is_none(),
                // A walk resumed by time counted some twice; its total says nothing.
                missing: total
                    .filter(|_| walk.before.is_none())
                    .map(|total| (total - walk.seen).max(0) + walk.poisoned),
                next_in_seconds: Slice::every(rhythm.sync),
            },
        )
        .await?;
        Progress::Done
    };
    // Last, since it locks another stream's row: every writer takes the two in this order.
    tx.make_due(key.connection, Stream::Threads).await?;
    tx.commit().await?;
    written.count(Stream::Conversations);
    Ok(Sliced { progress, made_due: vec![Stream::Threads] })
}
