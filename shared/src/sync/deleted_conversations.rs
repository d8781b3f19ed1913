//! The list of deleted conversations, which no search shows.

use chrono::{DateTime, Utc};

use super::{SliceError, reference_walk::ReferenceWalk, slice::SliceContext};
use crate::{
    domain::records::Poison,
    intercom::{
        Endpoint, Error, Refusal,
        wire::{self, Page},
    },
};

/// Reads `GET /conversations/deleted` (2.16 on), newest first, back to the last walk's watermark.
pub(super) async fn mark_deleted(
    cx: &SliceContext<'_>,
    walk: &mut ReferenceWalk,
) -> Result<(), SliceError> {
    let since = cx
        .state
        .watermark
        .unwrap_or_else(|| cx.watermark(cx.state.connected_at));
    while let Some(number) = walk.page.filter(|_| walk.deletions) {
        if walk.stops_here(cx) {
            break;
        }
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
        let (deleted, poisons) = read_page(&page);
        // A page with an entry from before the last walk is the last page with news.
        let all_new = deleted.iter().all(|(_, at)| *at >= since);
        walk.page = if all_new {
            page.next_number(number)?
        } else {
            None
        };
        let mut tx = cx.begin().await?;
        tx.mark_conversations_deleted(cx.key.connection, &deleted)
            .await?;
        tx.quarantine(cx.key.connection, &poisons).await?;
        tx.save_cursor_only(cx.key, walk).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// The deleted conversations of a page, each with its time, and the entries that could not be read.
fn read_page(page: &Page<'_>) -> (Vec<(String, DateTime<Utc>)>, Vec<Poison>) {
    let (mut deleted, mut poisons) = (Vec::new(), Vec::new());
    for raw in &page.items {
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
    (deleted, poisons)
}
