//! Contacts: a full walk of the list, or a search of what changed.
//!
//! Contact search counts in whole days up to version 2.16, and in seconds from 2.17 on. So a search begins well before
//! the watermark (where: see [`super::witness`]), newest first, and stops at the first record older than the
//! watermark: it costs only the pages that changed. A record touched while the walk goes on is newer than its start,
//! and the watermark never passes that start, so the next walk has it.
//!
//! Search never shows who was deleted, archived or merged away. A full walk notes who is held and was not
//! shown; who is absent from two of them is asked for by id before the walk ends.

use chrono::{DateTime, Utc};
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};

use super::{
    SliceError, SliceOutcome, contact_companies, future_dated,
    overlap_probe::{self, OVERLAP, Witnesses},
    page_size::{PageSize, oversized},
    slice::SliceContext,
};
use crate::{
    domain::{
        Mode, Stream, Verdict,
        records::{Contact, Poison},
    },
    intercom::{
        Endpoint, Error, Refusal, Response, Search,
        wire::{self, Next, Page},
    },
    store::{Tally, WalkEnd, WorkerTx},
};

/// Absentees asked for by id in a slice.
const ASKED_PER_SLICE: i64 = 100;

/// Where a walk is.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Walk {
    mode: Mode,
    /// By our Postgres' clock, for runs; by Intercom's clock, for the watermark.
    begun_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    /// Changes up to here were held when it began; `None` walks the whole list.
    since: Option<DateTime<Utc>>,
    /// Where the search begins.
    #[serde(default)]
    from: Option<DateTime<Utc>>,
    after: Option<String>,
    #[serde(default)]
    witnesses: Witnesses,
    seen: i64,
    poisoned: i64,
    /// Every page of a full walk is stored; who was absent is being asked for, and this many are missing.
    #[serde(default)]
    asking: Option<Asking>,
    #[serde(default)]
    page_size: PageSize,
}

/// What the pages of a full walk have shown.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Asking {
    missing: Option<i64>,
}

#[tracing::instrument(name = "contacts", skip_all)]
pub async fn run(cx: &SliceContext<'_>) -> Result<SliceOutcome, SliceError> {
    let mut walk = open_walk(cx).await?;
    if let Some(Asking { missing }) = walk.asking {
        return ask_absentees(cx, &walk, missing).await;
    }
    let merge_history = cx.workspace.version() >= crate::intercom::Version::V2_16;
    let search;
    let per_page = walk.page_size.records();
    let read = match walk.since {
        None => Endpoint::Contacts {
            after: walk.after.as_deref(),
            per_page,
            merge_history,
        },
        Some(since) => {
            let from = *walk
                .from
                .get_or_insert_with(|| overlap_probe::by_days(since));
            search = Search::newest_first(from, walk.after.clone(), per_page);
            Endpoint::ContactsSearch {
                search: &search,
                merge_history,
            }
        }
    };
    let answer = match cx.workspace.read(&read).await {
        Err(Error::TooLarge(_)) if walk.page_size.shrink() => {
            cx.save_place(&walk).await?;
            return Ok(Verdict::Requeue.into());
        }
        Err(error) if walk.after.is_some() && error.refusal() == Some(&Refusal::BadRequest) => {
            if walk.page_size.refused() {
                return start_over(cx, walk.page_size).await;
            }
            return Err(SliceError::StartOver("intercom no longer knows the cursor"));
        }
        answer => answer?,
    };
    let page = Page::split(&answer.body)?;
    let watermark = cx.watermark(*walk.started_at.get_or_insert(answer.at));
    walk.seen += page.items.len() as i64;
    let next = match page.next {
        Some(Next::After(after)) if Some(&after) == walk.after.as_ref() => {
            return Err(SliceError::StartOver("intercom repeats its cursor"));
        }
        Some(Next::After(after)) => Some(after),
        _ => None,
    };

    let (mut contacts, mut poisons) = if answer.is_outline {
        (Vec::new(), vec![oversized("contact", &page.items)?])
    } else {
        read_all(&page.items, answer.at)
    };
    walk.page_size.landed(answer.size());
    contact_companies::complete(cx, &mut contacts, &mut poisons).await?;
    walk.witnesses
        .note(contacts.iter().map(|contact| contact.updated_at), watermark);
    let reached_held = walk.since.is_some_and(|since| {
        contacts
            .last()
            .is_some_and(|last| last.updated_at < since - OVERLAP)
            && is_newest_first(&contacts)
    });
    walk.after = next.filter(|_| !reached_held);
    let mut ended = walk.after.is_none();
    if let Some(by_days) = walk.since.map(overlap_probe::by_days)
        && ended
        && !reached_held
        && walk.from != Some(by_days)
    {
        tracing::info!("no witness shown: contacts are searched by days");
        (walk.from, ended) = (Some(by_days), false);
    }
    walk.poisoned += poisons.len() as i64;
    let total = if walk.since.is_none() {
        page.total_count
    } else if ended && cx.is_short() {
        let search = Search::count_all();
        cx.total(&Endpoint::ContactsSearch {
            search: &search,
            merge_history: false,
        })
        .await?
    } else {
        None
    };
    store(cx, walk, ended, contacts, &poisons, total).await
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
    Ok(open(cx))
}

