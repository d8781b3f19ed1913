//! Reference data on its slow timer: the names behind ids, deleted conversations, and whether the token still works.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{SliceError, SliceOutcome, audit, block_messages, slice::SliceContext};
use crate::{
    domain::{Mode, Stream, Verdict, records::Poison},
    intercom::{
        Endpoint, Error, Refusal, Version,
        wire::{self, Next, Page, ReferenceKind},
    },
    store::{ProofDelta, WalkEnd},
};

/// How far a walk has come.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct ReferenceWalk {
    begun_at: DateTime<Utc>,
    /// By Intercom's clock, at the first list that was read.
    started_at: Option<DateTime<Utc>>,
    /// Lists that were read, refused, or do not exist in this version.
    done: Vec<ReferenceKind>,
    refused: Vec<ReferenceKind>,
    /// The next page of deleted conversations. `None` when all pages are read.
    page: Option<u32>,
    /// Whether Intercom offers the list of deleted conversations.
    deletions: bool,
    audit: Option<audit::AuditState>,
}

/// Works one slice: every list, the deleted conversations, and the audit if it is due.
///
/// # Errors
/// See [`SliceError`].
#[tracing::instrument(name = "reference", skip_all)]
pub async fn run(cx: &SliceContext<'_>) -> Result<SliceOutcome, SliceError> {
    let mut also_due = Vec::new();
    if !cx.state.active {
        // The connection waits for the customer. If the token works again, it becomes active by itself.
        cx.workspace.read(&Endpoint::Me).await?;
        // Every stream of the connection changes, so all are locked in their one order.
        let mut tx = cx.begin_connection().await?;
        tx.revive_connection(cx.key).await?;
        tx.commit().await?;
        also_due.extend(
            Stream::ALL
                .iter()
                .copied()
                .filter(|stream| *stream != Stream::Reference),
        );
    }
    // The order matters: the lists tell whether the token works, and the audit is the most costly.
    let mut walk = open_walk(cx).await?;
    read_lists(cx, &mut walk).await?;
    mark_deleted(cx, &mut walk).await?;
    also_due.extend(audit(cx, &mut walk).await?);
    end(cx, walk).await?;
    Ok(SliceOutcome::from(Verdict::Done).with_due(also_due))
}

async fn open_walk(cx: &SliceContext<'_>) -> Result<ReferenceWalk, SliceError> {
    if let Some(walk) = cx.saved_walk() {
        return Ok(walk);
    }
    let mut tx = cx.begin().await?;
    tx.start_runs(cx.key).await?;
    tx.commit().await?;
    Ok(ReferenceWalk {
        begun_at: cx.state.now,
        started_at: None,
        done: Vec::new(),
        refused: Vec::new(),
        page: Some(1),
        deletions: cx.workspace.version() >= Version::V2_16,
        audit: None,
    })
}

/// Reads the lists. Each has its own scope, so one refused list does not stop the others.
async fn read_lists(cx: &SliceContext<'_>, walk: &mut ReferenceWalk) -> Result<(), SliceError> {
    let key = cx.key;
    let mut failed = None;
    for kind in ReferenceKind::ALL {
        if walk.done.contains(&kind) {
            continue;
        }
        let read = read_kind(cx, kind).await;
        let mut tx = cx.begin().await?;
        match read {
            Ok((at, items, poisons)) => {
                walk.started_at.get_or_insert(at);
                tx.write_reference(key.connection, kind.as_str(), &items)
                    .await?;
                tx.quarantine(key.connection, &poisons).await?;
                let ids: Vec<String> = items
                    .iter()
                    .map(|item| named(kind, &item.source_id))
                    .collect();
                tx.resolve_quarantine(key.connection, "reference", &ids)
                    .await?;
            }
            Err(SliceError::Intercom(Error::Refused {
                refusal: Refusal::NotInVersion,
                ..
            })) => {}
            Err(SliceError::Intercom(Error::Refused {
                refusal: Refusal::MissingScope | Refusal::PlanRestricted,
                ..
            })) => walk.refused.push(kind),
            Err(SliceError::Intercom(
                error @ Error::Refused {
                    refusal: Refusal::Unauthorized | Refusal::BadRequest,
                    ..
                },
            )) => {
                // Not decided yet: the other lists tell a dead token from a missing scope.
                failed = Some((kind, error));
                continue;
            }
            Err(error) => return Err(error),
        }
        // Saved after each list, so that a crash or a spent budget repeats one list at most.
        walk.done.push(kind);
        tx.save_cursor(key, walk, ProofDelta::default()).await?;
        tx.commit().await?;
    }
    match failed {
        // A token that is refused every list may be dead. A token that is refused one lacks a scope.
        Some((
            kind,
            Error::Refused {
                refusal: Refusal::Unauthorized,
                ..
            },
        )) if walk.started_at.is_some() => {
            walk.refused.push(kind);
            Ok(())
        }
        Some((_, error)) => Err(error.into()),
        None => Ok(()),
    }
}

/// Runs the daily [`audit`]. Returns the streams that it made due.
async fn audit(cx: &SliceContext<'_>, walk: &mut ReferenceWalk) -> Result<Vec<Stream>, SliceError> {
    let key = cx.key;
    if walk.audit.is_none() {
        walk.audit = audit::begin(cx).await?;
    }
    loop {
        let Some(progress) = &mut walk.audit else {
            return Ok(Vec::new());
        };
        let Some(mut tx) = audit::read_thread(cx, progress).await? else {
            return audit::end(cx, progress.found).await;
        };
        tx.save_cursor(key, walk, ProofDelta::default()).await?;
        tx.commit().await?;
    }
}

