//! Contacts, and which companies they belong to.

use std::sync::Arc;

use rand::Rng;
use rand::rngs::SmallRng;
use serde_json::json;

use super::times::At;
use super::words::PLACES;
use super::{World, chance, person_name, pick, render, sentence};
use crate::model::{Attributes, Avatar, Contact, Location, SocialProfiles, SubList, Text};
use crate::store::{ContactEntry, Head, Id, Kind, Note, Store};

/// How many entries a contact's sub-lists show.
const SHOWN: usize = 10;

/// Links between contacts and companies, chosen before either side is made.
#[derive(Debug)]
pub(crate) struct Membership {
    of_contact: Vec<Vec<usize>>,
    users: Vec<u32>,
}

impl Membership {
    /// For `contacts` contacts: the first ones give each company that has users its first
    /// user, the others go to big companies more often than to small ones.
    pub(crate) fn new(world: &World, contacts: u64) -> Self {
        let spec = &world.spec;
        let open = with_users(spec.companies as usize, spec.companies_without_users);
        let mut users = vec![0; spec.companies as usize];
        let of_contact = (0..contacts)
            .map(|number| {
                let mut rng = world.rng(Kind::Link, number);
                let mut mine: Vec<usize> = Vec::new();
                if open.is_empty() {
                    return mine;
                }
                let first = usize::try_from(number).ok().filter(|n| *n < open.len());
                let wanted = if chance(&mut rng, spec.contacts_over_10_companies) {
                    rng.random_range(11..=25)
                } else if first.is_some() {
                    1
                } else {
                    *pick(&mut rng, &[0, 1, 1, 1, 1, 1, 1, 1, 2, 3])
                };
                mine.extend(first.map(|n| open[n]));
                for _ in 0..wanted * 3 {
                    if mine.len() >= wanted.min(open.len()) {
                        break;
                    }
                    let near = rng.random_range(0..open.len());
                    let one = open[near.min(rng.random_range(0..open.len()))];
                    if !mine.contains(&one) {
                        mine.push(one);
                    }
                }
                for company in &mine {
                    users[*company] += 1;
                }
                mine
            })
            .collect();
        Self { of_contact, users }
    }

    pub(crate) fn user_count(&self, company: u64) -> u32 {
        usize::try_from(company)
            .ok()
            .and_then(|n| self.users.get(n).copied())
            .unwrap_or(0)
    }

    /// The companies of a contact, by id.
    pub(crate) fn of(&self, contact: u64, company_ids: &[String]) -> Vec<String> {
        usize::try_from(contact)
            .ok()
            .and_then(|n| self.of_contact.get(n))
            .into_iter()
            .flatten()
            .filter_map(|n| company_ids.get(*n).cloned())
            .collect()
    }
}

/// The numbers of the companies that have users. The others are evenly spread.
fn with_users(companies: usize, without: f64) -> Vec<usize> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a share of a count"
    )]
    let without = (companies as f64 * without).round() as usize;
    (0..companies)
        .filter(|n| n * without / companies == (n + 1) * without / companies)
        .collect()
}