/// A walk at its beginning.
fn open(cx: &SliceContext<'_>) -> Walk {
    let since = cx.since();
    Walk {
        mode: if since.is_some() {
            Mode::Incremental
        } else {
            cx.state.mode.max(Mode::Full)
        },
        begun_at: cx.state.now,
        started_at: None,
        since,
        from: since.map(|since| {
            overlap_probe::search_from(cx.workspace.version(), since, cx.state.witness)
        }),
        after: None,
        witnesses: Witnesses::default(),
        seen: 0,
        poisoned: 0,
        asking: None,
        page_size: PageSize::default(),
    }
}

/// Not a failure: the pages' new size is kept, which a walk that starts over by itself would not know.
async fn start_over(
    cx: &SliceContext<'_>,
    page_size: PageSize,
) -> Result<SliceOutcome, SliceError> {
    let mut tx = cx.begin().await?;
    tx.begin_sweep(cx.key).await?;
    tx.save_place(
        cx.key,
        &Walk {
            page_size,
            ..open(cx)
        },
    )
    .await?;
    tx.commit().await?;
    Ok(Verdict::Requeue.into())
}

fn read_all(items: &[&str], now: DateTime<Utc>) -> (Vec<Contact>, Vec<Poison>) {
    let (mut contacts, mut poisons) = (Vec::with_capacity(items.len()), Vec::new());
    for raw in items {
        match wire::read_contact(raw) {
            Ok(contact) => contacts.push(contact),
            Err(poison) => poisons.push(poison),
        }
    }
    let (contacts, ahead) = future_dated::set_aside(contacts, now);
    poisons.extend(ahead);
    (contacts, poisons)
}

/// Asked for newest first; but an early stop is safe only if the answer really is.
fn is_newest_first(contacts: &[Contact]) -> bool {
    contacts
        .windows(2)
        .all(|pair| pair[0].updated_at >= pair[1].updated_at)
}

/// Asks for who was absent from two complete walks. 404 and 410 are believed; any other answer keeps them.
async fn ask_absentees(
    cx: &SliceContext<'_>,
    walk: &Walk,
    missing: Option<i64>,
) -> Result<SliceOutcome, SliceError> {
    let key = cx.key;
    let mut tx = cx.begin().await?;
    let absent = tx.absentees(key, ASKED_PER_SLICE).await?;
    tx.commit().await?;
    let answers: Vec<(String, Result<Response, Error>)> = stream::iter(absent)
        .map(|id| async move {
            let read = Endpoint::Contact {
                id: &id,
                merge_history: false,
            };
            let answer = cx.workspace.read(&read).await;
            (id, answer)
        })
        .buffer_unordered(cx.config().conversation_concurrency)
        .collect()
        .await;
    let (mut alive, mut deleted, mut merged, mut trouble) =
        (Vec::new(), Vec::new(), Vec::new(), None);
    let (mut bodies, mut now) = (Vec::new(), Utc::now());
    for (id, answer) in answers {
        match answer {
            Ok(answer) => {
                now = answer.at;
                bodies.push(answer.body);
                alive.push(id);
            }
            Err(Error::Refused {
                refusal:
                    Refusal::Merged {
                        into: Some(survivor),
                    },
                ..
            }) => {
                merged.push((id, survivor));
            }
            Err(error) if error.is_gone() => deleted.push(id),
            // No id of Intercom's: it cannot be asked for, and stays. And who is too large to be read is alive.
            Err(Error::BadId(_) | Error::TooLarge(_)) => alive.push(id),
            Err(error) => trouble = Some(error),
        }
    }
    let (mut contacts, mut poisons) =
        read_all(&bodies.iter().map(String::as_str).collect::<Vec<_>>(), now);
    contact_companies::complete(cx, &mut contacts, &mut poisons).await?;
    let mut tx = cx.begin().await?;
    let written = tx.write_contacts(key.connection, contacts).await?;
    tx.quarantine(key.connection, &poisons).await?;
    tx.note_alive(key.connection, key.stream, &alive).await?;
    tx.end_contacts(key, &deleted, &merged).await?;
    let more = !tx.absentees(key, 1).await?.is_empty();
    let verdict = if more || trouble.is_some() {
        Verdict::Requeue
    } else {
        end(&mut tx, cx, walk, missing).await?;
        Verdict::Done
    };
    tx.commit().await?;
    written.count(Stream::Contacts);
    match trouble {
        Some(error) => Err(error.into()),
        None => Ok(verdict.into()),
    }
}

