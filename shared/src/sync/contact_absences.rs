//! Contacts that were absent from two full walks are fetched by id, because absence alone deletes nothing.

use chrono::Utc;
use futures::{StreamExt, stream};

use super::{
    SliceError, contact_companies, page_objects::PageObjects, record_faults::stops_all,
    slice::SliceContext,
};
use crate::{
    domain::records::{Contact, Poison},
    intercom::{Endpoint, Error, Refusal, Response, wire},
    store::{Retry, SetAside},
};

/// What Intercom says of a batch of absent contacts.
#[derive(Default)]
pub(super) struct Absent {
    pub(super) objects: PageObjects<Contact>,
    /// Ids that are not deleted, readable or not.
    pub(super) alive: Vec<String>,
    pub(super) deleted: Vec<String>,
    /// Ids that were merged, each with the id of its survivor.
    pub(super) merged: Vec<(String, String)>,
    /// Ids whose answer leaves nothing to ask for.
    pub(super) answered: Vec<String>,
    /// Contacts that Intercom does not give. Each is asked for again on its own timer.
    pub(super) set_aside: Vec<SetAside>,
    /// Why the batch stopped. It says nothing of a contact.
    pub(super) trouble: Option<Error>,
    /// Kept until what was read from them is stored, because they count in the response memory.
    bodies: Vec<Response>,
}

/// Fetches a batch of absent contacts.
pub(super) async fn fetch(cx: &SliceContext<'_>, ids: Vec<String>) -> Result<Absent, SliceError> {
    let answers: Vec<_> = stream::iter(ids)
        .map(|id| async move {
            let read = Endpoint::Contact {
                id: &id,
                merge_history: false,
            };
            let answer = cx.workspace.read(&read).await;
            // It is kept while the others come.
            if let Ok(answer) = &answer {
                answer.release_slot();
            }
            (id, answer)
        })
        .buffer_unordered(cx.config().conversation_concurrency)
        .collect()
        .await;
    let mut absent = Absent::default();
    for (id, answer) in answers {
        absent.add(id, answer);
    }
    let now = absent
        .bodies
        .last()
        .map_or_else(Utc::now, |answer| answer.at);
    let bodies = absent.bodies.iter().map(|answer| answer.body.as_str());
    absent.objects = PageObjects::read(bodies, now, wire::read_contact);
    // A contact whose companies are not read is stored without them, and they are asked for on their own.
    let lists = contact_companies::complete(cx, &mut absent.objects, |_| true).await?;
    let unread = |id: &String| {
        let is_poison = |poison: &Poison| poison.source_id == *id;
        lists.iter().any(|list| list.source_id == *id)
            || absent.objects.poisons.iter().any(is_poison)
    };
    let whole = absent.alive.iter().filter(|id| !unread(id)).cloned();
    absent.answered = whole
        .chain(absent.deleted.iter().cloned())
        .chain(absent.merged.iter().map(|(id, _)| id.clone()))
        .collect();
    absent.set_aside.extend(lists);
    Ok(absent)
}

impl Absent {
    fn add(&mut self, id: String, answer: Result<Response, Error>) {
        match answer {
            Ok(answer) => {
                self.bodies.push(answer);
                self.alive.push(id);
            }
            Err(Error::Refused {
                refusal:
                    Refusal::Merged {
                        into: Some(survivor),
                    },
                ..
            }) => self.merged.push((id, survivor)),
            Err(error) if error.is_gone() => self.deleted.push(id),
            // An id that Intercom could never have given cannot be fetched, and an oversized contact is not deleted.
            Err(Error::BadId(_) | Error::TooLarge(_)) => self.alive.push(id),
            Err(error) if stops_all(&error) => self.trouble = Some(error),
            Err(error) => {
                let reason = format!("no list shows the contact, and its own call fails: {error}");
                let unread = SetAside::unread(id, Retry::Record, reason);
                self.set_aside.push(unread);
            }
        }
    }
}
