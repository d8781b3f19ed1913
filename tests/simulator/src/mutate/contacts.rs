//! Changes to contacts.

use std::sync::Arc;

use rand::Rng;
use serde_json::json;

use super::{Change, Work};
use crate::generate::{At, contact, contact_lists, person_name, render, sentence};
use crate::model::Contact;
use crate::store::{ContactEntry, Id, Merge, State, Store, some};

/// How many entries a contact's sub-lists show.
const SHOWN: usize = 10;

impl Work<'_> {
    pub(crate) fn contacts(&mut self) -> Vec<String> {
        match self.order.change {
            Change::Update => self.update_contacts(),
            Change::Add => self.add_contacts(),
            Change::Merge => self.merge_contacts(),
            Change::Delete => self.end_contacts(&State::Deleted),
            Change::Archive => self.end_contacts(&State::Archived),
            Change::Unarchive => self.unarchive_contacts(),
            Change::Grow => self.grow_contacts(),
            Change::Redact => Vec::new(),
        }
    }

    fn update_contacts(&mut self) -> Vec<String> {
        let ids = self.targets(|_, _| true);
        for id in &ids {
            let at = self.moment();
            let name = person_name(&mut self.rng);
            let seats = self.rng.random_range(0..10_000);
            let note = sentence(&mut self.rng);
            edit(self.store, id, at, |contact, _| {
                contact.name = Some(name);
                contact.last_seen_at = Some(at);
                contact
                    .custom_attributes
                    .insert("seats".into(), json!(seats));
                contact
                    .custom_attributes
                    .insert("The One Ring".into(), json!(note));
            });
        }
        ids
    }

    fn add_contacts(&mut self) -> Vec<String> {
        (0..self.order.count)
            .map(|_| {
                let at = self.moment();
                let company = some(&self.store.companies.by_created, &mut self.rng);
                let number = self.store.next.contact;
                let times = At {
                    created: at,
                    updated: at,
                };
                let companies = company.into_iter().collect();
                let id = contact(self.world, self.store, number, times, companies);
                if let Some(mut entry) = self.store.contacts.take(&id) {
                    entry.searchable_from = at + i64::from(self.world.spec.index_delay_seconds);
                    self.store.contacts.put(entry);
                }
                id
            })
            .collect()
    }

    /// Pairs each source (a lead where there is one) with a live user.
    fn merge_contacts(&mut self) -> Vec<String> {
        let mut sources =
            self.targets(|store, id| store.contacts.get(id).is_some_and(|entry| !entry.is_user));
        if self.order.ids.is_empty() && sources.len() < self.order.count as usize {
            let more = self.targets(|_, _| true);
            let wanted = self.order.count as usize;
            for id in more {
                if sources.len() < wanted && !sources.contains(&id) {
                    sources.push(id);
                }
            }
        }
        sources.retain(|source| {
            let at = self.moment();
            let survivor = (0..64)
                .filter_map(|_| self.store.some_contact(&mut self.rng))
                .find(|id| {
                    id != source
                        && self
                            .store
                            .contacts
                            .get(id)
                            .is_some_and(|entry| entry.is_user)
                });
            survivor.is_some_and(|survivor| {
                merge(
                    self.store,
                    source,
                    &survivor,
                    at,
                    self.world.spec.survivor_moves,
                )
            })
        });
        sources
    }

    fn end_contacts(&mut self, state: &State) -> Vec<String> {
        let ids = self.targets(|_, _| true);
        for id in &ids {
            end(self.store, id, state);
        }
        ids
    }

    /// Lists and searches show the contacts again, with a new time of change.
    fn unarchive_contacts(&mut self) -> Vec<String> {
        let wanted = self.order.count as usize;
        let ids = if self.order.ids.is_empty() {
            let archived = self
                .store
                .contacts
                .iter()
                .filter(|entry| entry.head.state == State::Archived);
            archived
                .map(|entry| entry.head.id.0.to_string())
                .take(wanted)
                .collect()
        } else {
            self.order.ids.clone()
        };
        for id in &ids {
            let at = self.moment();
            let Some(mut entry) = self.store.contacts.take(id) else {
                continue;
            };
            if entry.head.state == State::Archived {
                entry.head.state = State::Live;
                if let Some(external_id) = &entry.external_id {
                    self.store
                        .external_ids
                        .insert(external_id.clone(), Arc::from(id.as_str()));
                }
            }
            self.store.contacts.put(entry);
            edit(self.store, id, at, |_, _| {});
        }
        ids
    }

    fn grow_contacts(&mut self) -> Vec<String> {
        let ids = self.targets(|_, _| true);
        for id in &ids {
            let at = self.moment();
            let count = self.rng.random_range(1..=12);
            let tags = self.store.reference.some_tags(&mut self.rng, count);
            let companies: Vec<String> = (0..count)
                .filter_map(|_| some(&self.store.companies.by_created, &mut self.rng))
                .collect();
            edit(self.store, id, at, |_, entry| {
                for tag in tags {
                    if !entry.tags.iter().any(|(id, _)| *id == tag.id) {
                        entry.tags.push((tag.id, at));
                    }
                }
                for company in companies {
                    if !entry.companies.contains(&company) {
                        entry.companies.push(company);
                    }
                }
            });
        }
        ids
    }
}

