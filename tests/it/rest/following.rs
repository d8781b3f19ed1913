//! A reader that follows `updated_since` holds what the lists show.

use std::collections::{BTreeMap, BTreeSet};

use intercom_simulator::{Kind, Mutation};
use serde_json::{Value, json};
use shared::{
    completeness::StreamActivity,
    domain::{Mode, Stream},
};

use super::{
    search,
    sources::{record, someone},
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

    /// Reads the changes since the last time, and then compares its copy with the lists. Nothing may change meanwhile, so
    /// conversations are counted first.
    async fn follow(&mut self, case: &Case) {
        search::index(case).await;
        for list in LISTS {
            self.read_changes(list).await;
            let shown = self.caller.all(&format!("/v1/{list}")).await;
            let shown: BTreeMap<String, Value> =
                shown.into_iter().map(|item| (id(&item), item)).collect();
            let held = &self.copies[list];
            let differing = shown.iter().find(|(id, item)| held.get(*id) != Some(item));
            let held_of = differing.and_then(|(id, _)| held.get(id));
            assert!(
                differing.is_none(),
                "{list}: {held_of:#?} for {differing:#?}"
            );
            assert!(held.keys().eq(shown.keys()), "{list}");
        }
        assert_eq!(self.counts(), self.counts_of_conversations());
    }

    /// The same after something was removed, which only the feed tells of.
    async fn follow_removal(&mut self, case: &Case) {
        for list in LISTS {
            let shown = self.caller.all(&format!("/v1/{list}")).await;
            let shown: BTreeSet<String> = shown.iter().map(id).collect();
            let copy = self.copies.entry(list).or_default();
            copy.retain(|id, _| shown.contains(id));
        }
        self.follow(case).await;
    }

    /// How many conversations each company shows: open ones, all, and when the last one changed.
    fn counts(&self) -> BTreeMap<String, Value> {
        let shown = self.copies["companies"].iter();
        let counts = shown.map(|(id, company)| (id.clone(), company["conversations"].clone()));
        counts.filter(|(_, counts)| counts["total"] != 0).collect()
    }

    /// The same, counted by what conversations show. They also show companies that are deleted and so are not listed.
    fn counts_of_conversations(&self) -> BTreeMap<String, Value> {
        let mut counts = BTreeMap::new();
        for conversation in self.copies["conversations"].values() {
            for company in conversation["company_ids"].as_array().unwrap() {
                let of: &mut (u64, u64, &str) =
                    counts.entry(company.as_str().unwrap()).or_default();
                of.0 += u64::from(conversation["open"] == true);
                of.1 += 1;
                of.2 =
                    of.2.max(conversation["source_updated_at"].as_str().unwrap());
            }
        }
        counts
            .into_iter()
            .filter(|(id, _)| self.copies["companies"].contains_key(*id))
            .map(|(id, (open, total, last_at))| {
                let counts = json!({"open": open, "total": total, "last_at": last_at});
                (id.to_owned(), counts)
            })
            .collect()
    }

    /// The companies of a contact and those of its conversations.
    fn companies_of(&self, contact: &Value) -> (Value, Vec<Value>) {
        let shows = |conversation: &&Value| {
            let contacts = conversation["contact_ids"].as_array().unwrap();
            contacts.contains(&contact["id"])
        };
        let conversations = self.copies["conversations"].values().filter(shows);
        let of_conversations =
            conversations.map(|conversation| conversation["company_ids"].clone());
        let contact = &self.copies["contacts"][contact["id"].as_str().unwrap()];
        (contact["company_ids"].clone(), of_conversations.collect())
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
        follower.follow(&case).await;

        case.mutate(Mutation::update(Kind::Contact, 2).ago(10));
        case.mutate(Mutation::grow(Kind::Contact, 2).ago(10));
        case.mutate(Mutation::grow(Kind::Conversation, 2).ago(10));
        case.poll().await;
        follower.follow(&case).await;

        case.mutate(Mutation::merge(2).ago(10));
        case.poll().await;
        assert!(!case.merged().await.is_empty());
        follower.follow(&case).await;

        case.mutate(Mutation::delete(Kind::Contact, 2));
        case.mutate(Mutation::delete(Kind::Company, 1));
        case.sync(Mode::Full, OBJECTS).await;
        case.sync(Mode::Full, OBJECTS).await;
        assert_eq!(case.tombstones().await.len(), 3);
        follower.follow(&case).await;

        case.mutate(Mutation::delete(Kind::Conversation, 2));
        case.sync(Mode::Full, Stream::ALL).await;
        follower.follow(&case).await;
    }

    a_follower_sees_companies_that_arrive_after_their_contacts {
        let case = Case::of(tiny()).await;
        let late = case.inject(held().operation("scroll_companies"));
        let case = case.connect().await;
        until_idle(&case, &[Stream::Contacts, Stream::Conversations, Stream::Threads]).await;
        let mut follower = Follower::of(&case).await;
        follower.follow(&case).await;
        case.clear_fault(late);
        case.until_complete().await;
        follower.follow(&case).await;
    }

    a_follower_sees_contacts_that_arrive_after_their_conversations {
        let case = Case::of(tiny()).await;
        let late = case.inject(held().operation("list_contacts"));
        let case = case.connect().await;
        until_idle(&case, &[Stream::Companies, Stream::Conversations, Stream::Threads]).await;
        let mut follower = Follower::of(&case).await;
        follower.follow(&case).await;
        case.clear_fault(late);
        case.until_complete().await;
        follower.follow(&case).await;
    }

    a_follower_sees_the_conversations_of_companies {
        let case = Case::of(tiny()).await.synced().await;
        let mut follower = Follower::of(&case).await;
        follower.follow(&case).await;
        assert!(follower.counts().len() > 2, "{:?}", follower.counts());

        // The CRM knows another company of somebody. Whatever it says, Intercom's conversations are the company's too.
        let caller = follower.caller.clone();
        let person = someone(&caller).await;
        let acme = record("acme", 1, json!({"name": "Acme", "domain": "acme-crm.example"}));
        caller.send("crm", "company", &[acme]).await;
        let mut known = record("p-1", 1, json!({"email": person["email"]}));
        known["company"] = "acme".into();
        caller.send("crm", "contact", &[known.clone()]).await;
        follower.follow(&case).await;
        let company = caller.all("/v1/companies").await.into_iter();
        let mut company = company.filter(|company| company["name"] == "Acme");
        let company = company.next().expect("the company is listed");
        let (of_contact, of_conversations) = follower.companies_of(&person);
        assert!(of_contact.as_array().unwrap().contains(&company["id"]));
        assert_eq!(company["conversations"]["total"], of_conversations.len());
        assert!(!of_conversations.is_empty());
        for shown in &of_conversations {
            assert!(shown.as_array().unwrap().contains(&company["id"]), "{shown}");
        }

        // A company of Intercom's that is the same one takes its conversations along, and gives them back.
        let busiest = follower.counts().into_iter().max_by_key(|(_, counts)| counts["total"].as_u64());
        let busiest = follower.copies["companies"][&busiest.unwrap().0].clone();
        let same = json!({"name": "Acme", "external_id": busiest["external_ids"][0]});
        caller.send("crm", "company", &[record("acme", 2, same)]).await;
        follower.follow(&case).await;
        caller.send("crm", "company", &[record("acme", 3, json!({"name": "Acme"}))]).await;
        follower.follow(&case).await;

        // The person leaves the company, the CRM leaves, and the person is erased.
        known["company"] = Value::Null;
        known["source_updated_at"] = "2026-11-01T12:01:00Z".into();
        caller.send("crm", "contact", &[known]).await;
        follower.follow(&case).await;
        caller.remove_source("crm").await;
        follower.follow_removal(&case).await;
        caller.erase(person["id"].as_str().unwrap()).await;
        follower.follow_removal(&case).await;
    }
}
