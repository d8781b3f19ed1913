//! A reader that follows `updated_since` holds what the lists show.

use std::collections::BTreeMap;

use intercom_simulator::{Kind, Mutation};
use serde_json::Value;
use shared::{
    completeness::StreamActivity,
    domain::{Mode, Stream},
};

use crate::support::{Caller, Case, OBJECTS, cases, held, of, tiny};

const LISTS: [&str; 3] = ["contacts", "companies", "conversations"];

/// What a reader holds that has only ever read changes, by list and id.
struct Follower {
    caller: Caller,
    copies: BTreeMap<&'static str, BTreeMap<String, Value>>,
    /// The newest change that it has seen, by list.
    newest: BTreeMap<&'static str, String>,
}

impl Follower {
    async fn of(case: &Case) -> Self {
        let base = case.world.api().await;
        Self {
            caller: Caller::service(&case.world, &base, Some(case.tenant)),
            copies: BTreeMap::new(),
            newest: BTreeMap::new(),
        }
    }

    /// Reads the changes since the last time, and then compares its copy with the lists.
    async fn follow(&mut self) {
        for list in LISTS {
            self.read_changes(list).await;
            let shown = self.caller.all(&format!("/v1/{list}")).await;
            let shown: BTreeMap<String, Value> =
                shown.into_iter().map(|item| (id(&item), item)).collect();
            assert_eq!(self.copies[list], shown, "{list}");
        }
    }

    async fn read_changes(&mut self, list: &'static str) {
        let since = self
            .newest
            .get(list)
            .map_or("1970-01-01T00:00:00Z", String::as_str);
        let query = format!("&include=deleted&updated_since={since}");
        let changes = self.caller.all_with(&format!("/v1/{list}"), &query).await;
        let copy = self.copies.entry(list).or_default();
        for item in &changes {
            if item["deleted_at"].is_null() && item["merged_into"].is_null() {
                copy.insert(id(item), item.clone());
            } else {
                copy.remove(&id(item));
            }
        }
        if let Some(newest) = changes.first() {
            let at = newest["updated_at"].as_str().unwrap().to_owned();
            self.newest.insert(list, at);
        }
    }
}

fn id(item: &Value) -> String {
    item["id"].as_str().unwrap().to_owned()
}

/// Waits until a run over some streams is over, while a call of the one other stream of objects is held.
async fn until_idle(case: &Case, streams: &'static [Stream]) {
    case.until("the other streams are idle", |status| {
        status.threads.pending == 0
            && streams
                .iter()
                .all(|stream| of(status, *stream).status == StreamActivity::Idle)
    })
    .await;
    // A slice that the scheduler has not noticed yet leaves its stream idle.
    case.until_slices(1).await;
}

cases! {
    a_follower_sees_changes_merges_deletions_and_links {
        let case = Case::of(tiny()).await.synced().await;
        let mut follower = Follower::of(&case).await;
        follower.follow().await;

        case.mutate(Mutation::update(Kind::Contact, 2).ago(10));
        case.mutate(Mutation::grow(Kind::Contact, 2).ago(10));
        case.mutate(Mutation::grow(Kind::Conversation, 2).ago(10));
        case.poll().await;
        follower.follow().await;

        case.mutate(Mutation::merge(2).ago(10));
        case.poll().await;
        assert!(!case.merged().await.is_empty());
        follower.follow().await;

        case.mutate(Mutation::delete(Kind::Contact, 2));
        case.mutate(Mutation::delete(Kind::Company, 1));
        case.sync(Mode::Full, OBJECTS).await;
        case.sync(Mode::Full, OBJECTS).await;
        assert_eq!(case.tombstones().await.len(), 3);
        follower.follow().await;

        case.mutate(Mutation::delete(Kind::Conversation, 2));
        case.sync(Mode::Full, Stream::ALL).await;
        follower.follow().await;
    }

    a_follower_sees_companies_that_arrive_after_their_contacts {
        let case = Case::of(tiny()).await;
        let late = case.inject(held().operation("scroll_companies"));
        let case = case.connect().await;
        until_idle(&case, &[Stream::Contacts, Stream::Conversations, Stream::Threads]).await;
        let mut follower = Follower::of(&case).await;
        follower.follow().await;
        case.clear_fault(late);
        case.until_complete().await;
        follower.follow().await;
    }

    a_follower_sees_contacts_that_arrive_after_their_conversations {
        let case = Case::of(tiny()).await;
        let late = case.inject(held().operation("list_contacts"));
        let case = case.connect().await;
        until_idle(&case, &[Stream::Companies, Stream::Conversations, Stream::Threads]).await;
        let mut follower = Follower::of(&case).await;
        follower.follow().await;
        case.clear_fault(late);
        case.until_complete().await;
        follower.follow().await;
    }
}