/// Makes contact `number` and stores it. Returns its id.
pub(crate) fn contact(
    world: &World,
    store: &mut Store,
    number: u64,
    at: At,
    companies: Vec<String>,
) -> String {
    let mut rng = world.rng(Kind::Contact, number);
    let id = world.hex_id(Kind::Contact, number, at.created);
    let is_user = !chance(&mut rng, world.spec.leads);
    let name = chance(&mut rng, 0.93).then(|| person_name(&mut rng));
    let email = (is_user && chance(&mut rng, 0.98)
        || !is_user && !chance(&mut rng, world.spec.leads_without_email))
    .then(|| {
        format!(
            "person{number}+{}@customer{}.example",
            rng.random_range(0..99),
            number % 97
        )
    });
    let external_id = is_user.then(|| match number % 11 {
        0 => format!("user {number}/ø"),
        _ => format!("{}", 70_000 + number),
    });
    let tag_count = if chance(&mut rng, world.spec.contacts_over_10_tags) {
        rng.random_range(11..=18)
    } else {
        rng.random_range(0..4)
    };
    let tags = store
        .reference
        .some_tags(&mut rng, tag_count)
        .into_iter()
        .map(|tag| (tag.id, at.updated))
        .collect();
    let segments = store
        .reference
        .segments
        .iter()
        .filter(|_| chance(&mut rng, 0.2))
        .map(|segment| segment.id.clone())
        .collect();
    let mut notes = Vec::new();
    for _ in 0..if chance(&mut rng, 0.1) {
        rng.random_range(1..4)
    } else {
        0
    } {
        store.next.note += 1;
        notes.push(Note {
            id: (20 + store.next.note).to_string(),
            created_at: at.updated,
            author: store.reference.some_admin(&mut rng).id.to_string(),
            body: format!("<p>{}</p>", sentence(&mut rng)),
        });
    }
    let owner_id =
        chance(&mut rng, 0.3).then(|| store.reference.some_admin(&mut rng).id.to_string());
    let web = chance(&mut rng, 0.7);
    let ios = chance(&mut rng, 0.1);
    // By number and not by chance: one draw more would change every contact that scenarios know.
    let android = number % 9 == 4;
    let empty = || SubList::new("none", "none", &[], String::new(), 0);
    let contact = Contact {
        kind: "contact".into(),
        workspace_id: world.id_code.clone(),
        external_id: external_id.clone(),
        role: if is_user { "user" } else { "lead" }.into(),
        email_domain: email
            .as_deref()
            .and_then(|email| email.split_once('@'))
            .map(|(_, domain)| domain.to_owned()),
        phone: chance(&mut rng, 0.3).then(|| format!("+3531{:07}", number % 10_000_000)),
        avatar: chance(&mut rng, 0.3).then(|| Avatar {
            kind: "avatar".into(),
            image_url: Some(format!("https://static.example.com/avatars/{id}/128.jpg")),
        }),
        owner_id,
        social_profiles: SocialProfiles::new(
            chance(&mut rng, 0.1).then(|| format!("handle{number}")),
        ),
        has_hard_bounced: chance(&mut rng, 0.02),
        marked_email_as_spam: chance(&mut rng, 0.01),
        unsubscribed_from_emails: chance(&mut rng, 0.1),
        unsubscribed_from_sms: number % 23 == 3,
        sms_consent: false,
        created_at: at.created,
        updated_at: at.updated,
        signed_up_at: is_user.then_some(at.created),
        last_seen_at: chance(&mut rng, 0.7).then_some(at.updated),
        last_replied_at: chance(&mut rng, 0.3).then_some(at.updated),
        last_contacted_at: chance(&mut rng, 0.5).then_some(at.updated),
        last_email_opened_at: chance(&mut rng, 0.3).then_some(at.updated),
        last_email_clicked_at: chance(&mut rng, 0.1).then_some(at.updated),
        language_override: chance(&mut rng, 0.05).then_some("de".into()),
        location: location(&mut rng),
        android_app_name: android.then_some("Acme Go".into()),
        android_app_version: android.then_some("4.1.3".into()),
        android_device: android.then_some("Pixel 8".into()),
        android_os_version: android.then_some("14".into()),
        android_sdk_version: android.then_some("16.0.1".into()),
        android_last_seen_at: android.then_some(at.updated),
        custom_attributes: attributes(&mut rng, number),
        tags: empty(),
        notes: empty(),
        companies: empty(),
        opted_out_subscription_types: SubList::new(
            "subscription",
            "subscription_types",
            &[],
            format!("/contacts/{id}/subscriptions"),
            SHOWN,
        ),
        opted_in_subscription_types: SubList::new(
            "subscription",
            "subscription_types",
            &if chance(&mut rng, 0.3) {
                vec!["37846".to_owned()]
            } else {
                Vec::new()
            },
            format!("/contacts/{id}/subscriptions"),
            SHOWN,
        ),
        utm_campaign: chance(&mut rng, 0.1).then_some("spring-☀".into()),
        utm_content: None,
        utm_medium: chance(&mut rng, 0.1).then_some("cpc".into()),
        utm_source: chance(&mut rng, 0.1).then_some("google".into()),
        utm_term: None,
        referrer: chance(&mut rng, 0.2).then_some("https://www.example.com/pricing?x=1&y=2".into()),
        enabled_push_messaging: chance(&mut rng, 0.1).then_some(true),
        id,
        email,
        name,
        browser: web.then_some("chrome".into()),
        browser_version: web.then_some("119.0.0.0".into()),
        browser_language: web.then_some("en".into()),
        os: web.then_some("OS X 10.15.7".into()),
        ios_app_name: ios.then_some("Acme Go".into()),
        ios_app_version: ios.then_some("4.2.0".into()),
        ios_device: ios.then_some("iPhone14,2".into()),
        ios_os_version: ios.then_some("17.1".into()),
        ios_sdk_version: ios.then_some("16.0.2".into()),
        ios_last_seen_at: ios.then_some(at.updated),
    };
    let entry = ContactEntry {
        head: Head::new(&contact.id, at.created, at.updated, bytes::Bytes::new()),
        is_user,
        external_id,
        companies,
        tags,
        notes,
        segments,
        merges: Vec::new(),
        searchable_from: i64::MIN,
    };
    let id = contact.id.clone();
    store.next.contact = store.next.contact.max(number + 1);
    put(store, entry, contact);
    id
}

