//! The daily audit: what the walks call complete is compared with Intercom by another way than theirs.
//!
//! Intercom's counts against the rows that are held, and a few threads read anew, part by part. What differs is
//! repaired at once where the answer is at hand, and makes the walk due that repairs the rest; the finding is kept
//! and told beside the connection's completeness.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{SliceError, slice::SliceContext};
use crate::{
    domain::{Mode, Stream, records::Thread},
    intercom::{Endpoint, Error, Refusal, Search, wire},
    store::{Audit, FetchedThread, HeldPart, SampledThread, WorkerTx},
};

/// Threads read anew by one audit: in a month, each workspace's hundred.
const SAMPLE: i64 = 4;

/// Where an audit is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct AuditState {
    left: Vec<SampledThread>,
    pub(super) found: Audit,
}

/// Begins an audit, if it is time for one.
pub(super) async fn begin(cx: &SliceContext<'_>) -> Result<Option<AuditState>, SliceError> {
    let key = cx.key;
    let mut tx = cx.begin().await?;
    if !tx
        .is_audit_due(key.connection, cx.config().intervals.audit)
        .await?
    {
        return Ok(None);
    }
    let mut left = tx
        .sample_threads(key.connection, Uuid::new_v4(), SAMPLE)
        .await?;
    // Past the last one the order begins anew.
    for sampled in tx
        .sample_threads(key.connection, Uuid::nil(), SAMPLE - left.len() as i64)
        .await?
    {
        if left
            .iter()
            .all(|other| other.conversation_id != sampled.conversation_id)
        {
            left.push(sampled);
        }
    }
    Ok(Some(AuditState {
        left,
        found: Audit::default(),
    }))
}

/// Reads one thread anew and stores it where it differs. The transaction is the caller's to end, with the state
/// that it makes; `None` when no thread is left.
pub(super) async fn read_thread(
    cx: &SliceContext<'_>,
    state: &mut AuditState,
) -> Result<Option<WorkerTx>, SliceError> {
    let Some(sampled) = state.left.last() else {
        return Ok(None);
    };
    let (differs, tx) = differs(cx, sampled).await?;
    state.left.pop();
    state.found.threads_read += 1;
    state.found.threads_differing += i32::from(differs);
    Ok(Some(tx))
}

/// Compares the counts, keeps what was found, and makes due what repairs it.
pub(super) async fn end(
    cx: &SliceContext<'_>,
    mut found: Audit,
) -> Result<Vec<Stream>, SliceError> {
    let key = cx.key;
    let contacts = total(
        cx,
        &Endpoint::ContactsSearch {
            search: &Search::count_all(),
            merge_history: false,
        },
    )
    .await?;
    let conversations = total(
        cx,
        &Endpoint::ConversationsSearch {
            search: &Search::count_all(),
        },
    )
    .await?;
    let mut tx = cx.begin_connection().await?;
    let before = tx
        .last_audit(key.connection)
        .await?
        .map(|(_, found)| found)
        .unwrap_or_default();
    let mut due = Vec::new();
    for (stream, total, before, missing) in [
        (
            Stream::Contacts,
            contacts,
            before.contacts_missing,
            &mut found.contacts_missing,
        ),
        (
            Stream::Conversations,
            conversations,
            before.conversations_missing,
            &mut found.conversations_missing,
        ),
    ] {
        let Some(total) = total else { continue };
        let more = (total - tx.count_alive(key.connection, stream).await?).max(0);
        // A count that is off by the same number every day costs one walk, not one a day.
        let is_news = more > before.unwrap_or(0);
        if is_news && !tx.widen(key.connection, stream, Mode::Full, more).await? {
            // A walk began meanwhile: nothing that could be compared.
            continue;
        }
        *missing = Some(more);
        if is_news {
            due.push(stream);
        }
    }
    // One of so few would not be the only one: every thread is read again.
    if found.threads_differing > 0
        && tx
            .widen(key.connection, Stream::Conversations, Mode::Reconcile, 0)
            .await?
    {
        due.push(Stream::Conversations);
    }
    tx.write_audit(key, found).await?;
    tx.commit().await?;
    let found_what = if due.is_empty() {
        "nothing_new"
    } else {
        "differences"
    };
    metrics::counter!("pathbound_audits_total", "found" => found_what).increment(1);
    if !due.is_empty() {
        tracing::error!(
            ?found,
            ?due,
            "the audit found what no walk has seen: walked again"
        );
    }
    Ok(due)
}

/// Whether what is held of a thread is not what it should be: a part is missing or older, though the conversation
/// has not changed since, or has before the time up to which every change is said to be held.
async fn differs(
    cx: &SliceContext<'_>,
    sampled: &SampledThread,
) -> Result<(bool, WorkerTx), SliceError> {
    let key = cx.key;
    let answer = match cx
        .workspace
        .read(&Endpoint::Conversation {
            id: &sampled.source_id,
        })
        .await
    {
        Ok(answer) => Some(answer),
        // Deleted, unreadable or out of the plan meanwhile: their own streams say so.
        Err(
            Error::Unavailable(_) | Error::TooLarge(_) | Error::Refused { .. } | Error::BadId(_),
        ) => None,
        Err(error) => return Err(error.into()),
    };
    let read = answer.and_then(|answer| wire::read_thread(&answer.body).ok());
    let mut tx = cx.begin_unfenced().await?;
    let mut differs = false;
    if let Some((Ok(thread), poisons)) = read {
        let held = tx.held_parts(sampled.conversation_id).await?;
        let watermark = tx.watermark(key.connection, Stream::Conversations).await?;
        let changed_at = thread.conversation.updated_at;
        let is_known = |time: &DateTime<Utc>| changed_at <= *time;
        differs = (sampled.version.as_ref().is_some_and(is_known)
            || watermark.as_ref().is_some_and(is_known))
            && !holds(&held, &thread);
        if differs {
            tracing::error!(conversation = %sampled.conversation_id, "a thread that was called complete is not");
            let fetched = FetchedThread {
                thread,
                too_fresh: false,
                poisoned: poisons.len() as i32,
            };
            tx.write_threads(key.connection, vec![fetched]).await?;
        }
    }
    // Last, as the threads stream does it.
    tx.check_fence(key).await?;
    Ok((differs, tx))
}

fn holds(held: &HashMap<String, HeldPart>, thread: &Thread) -> bool {
    thread.parts.iter().all(|part| {
        held.get(&part.source_id).is_some_and(|held| {
            held.updated_at >= part.updated_at && (held.redacted || !part.redacted)
        })
    })
}

/// `None` where Intercom does not say, or does not let us ask.
async fn total(cx: &SliceContext<'_>, count: &Endpoint<'_>) -> Result<Option<i64>, SliceError> {
    match cx.total(count).await {
        Err(SliceError::Intercom(Error::Refused {
            refusal: Refusal::PlanRestricted | Refusal::MissingScope | Refusal::Unauthorized,
            ..
        })) => Ok(None),
        total => total,
    }
}
