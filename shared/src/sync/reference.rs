//! Reference data on its slow timer: what ids stand for, what was deleted, and whether the token lives.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use super::{Progress, SliceError, Sliced, blocked, slice::Slice};
use crate::{
    domain::{Mode, Stream, records::Poison},
    intercom::{
        Error, Read, Refusal, Version,
        wire::{self, Next, Page, ReferenceKind},
    },
    store::WalkEnd,
};

pub(super) async fn slice(slice: &Slice<'_>) -> Result<Sliced, SliceError> {
    let key = slice.key;
    let mut made_due = Vec::new();
    if !slice.state.active {
        // The connection waits for the customer; this is how it heals by itself if access comes back.
        slice.workspace.read(&Read::Me).await?;
        let mut tx = slice.ctx.store.begin_fenced_whole(key).await?;
        tx.revive_connection(key).await?;
        tx.commit().await?;
        made_due.extend(Stream::ALL.iter().copied().filter(|stream| *stream != Stream::Reference));
    }

    let mut tx = slice.ctx.store.begin_fenced(key).await?;
    tx.start_runs(key).await?;
    tx.commit().await?;
    let (mut started_at, mut refused, mut failed) = (None, false, None);
    for kind in ReferenceKind::ALL {
        match read_kind(slice, kind).await {
            Ok((at, items, poisons)) => {
                started_at.get_or_insert(at);
                let mut tx = slice.ctx.store.begin_fenced(key).await?;
                tx.write_reference(key.connection, kind.as_str(), &items).await?;
                tx.quarantine(key.connection, &poisons).await?;
                tx.commit().await?;
            }
            // Each list has a scope of its own: one refused list does not keep the others away.
            Err(SliceError::Intercom(Error::Refused { refusal: Refusal::NotInVersion, .. })) => {}
            Err(SliceError::Intercom(Error::Refused {
                refusal: Refusal::MissingScope | Refusal::PlanRestricted,
                ..
            })) => refused = true,
            // A token that is refused every list may be dead; one that is refused some lacks a scope.
            Err(SliceError::Intercom(
                error @ Error::Refused { refusal: Refusal::Unauthorized | Refusal::BadRequest, .. },
            )) => failed = Some(error),
            Err(error) => return Err(error),
        }
    }
    match failed {
        Some(Error::Refused { refusal: Refusal::Unauthorized, .. }) if started_at.is_some() => {
            refused = true;
        }
        Some(error) => return Err(error.into()),
        None => {}
    }
    let started_at = started_at.unwrap_or(slice.state.now);
    let lag = TimeDelta::from_std(slice.ctx.config.rhythm.index_lag).unwrap_or_default();
    // The watermark is that of the deletions, the one thing here that is read by time.
    let since = slice.state.watermark.unwrap_or(slice.state.connected_at - lag);
    let watermark = mark_deleted(slice, since).await?.then_some(started_at - lag);
    end(slice, watermark, refused).await?;
    Ok(Sliced { progress: Progress::Done, made_due })
}

async fn end(slice: &Slice<'_>, watermark: Option<DateTime<Utc>>, refused: bool) -> Result<(), SliceError> {
    let key = slice.key;
    let rhythm = &slice.ctx.config.rhythm;
    let mut tx = slice.ctx.store.begin_fenced(key).await?;
    if refused {
        let why = blocked::missing_scope(Stream::Reference);
        tx.drop_from_runs(key, &why.code, &why.message).await?;
        tx.block_stream(key, &why, rhythm.reference.as_secs_f64()).await?;
    } else {
        tx.end_walk(
            key,
            &WalkEnd {
                mode: slice.state.mode.max(Mode::Full),
                begun_at: slice.state.now,
                watermark,
                full: true,
                missing: None,
                next_in_seconds: Slice::every(rhythm.reference),
            },
        )
        .await?;
    }
    tx.commit().await?;
    Ok(())
}

type Kind = (DateTime<Utc>, Vec<crate::domain::records::ReferenceItem>, Vec<Poison>);

async fn read_kind(slice: &Slice<'_>, kind: ReferenceKind) -> Result<Kind, SliceError> {
    let read = match kind {
        ReferenceKind::Admin => Read::Admins,
        ReferenceKind::Team => Read::Teams,
        ReferenceKind::Tag => Read::Tags,
        ReferenceKind::Segment => Read::Segments,
        ReferenceKind::ContactAttribute => Read::DataAttributes { model: "contact" },
        ReferenceKind::CompanyAttribute => Read::DataAttributes { model: "company" },
        // 2.16 moved them to a list of their own.
        ReferenceKind::ConversationAttribute if slice.workspace.version() < Version::V2_16 => {
            Read::DataAttributes { model: "conversation" }
        }
        ReferenceKind::ConversationAttribute => Read::ConversationAttributes,
    };
    let answer = slice.workspace.read(&read).await?;
    let page = Page::split(&answer.body)?;
    let (mut items, mut poisons) = (Vec::new(), Vec::new());
    for raw in page.items {
        match wire::read_reference(kind, raw) {
            wire::Read::Good(item) => items.push(item),
            wire::Read::Bad(poison) => {
                poisons.push(Poison { source_id: format!("{}/{}", kind.as_str(), poison.source_id), ..poison });
            }
        }
    }
    Ok((answer.at, items, poisons))
}

/// `GET /conversations/deleted` (2.16 on), newest first, back to what the last look has seen. False when it
/// cannot be read.
async fn mark_deleted(slice: &Slice<'_>, since: DateTime<Utc>) -> Result<bool, SliceError> {
    if slice.workspace.version() < Version::V2_16 {
        return Ok(false);
    }
    let mut number = 1;
    loop {
        let answer = match slice.workspace.read(&Read::ConversationsDeleted { page: number }).await {
            // Conversations may be out of the plan or the scope: their own stream says so.
            Err(Error::Refused {
                refusal: Refusal::PlanRestricted | Refusal::MissingScope | Refusal::Unauthorized | Refusal::NotInVersion,
                ..
            }) => return Ok(false),
            answer => answer?,
        };
        let page = Page::split(&answer.body)?;
        let deleted: Vec<(String, DateTime<Utc>)> = page.items.iter().filter_map(|raw| read_deleted(raw)).collect();
        let all_new = deleted.iter().all(|(_, at)| *at >= since);
        let mut tx = slice.ctx.store.begin_fenced(slice.key).await?;
        tx.mark_conversations_deleted(slice.key.connection, &deleted).await?;
        tx.commit().await?;
        match page.next {
            Some(Next::Number(next)) if all_new && next > number => number = next,
            _ => return Ok(true),
        }
    }
}

fn read_deleted(raw: &str) -> Option<(String, DateTime<Utc>)> {
    #[derive(Deserialize)]
    struct Deleted {
        id: String,
        deleted_at: i64,
    }
    let deleted: Deleted = serde_json::from_str(raw).ok()?;
    Some((deleted.id, DateTime::from_timestamp(deleted.deleted_at, 0)?))
}
