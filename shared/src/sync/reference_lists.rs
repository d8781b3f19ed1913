//! The lists of reference data: admins, teams, tags, segments and attributes.

use chrono::{DateTime, Utc};

use super::{
    SliceError, block_messages,
    reference_trouble::Trouble,
    reference_walk::ReferenceWalk,
    refusal::{Probe, probe},
    slice::SliceContext,
};
use crate::{
    domain::records::{Poison, ReferenceItem},
    intercom::{
        Endpoint, Error, MemoryPermit, Refusal, Version,
        wire::{self, Page, ReferenceKind},
    },
};

/// One list as Intercom gave it.
struct List {
    /// By Intercom's clock.
    at: DateTime<Utc>,
    items: Vec<ReferenceItem>,
    poisons: Vec<Poison>,
    /// The items count in the response memory until they are stored.
    _permit: MemoryPermit,
}

/// Reads the lists that are left. Each has its own scope and its own faults, so a list that fails does not stop the
/// others.
pub(super) async fn read_lists(
    cx: &SliceContext<'_>,
    walk: &mut ReferenceWalk,
) -> Result<Trouble, SliceError> {
    let mut trouble = Trouble::default();
    // Refusals are asked about again, so only those of this slice count.
    walk.refused.clear();
    let mut unauthorized = Vec::new();
    let mut answered = false;
    for kind in ReferenceKind::ALL {
        if walk.done.contains(&kind) {
            continue;
        }
        if walk.stops_here(cx) {
            break;
        }
        let error = match read_list(cx, kind).await {
            Ok(list) => {
                answered = true;
                store_list(cx, walk, kind, Some(list)).await?;
                continue;
            }
            Err(SliceError::Intercom(error)) => error,
            Err(error) => return Err(error),
        };
        match error.refusal() {
            Some(Refusal::NotInVersion) => store_list(cx, walk, kind, None).await?,
            Some(Refusal::MissingScope | Refusal::PlanRestricted) => walk.refused.push(kind),
            Some(Refusal::Unauthorized) => unauthorized.push((kind, error)),
            _ => trouble.note(block_messages::list_name(kind), error.into())?,
        }
    }
    decide(cx, walk, unauthorized, answered).await?;
    Ok(trouble)
}

/// Stores a list, or that there is none. Saved after each list, so that a crash or a spent budget repeats one list at
/// most.
async fn store_list(
    cx: &SliceContext<'_>,
    walk: &mut ReferenceWalk,
    kind: ReferenceKind,
    list: Option<List>,
) -> Result<(), SliceError> {
    let key = cx.key;
    let mut tx = cx.begin().await?;
    if let Some(List {
        at,
        items,
        poisons,
        _permit,
    }) = list
    {
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
    walk.done.push(kind);
    // No progress of the stream as a whole, because another list may be refused.
    tx.save_cursor_only(key, walk).await?;
    tx.commit().await?;
    Ok(())
}

/// Decides about lists that were refused with a 401. If another list was served, or `/me` is, the token lives and lacks
/// a scope.
async fn decide(
    cx: &SliceContext<'_>,
    walk: &mut ReferenceWalk,
    unauthorized: Vec<(ReferenceKind, Error)>,
    answered: bool,
) -> Result<(), SliceError> {
    let (kinds, errors): (Vec<_>, Vec<_>) = unauthorized.into_iter().unzip();
    let Some(error) = errors.into_iter().next() else {
        return Ok(());
    };
    if !answered && !matches!(probe(cx.ctx, cx.key).await, Probe::Alive) {
        return Err(error.into());
    }
    walk.refused.extend(kinds);
    Ok(())
}

async fn read_list(cx: &SliceContext<'_>, kind: ReferenceKind) -> Result<List, SliceError> {
    // 2.16 moved conversation attributes to a list of their own.
    let has_own_list = cx.workspace.version() >= Version::V2_16;
    let answer = cx.workspace.read(&endpoint(kind, has_own_list)).await?;
    let page = Page::split(&answer.body)?;
    if page.next.is_some() {
        // The first page alone would pass for the whole list.
        let why = "the list has further pages, which intercom does not document";
        return Err(Error::Unavailable(why.to_owned()).into());
    }
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
    Ok(List {
        at: answer.at,
        items,
        poisons,
        _permit: answer.into_permit(),
    })
}

const fn endpoint(kind: ReferenceKind, has_own_list: bool) -> Endpoint<'static> {
    match kind {
        ReferenceKind::Admin => Endpoint::Admins,
        ReferenceKind::Team => Endpoint::Teams,
        ReferenceKind::Tag => Endpoint::Tags,
        ReferenceKind::Segment => Endpoint::Segments,
        ReferenceKind::ContactAttribute => Endpoint::DataAttributes { model: "contact" },
        ReferenceKind::CompanyAttribute => Endpoint::DataAttributes { model: "company" },
        ReferenceKind::ConversationAttribute if !has_own_list => Endpoint::DataAttributes {
            model: "conversation",
        },
        ReferenceKind::ConversationAttribute => Endpoint::ConversationAttributes,
    }
}

/// The id in quarantine. Two lists may use one id, so it begins with the list's name.
fn named(kind: ReferenceKind, source_id: &str) -> String {
    format!("{}/{source_id}", kind.as_str())
}
