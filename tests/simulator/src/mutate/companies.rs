//! Changes to companies.

use std::sync::Arc;

use rand::Rng;
use serde_json::json;

use super::contacts::edit as edit_contact;
use super::{Change, Work};
use crate::generate::{At, company, render, sentence};
use crate::model::Company;
use crate::store::{CompanyEntry, State, Store};

impl Work<'_> {
    pub(crate) fn companies(&mut self) -> Vec<String> {
        match self.order.change {
            Change::Update => self.update_companies(),
            Change::Add => self.add_companies(),
            Change::Delete | Change::Archive => self.delete_companies(),
            Change::Grow => self.grow_companies(),
            Change::Merge | Change::Redact | Change::Unarchive => Vec::new(),
        }
    }

    fn update_companies(&mut self) -> Vec<String> {
        let ids = self.targets(|_, _| true);
        for id in &ids {
            let at = self.moment();
            let spend = self.rng.random_range(0..50_000);
            let note = sentence(&mut self.rng);
            edit(self.store, id, at, |company, entry| {
                company.monthly_spend = spend;
                company.session_count += 1;
                company.last_request_at = Some(at);
                entry.last_request_at = Some(at);
                company
                    .custom_attributes
                    .insert("renewal_note".into(), json!(note));
            });
            if self.order.touch_contact {
                self.touch_member(id, at);
            }
        }
        ids
    }

    /// Moves one contact of the company, as a request that names both does.
    fn touch_member(&mut self, company: &str, at: i64) {
        let Some(members) = self
            .store
            .members
            .get(company)
            .filter(|set| !set.is_empty())
        else {
            return;
        };
        let nth = self.rng.random_range(0..members.len().min(50));
        let member = members.iter().nth(nth).map(|id| Arc::clone(&id.0));
        if let Some(member) = member {
            edit_contact(self.store, &member, at, |contact, _| {
                contact.last_seen_at = Some(at);
            });
        }
    }

    fn add_companies(&mut self) -> Vec<String> {
        (0..self.order.count)
            .map(|_| {
                let at = self.moment();
                let number = self.store.next.company;
                let times = At {
                    created: at,
                    updated: at,
                };
                let member = self.store.some_contact(&mut self.rng);
                let users = u32::from(member.is_some());
                let id = company(self.world, self.store, number, times, users);
                if let Some(member) = member {
                    edit_contact(self.store, &member, at, |_, entry| {
                        entry.companies.push(id.clone());
                    });
                }
                id
            })
            .collect()
    }

    fn grow_companies(&mut self) -> Vec<String> {
        let ids = self.targets(|_, _| true);
        for id in &ids {
            let at = self.moment();
            let Some(member) = self.store.some_contact(&mut self.rng) else {
                break;
            };
            edit_contact(self.store, &member, at, |_, entry| {
                if !entry.companies.contains(id) {
                    entry.companies.push(id.clone());
                }
            });
            edit(self.store, id, at, |company, _| company.user_count += 1);
        }
        ids
    }

    /// Deletes companies. Their contacts are detached, which updates the contacts.
    fn delete_companies(&mut self) -> Vec<String> {
        let ids = self.targets(|_, _| true);
        for id in &ids {
            let at = self.moment();
            let members: Vec<Arc<str>> = self
                .store
                .members
                .get(id.as_str())
                .into_iter()
                .flatten()
                .map(|id| Arc::clone(&id.0))
                .collect();
            for member in members {
                edit_contact(self.store, &member, at, |_, entry| {
                    entry.companies.retain(|company| company != id);
                });
            }
            if let Some(mut entry) = self.store.companies.take(id) {
                entry.head.state = State::Deleted;
                self.store.companies.put(entry);
            }
        }
        ids
    }
}

/// Changes a live company and moves its `updated_at`.
fn edit(
    store: &mut Store,
    id: &str,
    at: i64,
    change: impl FnOnce(&mut Company, &mut CompanyEntry),
) {
    let Some(mut entry) = store.companies.take_live(id) else {
        return;
    };
    if let Ok(mut company) = serde_json::from_slice::<Company>(&entry.head.body) {
        change(&mut company, &mut entry);
        entry.head.updated_at = entry.head.updated_at.max(at);
        company.updated_at = entry.head.updated_at;
        entry.head.body = render(&company);
    }
    store.companies.put(entry);
}
