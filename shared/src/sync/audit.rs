//! The daily audit: stored objects are compared with Intercom in another way than the walks do it.
//!
//! Intercom's counts are compared with the stored rows, and a few threads are read again, part by part. A differing
//! thread is repaired at once. A differing count makes the walk due that repairs it. The result is stored and shown
//! beside the connection's completeness.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{SliceError, slice::SliceContext};
use crate::{
    domain::{Mode, Stream, records::Thread},
    intercom::{Endpoint, Error, Refusal, Search, wire},
    store::{AuditResult, FetchedThread, HeldPart, SampledThread, WorkerTx},
};

/// Threads read by one audit, which is about a hundred per workspace and month.
const SAMPLE: i64 = 4;

/// How far an audit has come, in the cursor of `reference`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct AuditState {
    left: Vec<SampledThread>,
    pub(super) found: AuditResult,
    /// Intercom has served a thread of the sample.
    #[serde(default)]
    served: bool,
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
    // The sample begins at a random id. Past the last id it continues at the first.
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
        found: AuditResult::default(),
        served: false,
    }))
}

/// Reads one thread again and stores it if it differs. The caller saves the state in the returned transaction and
/// commits it. `None` when no thread is left.
pub(super) async fn read_thread(
    cx: &SliceContext<'_>,
    state: &mut AuditState,
) -> Result<Option<WorkerTx>, SliceError> {
    let Some(sampled) = state.left.last() else {
        return Ok(None);
    };
    // The thread leaves the list with the transaction that stores its result, so that a crash
    // repeats it and counts it once.
    let (read, tx) = differs(cx, sampled).await?;
    state.left.pop();
    state.found.threads_read += 1;
    state.found.threads_differing += i32::from(read == Some(true));
    state.served |= read.is_some();
    Ok(Some(tx))
}

/// Compares the counts, stores the result, and makes the streams due that repair it.
pub(super) async fn end(
    cx: &SliceContext<'_>,
    state: &AuditState,
) -> Result<Vec<Stream>, SliceError> {
    let mut found = state.found;
    let search = Search::count_all();
    let contacts = Endpoint::ContactsSearch {
        search: &search,
        merge_history: false,
    };
    let contacts = total(cx, &contacts).await?;
    let conversations = total(cx, &Endpoint::ConversationsSearch { search: &search }).await?;
    let connection = cx.key.connection;
    correct_counts(cx).await?;
    // Every stream is locked in the one order, because the audit may make two of them due.
    let mut tx = cx.begin_connection().await?;
    let before = tx
        .last_audit(connection)
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
        let (counted, is_due) = compare_count(&mut tx, cx, stream, total, before).await?;
        *missing = counted;
        due.extend(is_due.then_some(stream));
    }
    // A fault in so small a sample is hardly the only one, so every thread is read again.
    if found.threads_differing > 0
        && tx
            .widen(connection, Stream::Conversations, Mode::Reconcile, 0)
            .await?
    {
        due.push(Stream::Conversations);
    }
    // A refusal of threads is over as soon as one is served.
    if state.served && tx.lift_block(connection, Stream::Threads).await? {
        due.push(Stream::Threads);
    }
    tx.write_audit(cx.key, found).await?;
    tx.commit().await?;
    report(found, &due);
    Ok(due)
}

/// Corrects the numbers that the streams keep, if they differ from the rows. They are counted in the transactions that
/// change the rows, so a difference is a fault of ours, or a change that was made by hand.
async fn correct_counts(cx: &SliceContext<'_>) -> Result<(), SliceError> {
    let mut tx = cx.begin_unfenced().await?;
    let wrong = tx.correct_counts(cx.key.connection).await?;
    tx.commit().await?;
    for stream in wrong {
        metrics::counter!("pathbound_counts_corrected_total", "stream" => stream.as_str())
            .increment(1);
        tracing::error!(%stream, "the number of stored objects differed from the rows, so it was corrected");
    }
    Ok(())
}

