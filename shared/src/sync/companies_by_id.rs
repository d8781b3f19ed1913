//! Companies fetched by id: those that changed contacts name, those that scrolls did not show, and those that are set
//! aside.
//!
//! A company that Intercom does not give is set aside, so that it delays no other.

use chrono::Utc;
use futures::{StreamExt, stream};

use super::{
    SliceError, SliceOutcome,
    company_walk::{served_until, walk_end},
    page_objects::PageObjects,
    record_faults::stops_all,
    set_aside::set_aside,
    slice::SliceContext,
};
use crate::{
    domain::{Stream, Verdict},
    intercom::{Endpoint, Error, Refusal, Response, wire},
    store::{CompanyFetches, ProofDelta, Retry, SetAside, WalkEnd},
};

/// What Intercom says of a batch of companies.
#[derive(Default)]
struct Fetched {
    /// Kept until what was read from them is stored, because they count in the response memory.
    bodies: Vec<Response>,
    alive: Vec<String>,
    gone: Vec<String>,
    /// Companies that Intercom does not give.
    set_aside: Vec<SetAside>,
    /// Why the batch stopped. It says nothing of a company.
    trouble: Option<Error>,
}

async fn fetch(cx: &SliceContext<'_>, ids: Vec<String>) -> Fetched {
    let answers: Vec<_> = stream::iter(ids)
        .map(|id| async move {
            let answer = cx.workspace.read(&Endpoint::Company { id: &id }).await;
            // It is kept while the others come.
            if let Ok(answer) = &answer {
                answer.release_slot();
            }
            (id, answer)
        })
        .buffer_unordered(cx.config().conversation_concurrency)
        .collect()
        .await;
    let mut fetched = Fetched::default();
    for (id, answer) in answers {
        match answer {
            Ok(answer) => {
                fetched.bodies.push(answer);
                fetched.alive.push(id);
            }
            // Deleted since its contact was read, or absent from two scrolls. Only the latter ends the company.
            Err(error)
                if matches!(error.refusal(), Some(Refusal::NotFound))
                    || matches!(error, Error::BadId(_)) =>
            {
                fetched.gone.push(id);
            }
            Err(error) if stops_all(&error) => fetched.trouble = Some(error),
            Err(error) => {
                let reason = format!("its own call fails: {error}");
                let unread = SetAside::unread(id, Retry::Record, reason);
                fetched.set_aside.push(unread);
            }
        }
    }
    fetched
}

/// Fetches a batch of companies by id. `rests` says that the scroll is set aside.
///
/// # Errors
/// See [`SliceError`].
pub(super) async fn fetch_by_id(
    cx: &SliceContext<'_>,
    fetches: &CompanyFetches,
    rests: bool,
) -> Result<SliceOutcome, SliceError> {
    let Fetched {
        bodies,
        alive,
        gone,
        set_aside: unread,
        trouble,
    } = fetch(cx, fetches.source_ids.clone()).await;
    // The batch is stored even if a call failed, so that the answered calls are not repeated.
    let now = bodies.last().map_or_else(Utc::now, |answer| answer.at);
    let texts = bodies.iter().map(|answer| answer.body.as_str());
    let objects = PageObjects::read(texts, now, wire::read_company);
    // A company that is gone has nothing left to be unreadable.
    let healthy = [objects.ids(), gone.clone()].concat();
    let served = [alive.clone(), gone.clone()].concat();
    let key = cx.key;
    let mut tx = cx.begin().await?;
    let written = tx.write_companies(key.connection, objects.records).await?;
    let quarantined = tx.quarantine(key.connection, &objects.poisons).await?;
    let healed = tx
        .resolve_quarantine(key.connection, "company", &healthy)
        .await?;
    if !served.is_empty() {
        // Fetches that were queued during the calls are for a later state, so they stay.
        tx.complete_company_fetches(key.connection, &served, served_until(cx, fetches))
            .await?;
    }
    let converted = set_aside(&mut tx, cx, "company", &unread).await?;
    let unread: Vec<String> = unread.into_iter().map(|unread| unread.source_id).collect();
    tx.drop_company_fetches(key.connection, &unread).await?;
    tx.note_alive(key.connection, key.stream, &alive).await?;
    // Counted again under the stream's lock. A page of contacts may have queued more during the calls, and the stream
    // that it made due must not be put off to the next scroll.
    let more = tx.pending_company_fetches(key.connection, 1).await?.all > 0;
    let delta = ProofDelta {
        alive: written.alive,
        quarantined,
        healed: healed + converted,
    };
    tx.save_cursor(key, &serde_json::Value::Null, delta).await?;
    // Only a company that two scrolls left out is ended by its 404. Others may come back.
    tx.mark_companies_deleted(key, &gone).await?;
    if !more && trouble.is_none() {
        let retry = tx.next_retry_in(key.connection, "company").await?;
        let end = walk_end(cx, cx.state.now, false, None);
        let next_in_seconds = match retry {
            // The scroll rests, and its own time is not over before its next try.
            Some(retry) if rests => Some(retry),
            Some(retry) => end.next_in_seconds.map(|next| next.min(retry)),
            None => end.next_in_seconds,
        };
        tx.end_walk(
            key,
            &WalkEnd {
                next_in_seconds,
                ..end
            },
        )
        .await?;
    }
    tx.commit().await?;
    written.count(Stream::Companies);
    match trouble {
        // The answers before it are stored, so a failure costs only its own calls.
        Some(error) => Err(error.into()),
        None if more => Ok(Verdict::Requeue.into()),
        None => Ok(Verdict::Done.into()),
    }
}
