//! A page of stubs: asked for, fetched and read. It is not stored yet.

use std::time::Instant;

use chrono::{DateTime, Utc};

use super::{SliceError, page_objects::PageObjects, walk_ranges::RangeEnd};
use crate::{
    domain::{Class, records::Conversation},
    intercom::{
        Endpoint, Error, MemoryPermit, Response, Search, Workspace,
        wire::{self, Page},
    },
};

/// A call in flight: the range that it reads, and what it asks for.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) range: RangeEnd,
    /// It looks for a failing record, and does not read on.
    pub(super) is_probe: bool,
    pub(super) class: Class,
    pub(super) at: Instant,
}

/// The stubs of a page, and what it says of the search.
pub(super) struct ConversationPage {
    pub(super) objects: PageObjects<Conversation>,
    /// Intercom's cursor of the next page.
    pub(super) next: Option<String>,
    /// Intercom's count of what the search finds.
    pub(super) total: Option<i64>,
    /// By Intercom's clock.
    pub(super) at: DateTime<Utc>,
    /// Of the answer, in bytes.
    pub(super) size: usize,
    /// The answer's part of the memory, which its records take until they are stored.
    pub(super) permit: MemoryPermit,
}

impl ConversationPage {
    pub(super) fn is_empty(&self) -> bool {
        self.objects.records.is_empty() && self.objects.poisons.is_empty()
    }
}

/// A page, or why its answer is none.
pub(super) type Read = Result<ConversationPage, SliceError>;

/// Fetches a page and reads its stubs. It borrows nothing, so it can run beside the slice.
///
/// # Errors
/// The call's own. Those of its answer are in [`Read`].
pub(super) async fn fetch(workspace: Workspace, search: Search) -> Result<Read, Error> {
    let read = Endpoint::ConversationsSearch { search: &search };
    let answer = workspace.read(&read).await?;
    Ok(read_stubs(answer))
}

fn read_stubs(answer: Response) -> Read {
    let page = Page::split(&answer.body)?;
    let next = page.next_cursor()?.map(str::to_owned);
    let objects = PageObjects::of_page(&answer, &page.items, wire::read_conversation)?;
    Ok(ConversationPage {
        objects,
        next,
        total: page.total_count,
        at: answer.at,
        size: answer.size(),
        permit: answer.into_permit(),
    })
}
