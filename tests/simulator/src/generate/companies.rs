//! Companies.

use rand::Rng;
use serde_json::json;

use super::times::At;
use super::words::{COMPANY_HEADS, COMPANY_TAILS, INDUSTRIES};
use super::{World, chance, pick, render};
use crate::model::{Attributes, Company, CompanyNotes, Plan, Segments, TagNames};
use crate::store::{CompanyEntry, Head, Kind, Store};

const PLANS: &[&str] = &["Free", "Team", "Business ★", "Enterprise"];

/// The customer's own id of company `number`.
fn company_id_of(number: u64) -> String {
    match number % 7 {
        0 => format!("org/{number} ü"),
        _ => format!("acct_{number:06}"),
    }
}

/// Makes company `number` and stores it. Returns its id.
pub(crate) fn company(
    world: &World,
    store: &mut Store,
    number: u64,
    at: At,
    user_count: u32,
) -> String {
    let mut rng = world.rng(Kind::Company, number);
    let id = world.hex_id(Kind::Company, number, at.created);
    // A bare company has a company_id and little else.
    let bare = chance(&mut rng, 0.03);
    let name = (!bare).then(|| {
        format!(
            "{} {} {number}",
            pick(&mut rng, COMPANY_HEADS),
            pick(&mut rng, COMPANY_TAILS)
        )
    });
    let tag_count = rng.random_range(0..4);
    let tags = store.reference.some_tags(&mut rng, tag_count);
    let segments: Vec<_> = store
        .reference
        .segments
        .iter()
        .filter(|_| chance(&mut rng, 0.2))
        .collect();
    let segment_ids = segments.iter().map(|s| s.id.clone()).collect();
    let company = Company {
        kind: "company".into(),
        company_id: company_id_of(number),
        app_id: world.id_code.clone(),
        name: name.clone(),
        remote_created_at: chance(&mut rng, 0.8).then_some(at.created - 86_400),
        created_at: at.created,
        updated_at: at.updated,
        last_request_at: chance(&mut rng, 0.7).then_some(at.updated),
        size: chance(&mut rng, 0.6).then(|| rng.random_range(1..5000)),
        website: chance(&mut rng, 0.6).then(|| format!("https://www.company{number}.example")),
        industry: chance(&mut rng, 0.5).then(|| (*pick(&mut rng, INDUSTRIES)).into()),
        monthly_spend: rng.random_range(0..20_000),
        session_count: rng.random_range(0..900),
        user_count,
        tags: TagNames {
            kind: "tag.list".into(),
            tags: tags.clone(),
        },
        segments: Segments {
            kind: "segment.list".into(),
            segments: segments.iter().map(|segment| segment.json(None)).collect(),
        },
        notes: CompanyNotes {
            kind: "note.list".into(),
            data: Vec::new(),
            url: format!("/companies/{id}/notes"),
            total_count: 0,
            has_more: false,
        },
        plan: if chance(&mut rng, 0.4) {
            let which = rng.random_range(0..PLANS.len());
            Plan {
                kind: Some("plan".into()),
                id: Some((1000 + which).to_string()),
                name: Some(PLANS[which].into()),
            }
        } else {
            Plan::default()
        },
        custom_attributes: attributes(&mut rng, number),
        id,
    };
    let entry = CompanyEntry {
        head: Head::new(&company.id, at.created, at.updated, render(&company)),
        company_id: company.company_id,
        name,
        last_request_at: company.last_request_at,
        tags: tags.into_iter().map(|tag| tag.id).collect(),
        segments: segment_ids,
    };
    store.next.company = store.next.company.max(number + 1);
    store.companies.put(entry);
    company.id
}

fn attributes(rng: &mut rand::rngs::SmallRng, number: u64) -> Attributes {
    let mut map = Attributes::new();
    map.insert("paid_subscriber".into(), json!(chance(rng, 0.5)));
    map.insert("crm_id".into(), json!(format!("0018d00000{number:05}QAR")));
    if chance(rng, 0.5) {
        let spend = f64::from(rng.random_range(0..1_000_000_u32)) / 100.0;
        map.insert("average_basket".into(), json!(spend));
        map.insert("Kunde seit".into(), json!("2021-04-0\u{37}"));
    }
    if chance(rng, 0.2) {
        map.insert("renewal_note".into(), json!(null));
    }
    map
}
