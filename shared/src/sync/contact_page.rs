//! A page of contacts: read, and completed by what it does not show.

use std::collections::HashSet;

use super::{
    SliceError, contact_companies, contact_walk::ContactWalk, course::Course,
    page_objects::PageObjects, slice::SliceContext,
};
use crate::{
    domain::records::Contact,
    intercom::{
        Endpoint, Error, Response, Search,
        wire::{self, Page},
    },
    store::SetAside,
};

/// The contacts of a page, not stored yet.
#[derive(Default)]
pub(super) struct ContactsRead {
    pub(super) objects: PageObjects<Contact>,
    /// Whether the walk has seen all it came for.
    pub(super) ended: bool,
    /// Intercom's count of what the list or the search holds.
    pub(super) total: Option<i64>,
}

/// An answer as it was read. It takes a core for milliseconds, so it is made where the call ran and not in between two
/// pages.
pub(super) struct ContactsAnswer {
    pub(super) response: Response,
    objects: PageObjects<Contact>,
    items: i64,
    next: Option<String>,
    total: Option<i64>,
}

impl ContactsAnswer {
    /// # Errors
    /// If the response is not a page.
    pub(super) fn read(response: Response) -> Result<Self, Error> {
        let page = Page::split(&response.body)?;
        Ok(Self {
            objects: PageObjects::of_page(&response, &page.items, wire::read_contact)?,
            items: page.items.len() as i64,
            next: page.next_cursor()?.map(str::to_owned),
            total: page.total_count,
            response,
        })
    }
}

/// Moves the walk behind an answer, in memory.
///
/// # Errors
/// If the answer leads to itself.
pub(super) fn take_in(
    cx: &SliceContext<'_>,
    course: &mut Course<ContactWalk>,
    answer: ContactsAnswer,
) -> Result<(Response, ContactsRead), SliceError> {
    let ContactsAnswer {
        response, objects, ..
    } = answer;
    course.pages.note(answer.items, response.at);
    if course.chain.leads_to_itself(answer.next.as_deref()) {
        return Err(SliceError::StartOver("intercom repeats its cursor"));
    }
    course.note_landed(response.size());
    let ended = course.advance(cx, answer.next, &objects.records);
    course.note_page();
    course.pages.poisoned += objects.poisons.len() as i64;
    let read = ContactsRead {
        objects,
        ended,
        total: answer.total,
    };
    Ok((response, read))
}

/// What other calls say of a page.
pub(super) struct Completed {
    /// Contacts whose companies were not read, or the contact that no page shows.
    pub(super) unread: Vec<SetAside>,
    /// Intercom's count of all contacts.
    pub(super) total: Option<i64>,
}

/// Reads what a page does not show: the companies of contacts that have many, and the count at the end of a poll.
///
/// This comes before the transaction, because the calls may take seconds and the stream must not be locked for so long.
///
/// # Errors
/// See [`SliceError`].
pub(super) async fn complete(
    cx: &SliceContext<'_>,
    course: &Course<ContactWalk>,
    page: &mut ContactsRead,
) -> Result<Completed, SliceError> {
    let cut = cut_lists(cx, course, &page.objects.records).await?;
    let is_cut = |contact: &Contact| cut.contains(&contact.source_id);
    let unread = contact_companies::complete(cx, &mut page.objects, is_cut).await?;
    let count = Endpoint::ContactsSearch {
        search: &Search::count_all(),
        merge_history: false,
    };
    // A poll between two pages counts nothing, because the walk counts at its end.
    let counts = page.ended && !course.is_polling();
    let total = course.pages.total(cx, page.total, counts, &count).await?;
    Ok(Completed { unread, total })
}

/// Contacts that do not show all of their companies, and whose others are to be read. A full walk reads all of them,
/// because such a list may change without a trace in its contact. A poll reads those of changed contacts.
async fn cut_lists(
    cx: &SliceContext<'_>,
    course: &Course<ContactWalk>,
    contacts: &[Contact],
) -> Result<HashSet<String>, SliceError> {
    let cut: Vec<Contact> = contacts
        .iter()
        .filter(|contact| !contact.companies.is_whole() && !course.is_stored(contact))
        .cloned()
        .collect();
    if course.pages.is_full() || cut.is_empty() {
        return Ok(cut.into_iter().map(|contact| contact.source_id).collect());
    }
    let mut tx = cx.begin_unfenced().await?;
    Ok(tx.changed_contacts(cx.key.connection, &cut).await?)
}
