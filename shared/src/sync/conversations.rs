//! Conversation stubs: a search by `updated_at`, newest first, over everything or over what changed.
//!
//! Search is exact to the second here. The walk follows Intercom's own cursor, a keyset that survives a
//! restart; should the cursor die, the walk resumes by time, and reads the last second it had reached
//! again in full: a bulk update gives thousands of conversations one `updated_at`.
//!
//! A full walk notes who is held and was not shown; who is absent from two of them is asked for by its thread.
//!
//! Should a page fail again and again, the record that it fails for is found, quarantined and stepped over.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{
    SliceError, SliceOutcome,
    bisect::{Bisect, Found},
    future_dated,
    page_size::{PageSize, oversized},
    slice::SliceContext,
};
use crate::{
    domain::{
        Mode, Stream, Verdict,
        records::{Conversation, Poison},
    },
    intercom::{
        Endpoint, Error, Order, Refusal, Search,
        wire::{self, Next, Page},
    },
    store::{Tally, WalkEnd},
};

/// `>` is exclusive or inclusive by version; a minute covers both, and same-second changes.
const OVERLAP: TimeDelta = TimeDelta::seconds(60);

/// A server error this often in a row may be one record's. A 404 never passes, and counts at once.
const ATTEMPTS: i32 = 3;

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
    /// Under way when a page keeps failing.
    #[serde(default)]
    bisect: Option<Bisect>,
    #[serde(default)]
    page_size: PageSize,
}

#[tracing::instrument(name = "conversations", skip_all)]
pub async fn run(cx: &SliceContext<'_>) -> Result<SliceOutcome, SliceError> {
    let mut walk = open_walk(cx).await?;
    if let Some(before) = walk.bisect.as_ref().and_then(Bisect::probe) {
        return probe(cx, walk, before).await;
    }
    let search = Search {
        after: walk.after_time(),
        before: walk.before,
        order: Order::Descending,
        starting_after: walk.after.clone(),
        per_page: walk
            .bisect
            .as_ref()
            .map_or(walk.page_size.records(), Bisect::per_page),
    };
    let answer = match cx
        .workspace
        .read(&Endpoint::ConversationsSearch { search: &search })
        .await
    {
        Err(Error::TooLarge(_)) if walk.page_size.shrink() => {
            // What is looked for is on a smaller page, or begins to fail there.
            walk.bisect = None;
            cx.save_place(&walk).await?;
            return Ok(Verdict::Requeue.into());
        }
        Err(error) if walk.after.is_some() && error.refusal() == Some(&Refusal::BadRequest) => {
            walk.page_size.refused();
            return resume_by_time(cx, walk).await;
        }
        Err(error)
            if is_of_the_page(&error) && (walk.bisect.is_some() || keeps_failing(cx, &error)) =>
        {
            return narrow(cx, walk, error).await;
        }
        answer => answer?,
    };
    let page = Page::split(&answer.body)?;
    walk.started_at.get_or_insert(answer.at);
    walk.seen += page.items.len() as i64;
    let next = match page.next {
        Some(Next::After(after)) if Some(&after) == walk.after.as_ref() => {
            return resume_by_time(cx, walk).await;
        }
        Some(Next::After(after)) => Some(after),
        _ => None,
    };
    let (stubs, poisons) = if answer.is_outline {
        (Vec::new(), vec![oversized("conversation", &page.items)?])
    } else {
        read_all(&page.items, answer.at)
    };
    if walk.bisect.is_none() {
        walk.page_size.landed(answer.size());
    }
    for stub in &stubs {
        walk.sorted &= walk
            .reached
            .is_none_or(|reached| stub.updated_at <= reached);
        walk.reached = Some(stub.updated_at);
    }
    walk.poisoned += poisons.len() as i64;
    walk.after = next;
    walk.bisect = walk.bisect.and_then(|bisect| match bisect.worked() {
        Found::NotYet(bisect) => Some(bisect),
        _ => None,
    });
    let total = if walk.since.is_none() {
        page.total_count
    } else if walk.after.is_none() && cx.is_short() {
        let search = Search::count_all();
        cx.total(&Endpoint::ConversationsSearch { search: &search })
            .await?
    } else {
        None
    };
    store(cx, walk, stubs, &poisons, total).await
}