async fn end(
    tx: &mut WorkerTx,
    cx: &SliceContext<'_>,
    walk: &Walk,
    missing: Option<i64>,
) -> Result<(), SliceError> {
    tx.end_walk(
        cx.key,
        &WalkEnd {
            mode: walk.mode,
            begun_at: walk.begun_at,
            watermark: Some(cx.watermark(walk.started_at.unwrap_or(walk.begun_at))),
            witness: walk.witnesses.first(),
            full: walk.since.is_none(),
            missing,
            next_in_seconds: SliceContext::every(cx.config().intervals.sync),
        },
    )
    .await?;
    Ok(())
}

async fn store(
    cx: &SliceContext<'_>,
    mut walk: Walk,
    ended: bool,
    contacts: Vec<Contact>,
    poisons: &[Poison],
    total: Option<i64>,
) -> Result<SliceOutcome, SliceError> {
    let key = cx.key;
    let shown: Vec<String> = contacts
        .iter()
        .map(|c| &c.source_id)
        .chain(poisons.iter().map(|poison| &poison.source_id))
        .cloned()
        .collect();
    let is_whole = |id: &&String| poisons.iter().all(|poison| poison.source_id != **id);
    let well: Vec<String> = contacts
        .iter()
        .map(|contact| &contact.source_id)
        .filter(is_whole)
        .cloned()
        .collect();
    let mut tx = cx.begin().await?;
    if walk.since.is_some() {
        tx.lock_stream(key.connection, Stream::Companies).await?;
    }
    let written = tx.write_contacts(key.connection, contacts).await?;
    let quarantined = tx.quarantine(key.connection, poisons).await?;
    let healed = tx
        .resolve_quarantine(key.connection, "contact", &well)
        .await?;
    let mut also_due = Vec::new();
    // A full walk of contacts comes with one of companies; between walks only those of changed contacts are asked for.
    if walk.since.is_some()
        && !written.changed.is_empty()
        && tx
            .want_companies_of(key.connection, &written.changed)
            .await?
    {
        tx.make_due(key.connection, Stream::Companies).await?;
        also_due.push(Stream::Companies);
    }
    let missing = total.map(|total| (total - walk.seen).max(0) + walk.poisoned);
    let full = walk.since.is_none();
    if full {
        tx.note_shown(key, &shown).await?;
    }
    if full && ended {
        walk.asking = Some(Asking { missing });
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
    let verdict = if !ended {
        Verdict::Requeue
    } else if full {
        tx.forget_quarantine(key.connection, "contact", walk.begun_at)
            .await?;
        tx.end_sweep(key).await?;
        if tx.absentees(key, 1).await?.is_empty() {
            end(&mut tx, cx, &walk, missing).await?;
            Verdict::Done
        } else {
            Verdict::Requeue
        }
    } else {
        if let Some(total) = total {
            tx.recount(key, total).await?;
        }
        end(&mut tx, cx, &walk, missing).await?;
        Verdict::Done
    };
    tx.commit().await?;
    written.count(Stream::Contacts);
    Ok(SliceOutcome::from(verdict).with_due(also_due))
}