async fn end(cx: &SliceContext<'_>, walk: ReferenceWalk) -> Result<(), SliceError> {
    let key = cx.key;
    let intervals = &cx.config().intervals;
    let mut refused = walk.refused;
    // The `conversations` stream reports a missing plan or scope of its own.
    refused.retain(|kind| *kind != ReferenceKind::ConversationAttribute);
    let mut tx = cx.begin().await?;
    if refused.is_empty() {
        // Every list was read, so an object that is no longer unreadable is either stored or gone.
        tx.forget_quarantine(key.connection, "reference", walk.begun_at)
            .await?;
        tx.end_walk(
            key,
            &WalkEnd {
                mode: cx.state.mode.max(Mode::Full),
                begun_at: walk.begun_at,
                // For the deleted conversations, the only list that is read by time.
                watermark: walk
                    .deletions
                    .then(|| cx.watermark(walk.started_at.unwrap_or(walk.begun_at))),
                witness: None,
                full: true,
                missing: None,
                next_in_seconds: SliceContext::every(intervals.reference),
            },
        )
        .await?;
    } else {
        let why = block_messages::missing_lists(&refused);
        tx.drop_from_runs(key, &why.code, &why.message).await?;
        tx.save_cursor(key, &serde_json::Value::Null, ProofDelta::default())
            .await?;
        tx.block_stream(key, &why, intervals.reference.as_secs_f64())
            .await?;
    }
    tx.commit().await?;
    Ok(())
}

type Kind = (
    DateTime<Utc>,
    Vec<crate::domain::records::ReferenceItem>,
    Vec<Poison>,
);

async fn read_kind(cx: &SliceContext<'_>, kind: ReferenceKind) -> Result<Kind, SliceError> {
    let read = match kind {
        ReferenceKind::Admin => Endpoint::Admins,
        ReferenceKind::Team => Endpoint::Teams,
        ReferenceKind::Tag => Endpoint::Tags,
        ReferenceKind::Segment => Endpoint::Segments,
        ReferenceKind::ContactAttribute => Endpoint::DataAttributes { model: "contact" },
        ReferenceKind::CompanyAttribute => Endpoint::DataAttributes { model: "company" },
        // 2.16 moved conversation attributes to a list of their own.
        ReferenceKind::ConversationAttribute if cx.workspace.version() < Version::V2_16 => {
            Endpoint::DataAttributes {
                model: "conversation",
            }
        }
        ReferenceKind::ConversationAttribute => Endpoint::ConversationAttributes,
    };
    let answer = cx.workspace.read(&read).await?;
    let page = Page::split(&answer.body)?;
    let (mut items, mut poisons) = (Vec::new(), Vec::new());
    for raw in page.items {
        match wire::read_reference(kind, raw) {
            Ok(item) => items.push(item),
            Err(poison) => {
                poisons.push(Poison {
                    source_id: named(kind, &poison.source_id),
                    ..poison
                });
            }
        }
    }
    Ok((answer.at, items, poisons))
}

/// The id in quarantine. Two lists may use one id, so it begins with the list's name.
fn named(kind: ReferenceKind, source_id: &str) -> String {
    format!("{}/{source_id}", kind.as_str())
}

/// Reads `GET /conversations/deleted` (2.16 on), newest first, back to the last walk's watermark.
async fn mark_deleted(cx: &SliceContext<'_>, walk: &mut ReferenceWalk) -> Result<(), SliceError> {
    let since = cx
        .state
        .watermark
        .unwrap_or_else(|| cx.watermark(cx.state.connected_at));
    while let Some(number) = walk.page.filter(|_| walk.deletions) {
        let answer = match cx
            .workspace
            .read(&Endpoint::ConversationsDeleted { page: number })
            .await
        {
            // Conversations may be outside the plan or the scope. The `conversations` stream reports it.
            Err(Error::Refused {
                refusal:
                    Refusal::PlanRestricted
                    | Refusal::MissingScope
                    | Refusal::Unauthorized
                    | Refusal::NotInVersion,
                ..
            }) => {
                // The stream goes on without this list.
                walk.deletions = false;
                return Ok(());
            }
            answer => answer?,
        };
        let page = Page::split(&answer.body)?;
        let (mut deleted, mut poisons) = (Vec::new(), Vec::new());
        for raw in page.items {
            match wire::read_deleted(raw) {
                Ok(entry) => deleted.push((entry.source_id, entry.deleted_at)),
                Err(poison) => {
                    poisons.push(Poison {
                        source_id: format!("deleted/{}", poison.source_id),
                        ..poison
                    });
                }
            }
        }
        // A page with an entry from before the last walk is the last page with news.
        let all_new = deleted.iter().all(|(_, at)| *at >= since);
        walk.page = match page.next {
            Some(Next::Number(next)) if all_new && next > number => Some(next),
            _ => None,
        };
        let mut tx = cx.begin().await?;
        tx.mark_conversations_deleted(cx.key.connection, &deleted)
            .await?;
        tx.quarantine(cx.key.connection, &poisons).await?;
        tx.save_cursor(cx.key, walk, ProofDelta::default()).await?;
        tx.commit().await?;
    }
    Ok(())
}