/// Compares Intercom's count of a stream with the stored rows. Returns how many are missing, if the two counts are of
/// one time, and whether the stream was made due to find them.
async fn compare_count(
    tx: &mut WorkerTx,
    cx: &SliceContext<'_>,
    stream: Stream,
    total: i64,
    before: Option<i64>,
) -> Result<(Option<i64>, bool), SliceError> {
    let connection = cx.key.connection;
    // More rows than Intercom counts are no loss. They are objects that search does not count, such as archived
    // contacts.
    let kept_out = tx.kept_out_count(connection, stream).await?;
    let missing = (total - kept_out - tx.held(connection, stream).await?).max(0);
    // A count that differs by the same number every day costs one walk, and not one a day.
    let is_new = missing > before.unwrap_or(0);
    if is_new && !tx.widen(connection, stream, Mode::Full, missing).await? {
        // A walk began meanwhile, so the two counts are of different times.
        return Ok((None, false));
    }
    Ok((Some(missing), is_new))
}

fn report(found: AuditResult, due: &[Stream]) {
    let result = if due.is_empty() {
        "nothing_new"
    } else {
        "differences"
    };
    metrics::counter!("pathbound_audits_total", "found" => result).increment(1);
    if !due.is_empty() {
        tracing::error!(
            ?found,
            ?due,
            "the audit found differences that the walks had missed, so the walks are repeated"
        );
    }
}

/// Whether a stored thread lacks a part or has an older version of one. `None` if Intercom does not serve it. A
/// conversation that changed after the thread was stored, and after the watermark, proves nothing.
async fn differs(
    cx: &SliceContext<'_>,
    sampled: &SampledThread,
) -> Result<(Option<bool>, WorkerTx), SliceError> {
    let key = cx.key;
    let answer = match cx
        .workspace
        .read(&Endpoint::Conversation {
            id: &sampled.source_id,
        })
        .await
    {
        Ok(answer) => Some(answer),
        // Deleted, unreadable or out of the plan meanwhile. Their own streams report it.
        Err(
            Error::Unavailable(_) | Error::TooLarge(_) | Error::Refused { .. } | Error::BadId(_),
        ) => None,
        Err(error) => return Err(error.into()),
    };
    let read = answer
        .as_ref()
        .and_then(|answer| wire::read_thread(&answer.body).ok());
    let mut tx = cx.begin_unfenced().await?;
    let mut result = None;
    if let Some((Ok(thread), poisons)) = read {
        // Read after the call, so that a part that was stored during the call counts as stored.
        let held = tx.held_parts(sampled.conversation_id).await?;
        let watermark = tx.watermark(key.connection, Stream::Conversations).await?;
        let changed_at = thread.conversation.updated_at;
        let is_known = |time: &DateTime<Utc>| changed_at <= *time;
        let differs = (sampled.version.as_ref().is_some_and(is_known)
            || watermark.as_ref().is_some_and(is_known))
            && !holds(&held, &thread);
        result = Some(differs);
        if differs {
            tracing::error!(conversation = %sampled.conversation_id, "a thread that was called complete is not");
            let fetched = FetchedThread {
                poisoned: poisons.len() as i32,
                ..thread.into()
            };
            tx.write_threads(key.connection, vec![fetched]).await?;
        }
    }
    // Last, in the order in which `threads` locks its rows.
    tx.check_fence(key).await?;
    Ok((result, tx))
}

fn holds(held: &HashMap<String, HeldPart>, thread: &Thread) -> bool {
    thread.parts.iter().all(|part| {
        held.get(&part.source_id).is_some_and(|held| {
            held.updated_at >= part.updated_at && (held.redacted || !part.redacted)
        })
    })
}

/// `None` if Intercom gives no count or does not allow the search.
async fn total(cx: &SliceContext<'_>, count: &Endpoint<'_>) -> Result<Option<i64>, SliceError> {
    match cx.total(count).await {
        Err(SliceError::Intercom(Error::Refused {
            refusal: Refusal::PlanRestricted | Refusal::MissingScope | Refusal::Unauthorized,
            ..
        })) => Ok(None),
        total => total,
    }
}