/// Renders a contact with the links of its entry and stores both.
fn put(store: &mut Store, mut entry: ContactEntry, mut contact: Contact) {
    contact_lists(&mut contact, &entry, SHOWN);
    entry.head.body = render(&contact);
    let id = Id(Arc::clone(&entry.head.id.0));
    for company in &entry.companies {
        store
            .members
            .entry(Arc::from(company.as_str()))
            .or_default()
            .insert(id.clone());
    }
    if let Some(external_id) = &entry.external_id {
        store
            .external_ids
            .insert(external_id.clone(), Arc::clone(&id.0));
    }
    store.contacts.put(entry);
}

/// Writes the entry's tags, notes and companies into the object's sub-lists, at most `shown`.
pub(crate) fn contact_lists(contact: &mut Contact, entry: &ContactEntry, shown: usize) {
    let id = &contact.id;
    let tags: Vec<String> = entry.tags.iter().map(|(id, _)| id.clone()).collect();
    let notes: Vec<String> = entry.notes.iter().map(|note| note.id.clone()).collect();
    contact.tags = SubList::new("tag", "tags", &tags, format!("/contacts/{id}/tags"), shown);
    contact.notes = SubList::new(
        "note",
        "notes",
        &notes,
        format!("/contacts/{id}/notes"),
        shown,
    );
    contact.companies = SubList::new(
        "company",
        "companies",
        &entry.companies,
        format!("/contacts/{id}/companies"),
        shown,
    );
}

fn location(rng: &mut SmallRng) -> Location {
    let place = chance(rng, 0.8).then(|| pick(rng, PLACES));
    let part = |n: usize| place.map(|place| Text::from(place[n]));
    Location {
        kind: "location".into(),
        country: part(0),
        region: part(1),
        city: part(2),
        country_code: part(3),
        continent_code: part(4),
    }
}

fn attributes(rng: &mut SmallRng, number: u64) -> Attributes {
    let mut map = Attributes::new();
    map.insert(
        "plan_tier".into(),
        json!(*pick(rng, &["free", "pro", "größer"])),
    );
    map.insert("seats".into(), json!(rng.random_range(0..200)));
    if chance(rng, 0.5) {
        map.insert("is_champion".into(), json!(chance(rng, 0.5)));
        map.insert(
            "score".into(),
            json!(f64::from(rng.random_range(0..1000_u32)) / 8.0),
        );
    }
    if chance(rng, 0.3) {
        map.insert("The One Ring".into(), json!(sentence(rng)));
        map.insert("empty".into(), json!(null));
    }
    if chance(rng, 0.05) {
        map.insert(
            "orders".into(),
            json!({"type": "Order.list", "instances": [{"id": number.to_string(), "type": "Order"}]}),
        );
    }
    map
}
