//! The companies of a contact that shows ten of them and says that there are more.

use std::time::Duration;

use super::{SliceError, slice::SliceContext};
use crate::{
    domain::records::{Contact, Poison},
    intercom::{
        Endpoint, Error,
        wire::{self, Next, Page},
    },
};

/// How long the rate budget may keep a page waiting for the rest of a contact's companies.
const LONGEST_GAP: Duration = Duration::from_secs(25);

/// A contact shows ten companies; the rest has to be asked for, or its links would be cut. Where the rest cannot be
/// read, the contact cannot; where it is not to be had, its links stay as they are and nobody calls the copy complete.
pub(super) async fn complete(
    cx: &SliceContext<'_>,
    contacts: &mut Vec<Contact>,
    poisons: &mut Vec<Poison>,
) -> Result<(), SliceError> {
    let mut unreadable = Vec::new();
    for (place, contact) in contacts
        .iter_mut()
        .enumerate()
        .filter(|(_, contact)| contact.companies.is_none())
    {
        let mut rest = all_companies(cx, &contact.source_id).await?;
        // Merged or deleted since the page was made. But a 404 is also said of who lives, and then it is not the
        // last word.
        if matches!(rest, Rest::Gone) && lives(cx, &contact.source_id).await? {
            rest = all_companies(cx, &contact.source_id).await?;
            if matches!(rest, Rest::Gone) {
                poisons.push(Poison {
                    kind: "contact",
                    source_id: contact.source_id.clone(),
                    reason: "intercom shows ten of its companies and does not give the others"
                        .to_owned(),
                    raw: contact.raw.clone().into_bytes(),
                });
            }
        }
        match rest {
            Rest::All(companies) => contact.companies = Some(companies),
            Rest::Gone => {}
            Rest::Unreadable(reason) => unreadable.push((place, reason)),
        }
    }
    // From the last on, so that the places before stay what they are.
    for (place, reason) in unreadable.into_iter().rev() {
        let Contact { source_id, raw, .. } = contacts.remove(place);
        poisons.push(Poison {
            kind: "contact",
            source_id,
            reason: reason.to_owned(),
            raw: raw.into_bytes(),
        });
    }
    Ok(())
}

/// What is behind the ten companies that a contact shows.
enum Rest {
    All(Vec<String>),
    /// Intercom knows no such contact.
    Gone,
    Unreadable(&'static str),
}

async fn all_companies(cx: &SliceContext<'_>, id: &str) -> Result<Rest, SliceError> {
    let (mut companies, mut page) = (Vec::new(), 1);
    loop {
        // Waited for here: parking would throw the page away, and with little budget it would never end.
        let answer = match cx
            .read_patiently(&Endpoint::ContactCompanies { id, page }, LONGEST_GAP)
            .await
        {
            Err(error) if error.is_gone() => return Ok(Rest::Gone),
            Err(Error::TooLarge(_)) => {
                return Ok(Rest::Unreadable(
                    "its companies are more than an answer may be",
                ));
            }
            answer => answer?,
        };
        let list = Page::split(&answer.body)?;
        match wire::company_ids(&list.items) {
            Ok(ids) => companies.extend(ids),
            Err(reason) => return Ok(Rest::Unreadable(reason)),
        }
        match list.next {
            Some(Next::Number(next)) if next > page => page = next,
            _ => return Ok(Rest::All(companies)),
        }
    }
}

async fn lives(cx: &SliceContext<'_>, id: &str) -> Result<bool, SliceError> {
    match cx
        .read_patiently(
            &Endpoint::Contact {
                id,
                merge_history: false,
            },
            LONGEST_GAP,
        )
        .await
    {
        Err(error) if error.is_gone() => Ok(false),
        Err(Error::TooLarge(_)) => Ok(true),
        answer => Ok(answer.map(|_| true)?),
    }
}