async fn open_walk(cx: &SliceContext<'_>) -> Result<Walk, SliceError> {
    if let Some(walk) = cx
        .state
        .cursor
        .clone()
        .and_then(|cursor| serde_json::from_value(cursor).ok())
    {
        return Ok(walk);
    }
    let mut tx = cx.begin().await?;
    tx.start_runs(cx.key).await?;
    tx.begin_sweep(cx.key).await?;
    tx.commit().await?;
    let since = cx.since();
    Ok(Walk {
        mode: if since.is_some() {
            Mode::Incremental
        } else {
            cx.state.mode.max(Mode::Full)
        },
        begun_at: cx.state.now,
        started_at: None,
        since,
        after: None,
        before: None,
        reached: None,
        sorted: true,
        seen: 0,
        poisoned: 0,
        bisect: None,
        page_size: PageSize::default(),
    })
}

impl Walk {
    /// Only what changed after this is asked for.
    fn after_time(&self) -> DateTime<Utc> {
        self.since
            .map_or(DateTime::UNIX_EPOCH, |since| since - OVERLAP)
    }
}

/// The cursor is dead. Where the order held, everything newer than the second reached is stored; that
/// second itself is read again, whole.
async fn resume_by_time(cx: &SliceContext<'_>, mut walk: Walk) -> Result<SliceOutcome, SliceError> {
    let before = walk
        .reached
        .filter(|_| walk.sorted)
        .map(|reached| reached + TimeDelta::seconds(1));
    if before.is_none() || before == walk.before {
        return Err(SliceError::StartOver("intercom no longer knows the cursor"));
    }
    walk.before = before;
    walk.after = None;
    let mut tx = cx.begin().await?;
    tx.save_cursor(cx.key, &walk, Tally::default()).await?;
    tx.commit().await?;
    Ok(Verdict::Requeue.into())
}

/// Whether the failure may be the fault of a record in the page.
fn is_of_the_page(error: &Error) -> bool {
    matches!(error, Error::Unavailable(_)) || error.refusal() == Some(&Refusal::NotFound)
}

fn keeps_failing(cx: &SliceContext<'_>, error: &Error) -> bool {
    cx.state.attempts >= ATTEMPTS || error.refusal() == Some(&Refusal::NotFound)
}

/// The page failed (again): fewer records are asked for next, or, once it is the next one, its time.
async fn narrow(
    cx: &SliceContext<'_>,
    mut walk: Walk,
    error: Error,
) -> Result<SliceOutcome, SliceError> {
    // Nothing newer than this was left out. A day: their clock and ours.
    let newest = || walk.before.unwrap_or(walk.begun_at + TimeDelta::days(1));
    let reached = walk.reached.unwrap_or_else(newest).timestamp();
    let was = walk.bisect.take();
    let found = was.clone().map_or_else(
        || Found::NotYet(Bisect::begin(walk.page_size.records())),
        |bisect| bisect.failed(reached),
    );
    // Where the order did not hold, or down to the oldest record nothing works, it is no record's fault.
    let is_hopeless = |next: &Bisect| {
        next.probe()
            .is_some_and(|before| !walk.sorted || before <= walk.after_time().timestamp())
    };
    walk.bisect = match found {
        Found::NotYet(next) if !is_hopeless(&next) => Some(next),
        _ => None,
    };
    cx.save_place(&walk).await?;
    if walk.bisect.is_some() {
        Ok(Verdict::Requeue.into())
    } else {
        Err(error.into())
    }
}

/// Asks for one record older than `before`, to find the time of the one that fails.
async fn probe(
    cx: &SliceContext<'_>,
    mut walk: Walk,
    before: i64,
) -> Result<SliceOutcome, SliceError> {
    let search = Search {
        after: walk.after_time(),
        before: DateTime::from_timestamp(before, 0),
        order: Order::Descending,
        starting_after: None,
        per_page: 1,
    };
    let answer = match cx
        .workspace
        .read(&Endpoint::ConversationsSearch { search: &search })
        .await
    {
        Err(error) if is_of_the_page(&error) => return narrow(cx, walk, error).await,
        answer => answer?,
    };
    let is_empty = Page::split(&answer.body)?.items.is_empty();
    let found = walk.bisect.take().map_or(Found::Nothing, Bisect::worked);
    let mut tx = cx.begin().await?;
    match found {
        Found::NotYet(bisect) => {
            walk.bisect = Some(bisect);
            tx.save_place(cx.key, &walk).await?;
        }
        Found::Nothing => tx.save_place(cx.key, &walk).await?,
        // Where no record at all could be read, it is not one record's fault.
        Found::At(_) if is_empty && walk.seen == 0 => {
            tx.save_place(cx.key, &walk).await?;
            tx.commit().await?;
            return Err(
                Error::Unavailable("every search that is not empty fails".to_owned()).into(),
            );
        }
        Found::At(second) => {
            let quarantined = tx
                .quarantine(cx.key.connection, &[unreadable(&walk, second)])
                .await?;
            walk.poisoned += 1;
            walk.before = DateTime::from_timestamp(second, 0);
            walk.after = None;
            tx.save_cursor(
                cx.key,
                &walk,
                Tally {
                    quarantined,
                    ..Tally::default()
                },
            )
            .await?;
        }
    }
    tx.commit().await?;
    Ok(Verdict::Requeue.into())
}

