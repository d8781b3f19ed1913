//! The lists of reference data: admins, teams, tags, segments and attributes.

use chrono::{DateTime, Utc};

use super::{SliceError, reference_walk::ReferenceWalk, slice::SliceContext};
use crate::{
    domain::records::{Poison, ReferenceItem},
    intercom::{
        Endpoint, Error, Refusal, Version,
        wire::{self, Page, ReferenceKind},
    },
    store::ProofDelta,
};

/// One list as Intercom gave it.
struct List {
    /// By Intercom's clock.
    at: DateTime<Utc>,
    items: Vec<ReferenceItem>,
    poisons: Vec<Poison>,
}

/// Reads the lists. Each has its own scope, so one refused list does not stop the others.
pub(super) async fn read_lists(
    cx: &SliceContext<'_>,
    walk: &mut ReferenceWalk,
) -> Result<(), SliceError> {
    let mut undecided = None;
    for kind in ReferenceKind::ALL {
        if walk.done.contains(&kind) {
            continue;
        }
        let list = match read_list(cx, kind).await {
            Ok(list) => Some(list),
            Err(SliceError::Intercom(error)) => match error.refusal() {
                Some(Refusal::NotInVersion) => None,
                Some(Refusal::MissingScope | Refusal::PlanRestricted) => {
                    walk.refused.push(kind);
                    None
                }
                Some(Refusal::Unauthorized | Refusal::BadRequest) => {
                    // The other lists tell a dead token from a missing scope.
                    undecided = Some((kind, error));
                    continue;
                }
                _ => return Err(error.into()),
            },
            Err(error) => return Err(error),
        };
        store_list(cx, walk, kind, list).await?;
    }
    decide(walk, undecided)
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
    if let Some(List { at, items, poisons }) = list {
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
    tx.save_cursor(key, walk, ProofDelta::default()).await?;
    tx.commit().await?;
    Ok(())
}

/// Decides about a list that was refused with a 401 or a 400. A token that is refused every list may be dead. A token
/// that is refused one lacks a scope.
fn decide(
    walk: &mut ReferenceWalk,
    undecided: Option<(ReferenceKind, Error)>,
) -> Result<(), SliceError> {
    let Some((kind, error)) = undecided else {
        return Ok(());
    };
    if error.refusal() == Some(&Refusal::Unauthorized) && walk.started_at.is_some() {
        walk.refused.push(kind);
        return Ok(());
    }
    Err(error.into())
}

async fn read_list(cx: &SliceContext<'_>, kind: ReferenceKind) -> Result<List, SliceError> {
    // 2.16 moved conversation attributes to a list of their own.
    let has_own_list = cx.workspace.version() >= Version::V2_16;
    let answer = cx.workspace.read(&endpoint(kind, has_own_list)).await?;
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
    Ok(List {
        at: answer.at,
        items,
        poisons,
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
