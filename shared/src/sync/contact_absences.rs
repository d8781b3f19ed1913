//! Contacts that were absent from two full walks are fetched by id, because absence alone deletes nothing.

use chrono::Utc;
use futures::{StreamExt, stream};

use super::{SliceError, contact_companies, page_objects::PageObjects, slice::SliceContext};
use crate::{
    domain::records::Contact,
    intercom::{Endpoint, Error, Refusal, wire},
};

/// Contacts fetched by id in one slice.
const FETCHES_PER_SLICE: i64 = 100;

/// What Intercom says of a batch of absent contacts.
pub(super) struct Absent {
    pub(super) objects: PageObjects<Contact>,
    /// Ids that are not deleted, readable or not.
    pub(super) alive: Vec<String>,
    pub(super) deleted: Vec<String>,
    /// Ids that were merged, each with the id of its survivor.
    pub(super) merged: Vec<(String, String)>,
    /// The failure of a call that says nothing of its contact.
    pub(super) trouble: Option<Error>,
}

/// Fetches a batch of absent contacts.
pub(super) async fn fetch(cx: &SliceContext<'_>) -> Result<Absent, SliceError> {
    let mut tx = cx.begin().await?;
    let ids = tx.absentees(cx.key, FETCHES_PER_SLICE).await?;
    // The calls may take long, so they hold no transaction.
    tx.commit().await?;
    let answers: Vec<_> = stream::iter(ids)
        .map(|id| async move {
            let read = Endpoint::Contact {
                id: &id,
                merge_history: false,
            };
            let answer = cx.workspace.read(&read).await;
            (id, answer)
        })
        .buffer_unordered(cx.config().conversation_concurrency)
        .collect()
        .await;
    let (mut alive, mut deleted, mut merged, mut trouble) =
        (Vec::new(), Vec::new(), Vec::new(), None);
    let (mut bodies, mut now) = (Vec::new(), Utc::now());
    for (id, answer) in answers {
        match answer {
            Ok(answer) => {
                now = answer.at;
                bodies.push(answer.body);
                alive.push(id);
            }
            Err(Error::Refused {
                refusal:
                    Refusal::Merged {
                        into: Some(survivor),
                    },
                ..
            }) => merged.push((id, survivor)),
            Err(error) if error.is_gone() => deleted.push(id),
            // An id that Intercom could never have given cannot be fetched, and an oversized contact is not deleted.
            Err(Error::BadId(_) | Error::TooLarge(_)) => alive.push(id),
            Err(error) => trouble = Some(error),
        }
    }
    let bodies = bodies.iter().map(String::as_str);
    let mut objects = PageObjects::read(bodies, now, wire::read_contact);
    contact_companies::complete(cx, &mut objects).await?;
    Ok(Absent {
        objects,
        alive,
        deleted,
        merged,
        trouble,
    })
}