/// Its id is not known: nobody could read it.
fn unreadable(walk: &Walk, second: i64) -> Poison {
    let until = walk.reached.map_or_else(
        || "now".to_owned(),
        |reached| reached.timestamp().to_string(),
    );
    Poison {
        kind: "conversation",
        source_id: format!("updated_at:{second}"),
        reason: format!(
            "intercom's search fails for what changed from {second} to {until} and was not read"
        ),
        raw: Vec::new(),
    }
}

fn read_all(items: &[&str], now: DateTime<Utc>) -> (Vec<Conversation>, Vec<Poison>) {
    let (mut stubs, mut poisons) = (Vec::with_capacity(items.len()), Vec::new());
    for raw in items {
        match wire::read_conversation(raw) {
            Ok(stub) => stubs.push(stub),
            Err(poison) => poisons.push(poison),
        }
    }
    let (stubs, ahead) = future_dated::set_aside(stubs, now);
    poisons.extend(ahead);
    (stubs, poisons)
}

async fn store(
    cx: &SliceContext<'_>,
    walk: Walk,
    stubs: Vec<Conversation>,
    poisons: &[Poison],
    total: Option<i64>,
) -> Result<SliceOutcome, SliceError> {
    let key = cx.key;
    let ids: Vec<String> = stubs.iter().map(|stub| stub.source_id.clone()).collect();
    let shown: Vec<String> = ids
        .iter()
        .chain(poisons.iter().map(|poison| &poison.source_id))
        .cloned()
        .collect();
    let mut tx = cx.begin().await?;
    let written = tx.write_stubs(key.connection, stubs).await?;
    if walk.mode == Mode::Reconcile {
        tx.want_threads_again(key.connection, &ids).await?;
    }
    let quarantined = tx.quarantine(key.connection, poisons).await?;
    let healed = tx
        .resolve_quarantine(key.connection, "conversation", &ids)
        .await?;
    if walk.since.is_none() {
        tx.note_shown(key, &shown).await?;
    }
    tx.save_cursor(
        key,
        &walk,
        Tally {
            inserted: written.inserted,
            quarantined,
            healed,
        },
    )
    .await?;
    let verdict = if walk.after.is_some() {
        Verdict::Requeue
    } else {
        let started_at = walk.started_at.unwrap_or(walk.begun_at);
        let intervals = &cx.config().intervals;
        match total {
            _ if walk.since.is_none() => {
                tx.forget_quarantine(key.connection, "conversation", walk.begun_at)
                    .await?;
                tx.end_sweep(key).await?;
                tx.want_absent_threads(key).await?;
            }
            Some(total) => tx.recount(key, total).await?,
            None => {}
        }
        tx.end_walk(
            key,
            &WalkEnd {
                mode: walk.mode,
                begun_at: walk.begun_at,
                watermark: Some(cx.watermark(started_at)),
                witness: None,
                full: walk.since.is_none(),
                // A walk resumed by time counted some twice; its total says nothing.
                missing: total
                    .filter(|_| walk.before.is_none())
                    .map(|total| (total - walk.seen).max(0) + walk.poisoned)
                    .or((walk.poisoned > 0).then_some(walk.poisoned)),
                next_in_seconds: SliceContext::every(intervals.sync),
            },
        )
        .await?;
        Verdict::Done
    };
    // Last: see `threads::store`.
    tx.make_due(key.connection, Stream::Threads).await?;
    tx.commit().await?;
    written.count(Stream::Conversations);
    Ok(SliceOutcome::from(verdict).with_due(vec![Stream::Threads]))
}
