//! A contact shows ten of its companies and says that there are more. The others are fetched here.

use std::time::Duration;

use super::{SliceError, page_objects::PageObjects, slice::SliceContext};
use crate::{
    domain::records::{Contact, Poison, SubList},
    intercom::{
        Endpoint, Error,
        wire::{self, Page},
    },
};

/// How long the rate budget may delay a page of contacts for the companies of one.
const MAX_GAP: Duration = Duration::from_secs(25);

/// Fetches the companies of contacts that show only some, because their links would be cut otherwise. A contact whose
/// companies are unreadable is unreadable itself. If Intercom does not give the companies, the contact keeps its
/// links, and its quarantine keeps the copy incomplete.
pub(super) async fn complete(
    cx: &SliceContext<'_>,
    objects: &mut PageObjects<Contact>,
) -> Result<(), SliceError> {
    let PageObjects { records, poisons } = objects;
    let mut unreadable = Vec::new();
    for (index, contact) in records
        .iter_mut()
        .enumerate()
        .filter(|(_, contact)| !contact.companies.is_whole())
    {
        let mut companies = all_companies(cx, &contact.source_id).await?;
        // The contact may have been merged or deleted since the page was made. Intercom also answers 404 for living
        // contacts, so a living one is asked for once more.
        if matches!(companies, Companies::Gone) && is_alive(cx, &contact.source_id).await? {
            companies = all_companies(cx, &contact.source_id).await?;
            if matches!(companies, Companies::Gone) {
                poisons.push(poison(
                    contact.clone(),
                    "intercom shows ten of its companies and does not give the others",
                ));
            }
        }
        match companies {
            Companies::Read(companies) => contact.companies = companies,
            Companies::Gone => {}
            Companies::Unreadable(reason) => unreadable.push((index, reason)),
        }
    }
    // Removed from the end, so that the indexes before stay valid.
    for (index, reason) in unreadable.into_iter().rev() {
        poisons.push(poison(records.remove(index), reason));
    }
    Ok(())
}

fn poison(contact: Contact, reason: &str) -> Poison {
    Poison {
        kind: "contact",
        source_id: contact.source_id,
        reason: reason.to_owned(),
        raw: contact.raw.into_bytes(),
    }
}

/// The companies of one contact.
enum Companies {
    Read(SubList),
    /// Intercom knows no such contact.
    Gone,
    Unreadable(&'static str),
}

async fn all_companies(cx: &SliceContext<'_>, id: &str) -> Result<Companies, SliceError> {
    let (mut companies, mut shown, mut page) = (Vec::new(), 0, 1);
    loop {
        // The wait is spent here. Snoozing would drop the page of contacts, and with little budget it would never end.
        let answer = match cx
            .read_patiently(&Endpoint::ContactCompanies { id, page }, MAX_GAP)
            .await
        {
            Err(error) if error.is_gone() => return Ok(Companies::Gone),
            Err(Error::TooLarge(_)) => {
                return Ok(Companies::Unreadable(
                    "the list of its companies is larger than an answer may be",
                ));
            }
            answer => answer?,
        };
        let list = Page::split(&answer.body)?;
        shown += list.items.len() as i64;
        match wire::company_ids(&list.items) {
            Ok(ids) => companies.extend(ids),
            Err(reason) => return Ok(Companies::Unreadable(reason)),
        }
        if let Some(next) = list.next_number(page)? {
            page = next;
            continue;
        }
        // A list that counts more than it shows says nothing of the others.
        let is_whole = list.total_count.is_none_or(|total| total <= shown);
        return Ok(Companies::Read(if is_whole {
            SubList::Whole(companies)
        } else {
            SubList::Part(companies)
        }));
    }
}

async fn is_alive(cx: &SliceContext<'_>, id: &str) -> Result<bool, SliceError> {
    let read = Endpoint::Contact {
        id,
        merge_history: false,
    };
    match cx.read_patiently(&read, MAX_GAP).await {
        Err(error) if error.is_gone() => Ok(false),
        // Only a living contact has an answer of this size.
        Err(Error::TooLarge(_)) => Ok(true),
        answer => Ok(answer.map(|_| true)?),
    }
}
