//! What happened in a workspace before the simulator started: merges, deletions, archivals.

use super::contacts::{end, merge};
use super::conversations::delete;
use crate::generate::{Times, World};
use crate::store::{Kind, State, Store, some};

/// Merges, deletes and archives as many contacts as the recipe says.
pub(crate) fn age_contacts(world: &World, store: &mut Store, times: &Times) {
    let spec = &world.spec;
    let mut rng = world.rng(Kind::Contact, 1 << 50);
    let leads: Vec<String> = store
        .contacts
        .iter()
        .filter(|entry| !entry.is_user)
        .map(|entry| entry.head.id.0.to_string())
        .take(spec.merged_contacts as usize)
        .collect();
    for (n, lead) in (0_i64..).zip(leads) {
        let at = times.end() - n * 60;
        let survivor = (0..64)
            .filter_map(|_| store.some_contact(&mut rng))
            .find(|id| store.contacts.get(id).is_some_and(|entry| entry.is_user));
        if let Some(survivor) = survivor {
            merge(store, &lead, &survivor, at, spec.survivor_moves);
        }
    }
    for _ in 0..spec.deleted_contacts {
        if let Some(id) = store.some_contact(&mut rng) {
            end(store, &id, &State::Deleted);
        }
    }
    for _ in 0..spec.archived_contacts {
        if let Some(id) = store.some_contact(&mut rng) {
            end(store, &id, &State::Archived);
        }
    }
}

/// Deletes as many conversations as the recipe says.
pub(crate) fn age_conversations(world: &World, store: &mut Store, times: &Times) {
    let mut rng = world.rng(Kind::Conversation, 1 << 50);
    for n in 0..i64::from(world.spec.deleted_conversations) {
        if let Some(id) = some(&store.conversations.by_created, &mut rng) {
            delete(store, &id, times.end() - n * 90, n % 2 == 0);
        }
    }
}