/// Changes a live contact's object and links, and moves its `updated_at`. Returns whether it
/// could: a contact with foreign bytes is left alone.
pub(crate) fn edit(
    store: &mut Store,
    id: &str,
    at: i64,
    change: impl FnOnce(&mut Contact, &mut ContactEntry),
) -> bool {
    let Some(mut entry) = store.contacts.take_live(id) else {
        return false;
    };
    let Ok(mut contact) = serde_json::from_slice::<Contact>(&entry.head.body) else {
        store.contacts.put(entry);
        return false;
    };
    leave_companies(store, &entry);
    change(&mut contact, &mut entry);
    entry.head.updated_at = entry.head.updated_at.max(at);
    contact.updated_at = entry.head.updated_at;
    contact_lists(&mut contact, &entry, SHOWN);
    entry.head.body = render(&contact);
    for company in &entry.companies {
        store
            .members
            .entry(Arc::from(company.as_str()))
            .or_default()
            .insert(Id(Arc::clone(&entry.head.id.0)));
    }
    store.contacts.put(entry);
    true
}

/// Takes a contact out of lists and searches. Its last form stays as it was.
pub(crate) fn end(store: &mut Store, id: &str, state: &State) {
    let Some(mut entry) = store.contacts.take_live(id) else {
        return;
    };
    leave_companies(store, &entry);
    if let Some(external_id) = &entry.external_id {
        store.external_ids.remove(external_id);
    }
    entry.head.state = state.clone();
    store.contacts.put(entry);
}

/// Merges `source` into `survivor`, which keeps its fields and remembers the merge.
/// Conversations keep naming the source, as nothing documented says that they move.
pub(crate) fn merge(
    store: &mut Store,
    source: &str,
    survivor: &str,
    at: i64,
    survivor_moves: bool,
) -> bool {
    let Some(role) = store
        .contacts
        .live(source)
        .map(|entry| if entry.is_user { "user" } else { "lead" })
    else {
        return false;
    };
    let record = Merge {
        kind: "merge_history",
        source_contact_id: source.to_owned(),
        source_contact_role: role,
        merged_at: at,
    };
    let moved = if survivor_moves { at } else { i64::MIN };
    let merged = edit(store, survivor, moved, |_, entry| entry.merges.push(record));
    if merged {
        end(store, source, &State::MergedInto(Arc::from(survivor)));
    }
    merged
}

fn leave_companies(store: &mut Store, entry: &ContactEntry) {
    for company in &entry.companies {
        if let Some(members) = store.members.get_mut(company.as_str()) {
            members.remove(&entry.head.id);
        }
    }
}
