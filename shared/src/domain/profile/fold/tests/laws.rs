//! What holds for any records, drawn from seeds. As for identities, `make laws` runs more of
//! them, and `PROFILE_SEEDS=41..42` one again.

use rand::{
    Rng, SeedableRng,
    rngs::StdRng,
    seq::{IndexedRandom, SliceRandom},
};
use serde_json::{Value, json};

use super::*;
use crate::domain::profile::{Provenance, fold_contact_values};

fn each_case(law: impl Fn(&[ContactRecord], &MergeRules, &mut StdRng)) {
    let seeds = match std::env::var("PROFILE_SEEDS") {
        Ok(text) => match text.split_once("..") {
            Some((from, to)) => from.parse().unwrap()..to.parse().unwrap(),
            None => 0..text.parse().unwrap(),
        },
        Err(_) => 0..600,
    };
    for seed in seeds {
        let mut rng = StdRng::seed_from_u64(seed);
        let records: Vec<ContactRecord> = (0..rng.random_range(1..=5))
            .map(|number| record(&mut rng, number))
            .collect();
        let rules = rules(&mut rng);
        let checked = std::panic::AssertUnwindSafe(|| law(&records, &rules, &mut rng));
        if let Err(panic) = std::panic::catch_unwind(checked) {
            eprintln!("PROFILE_SEEDS={seed}..{}: {records:?} {rules:?}", seed + 1);
            std::panic::resume_unwind(panic);
        }
    }
}

fn rules(rng: &mut StdRng) -> MergeRules {
    let order = |rng: &mut StdRng| {
        let mut sources = Source::ALL.map(Source::as_str).to_vec();
        sources.shuffle(rng);
        sources.truncate(rng.random_range(0..=4));
        sources
    };
    let (default, name, email) = (order(rng), order(rng), order(rng));
    let rules = json!({"contacts": {"default": default, "fields": {"name": name, "email": email}}});
    serde_json::from_value(rules).unwrap()
}

fn record(rng: &mut StdRng, number: u32) -> ContactRecord {
    let source = *Source::ALL.choose(rng).unwrap();
    let flag = |rng: &mut StdRng| *[None, None, Some(false), Some(true)].choose(rng).unwrap();
    let some = |rng: &mut StdRng, texts: &[&str]| -> Option<String> {
        rng.random_bool(0.6)
            .then(|| (*texts.choose(rng).unwrap()).to_owned())
    };
    let time = |rng: &mut StdRng| rng.random_bool(0.5).then(|| at(rng.random_range(0..4)));
    let value = |rng: &mut StdRng| {
        let values = [
            "null",
            "\" \"",
            "[]",
            "{ }",
            "1",
            "1.50",
            "\"x\"",
            "[null]",
            "12345678901234567890123",
        ];
        (*values.choose(rng).unwrap()).to_owned()
    };
    let mut attributes = Vec::new();
    for name in ["a", "b.c", "ü"] {
        if rng.random_bool(0.6) {
            attributes.push(format!("{}:{}", json!(name), value(rng)));
        }
    }
    let fields = ContactFields {
        role: some(rng, &["user", "lead"]),
        email: some(rng, &["A@x.example", "a@x.example", "b@x.example", " "]),
        emails: some(rng, &["b@x.example", "c@x.example", ""])
            .into_iter()
            .collect(),
        name: some(rng, &["Ann", "Bob", "  "]),
        phone: some(rng, &["+49 30 123456", "004930123456", "123"]),
        phones: Vec::new(),
        owner: some(rng, &["1", "2"]),
        attributes: document(&format!("{{{}}}", attributes.join(","))),
        location: document(
            &some(
                rng,
                &[r#"{"type":"location","city":null}"#, r#"{"city":"Rome"}"#],
            )
            .unwrap_or("{}".to_owned()),
        ),
        last_seen_at: time(rng),
        last_replied_at: time(rng),
        last_contacted_at: time(rng),
        signed_up_at: time(rng),
        browser: some(rng, &["chrome", "safari"]).map(|name| Browser {
            name: Some(name),
            ..Browser::default()
        }),
        devices: some(rng, &["phone", "tablet"])
            .map(|device| Device {
                platform: *[Platform::Ios, Platform::Android].choose(rng).unwrap(),
                app_name: None,
                app_version: some(rng, &["1", "2"]),
                device: Some(device),
                os_version: None,
                last_seen_at: time(rng),
            })
            .into_iter()
            .collect(),
        consent: ConsentFields {
            unsubscribed: flag(rng),
            marked_as_spam: flag(rng),
            hard_bounced: flag(rng),
            unsubscribed_from_sms: flag(rng),
            may_email: flag(rng),
        },
        tags: some(rng, &["1", "2", " "]).into_iter().collect(),
        segments: some(rng, &["s", "t"]).into_iter().collect(),
    };
    ContactRecord {
        source_updated_at: at(rng.random_range(0..3)),
        deleted_at: rng.random_bool(0.2).then(|| at(9)),
        external_id: some(rng, &["7", "8"]),
        companies: some(rng, &["k", "l"])
            .into_iter()
            .map(|name| key(source, &name))
            .collect(),
        ..contact(source, &number.to_string(), fields)
    }
}

#[test]
fn the_order_of_records_changes_no_byte() {
    each_case(|records, rules, rng| {
        let expected = bytes(&fold_contact(records, rules));
        let mut shuffled = records.to_vec();
        for _ in 0..3 {
            shuffled.shuffle(rng);
            assert_eq!(bytes(&fold_contact(&shuffled, rules)), expected);
        }
    });
}

#[test]
fn values_are_the_same_without_their_origins() {
    each_case(|records, rules, _| {
        let mut told = fold_contact(records, rules);
        assert_ne!(told.provenance, Provenance::default());
        told.provenance = Provenance::default();
        assert_eq!(fold_contact_values(records, rules), told);
    });
}

/// Records come and go one by one. Whatever is left is folded as if nothing else had ever been there.
#[test]
fn what_is_taken_away_leaves_no_byte_behind() {
    each_case(|records, rules, rng| {
        let expected = bytes(&fold_contact(records, rules));
        let mut held = records.to_vec();
        for number in 10..12 {
            held.insert(rng.random_range(0..=held.len()), record(rng, number));
            let _ = fold_contact(&held, rules);
        }
        held.retain(|record| records.iter().any(|kept| kept.key == record.key));
        assert_eq!(bytes(&fold_contact(&held, rules)), expected);
    });
}

/// What a record says at a path of the provenance, as JSON, by other means than the fold's.
fn said(record: &ContactRecord, path: &str) -> Vec<Value> {
    let fields = serde_json::to_value(&record.fields).unwrap();
    let (field, within) = path
        .split_once('.')
        .map_or((path, None), |(field, within)| (field, Some(within)));
    let list = |names: &[&str]| -> Vec<Value> {
        let values = names.iter().map(|name| fields[*name].clone());
        let entries = values.flat_map(|value| match value {
            Value::Array(entries) => entries,
            value => vec![value],
        });
        entries.filter(|value| value.as_str() == within).collect()
    };
    match (field, within) {
        ("email", None) => [&fields["email"], &fields["emails"][0]]
            .map(Clone::clone)
            .to_vec(),
        ("emails", Some(_)) => list(&["email", "emails"]),
        ("phones", Some(_)) => list(&["phone", "phones"]),
        ("tags" | "segments", Some(_)) => list(&[field]),
        ("external_ids", Some(id)) => record
            .external_id
            .iter()
            .filter(|own| *own == id)
            .map(|own| json!(own))
            .collect(),
        ("companies", Some(name)) => record
            .companies
            .iter()
            .filter(|key| format!("{}/{}", key.connection, key.source_id) == name)
            .map(|key| serde_json::to_value(key).unwrap())
            .collect(),
        ("devices", Some(name)) => record
            .fields
            .devices
            .iter()
            .filter(|device| name.ends_with(device.device.as_deref().unwrap()))
            .map(|device| serde_json::to_value(device).unwrap())
            .collect(),
        (field, None) => vec![fields[field].clone()],
        (field, Some(within)) => vec![fields[field][within].clone()],
    }
}

/// Every value that a profile shows, as path and JSON.
fn shown(profile: &ContactProfileFields) -> Vec<(String, Value)> {
    let value = serde_json::to_value(profile).unwrap();
    let mut all = Vec::new();
    for field in [
        "email",
        "name",
        "role",
        "phone",
        "owner",
        "last_seen_at",
        "last_replied_at",
        "last_contacted_at",
        "signed_up_at",
        "browser",
    ] {
        if !value[field].is_null() {
            all.push((field.to_owned(), value[field].clone()));
        }
    }
    if value["location"] != json!({}) {
        all.push(("location".to_owned(), value["location"].clone()));
    }
    for (name, attribute) in value["attributes"].as_object().unwrap() {
        all.push((format!("attributes.{name}"), attribute.clone()));
    }
    for field in ["emails", "phones", "external_ids", "tags", "segments"] {
        for entry in value[field].as_array().unwrap() {
            all.push((
                format!("{field}.{}", entry.as_str().unwrap()),
                entry.clone(),
            ));
        }
    }
    for key in &profile.companies {
        let path = format!("companies.{}/{}", key.connection, key.source_id);
        all.push((path, serde_json::to_value(key).unwrap()));
    }
    for device in &profile.devices {
        let platform = serde_json::to_value(device.platform).unwrap();
        let path = format!(
            "devices.{}//{}",
            platform.as_str().unwrap(),
            device.device.as_deref().unwrap()
        );
        all.push((path, serde_json::to_value(device).unwrap()));
    }
    all
}

#[test]
fn every_value_that_is_shown_has_an_origin_that_says_it() {
    each_case(|records, rules, _| {
        let profile = fold_contact(records, rules);
        let shown = shown(&profile);
        for (path, value) in &shown {
            let Some(origin) = profile.provenance.get(path) else {
                panic!("{path} has no origin")
            };
            let from = records.iter().find(|record| {
                record.key.source_id == origin.source_id
                    && record.key.connection.0 == origin.connection_id
                    && record.source == origin.source
            });
            assert!(
                said(from.unwrap(), path).contains(value),
                "{path} is {value}"
            );
        }
        // Nothing else has one, but for what is said of consent.
        let others = profile
            .provenance
            .iter()
            .filter(|(path, _)| !path.starts_with("consent."));
        assert_eq!(others.count(), shown.len());
        for (path, origin) in profile.provenance.iter() {
            if let Some(name) = path.strip_prefix("consent.") {
                let from = records
                    .iter()
                    .find(|record| record.key.source_id == origin.source_id);
                let stated = serde_json::to_value(from.unwrap().fields.consent).unwrap();
                let holds = serde_json::to_value(profile.consent).unwrap();
                assert!(stated[name] == holds[name] || name == "may_email", "{path}");
            }
        }
    });
}

/// A record that is added changes no field that a source before it has set.
#[test]
fn a_later_source_overwrites_nothing() {
    each_case(|records, rules, rng| {
        let before = fold_contact(records, rules);
        let added = record(rng, 10);
        let mut all = records.to_vec();
        all.push(added.clone());
        let after = fold_contact(&all, rules);
        let is_all_deleted = records.iter().all(|record| record.deleted_at.is_some());
        if is_all_deleted && added.deleted_at.is_none() {
            return;
        }
        let value = |profile: &ContactProfileFields, field: &str| {
            serde_json::to_value(profile).unwrap()[field].clone()
        };
        for field in [
            "email",
            "name",
            "role",
            "phone",
            "owner",
            "signed_up_at",
            "browser",
        ] {
            let Some(origin) = before.provenance.get(field) else {
                continue;
            };
            let order = rules.contacts.order(field);
            if order.rank(origin.source) < order.rank(added.source) {
                assert_eq!(value(&after, field), value(&before, field), "{field}");
                assert_eq!(after.provenance.get(field), Some(origin));
            }
        }
    });
}

#[test]
fn a_record_that_is_added_lifts_no_restriction() {
    each_case(|records, rules, rng| {
        let before = fold_contact(records, rules).consent;
        let mut all = records.to_vec();
        all.push(record(rng, 10));
        let after = fold_contact(&all, rules).consent;
        assert!(after.unsubscribed >= before.unsubscribed);
        assert!(after.marked_as_spam >= before.marked_as_spam);
        assert!(after.hard_bounced >= before.hard_bounced);
        assert!(after.unsubscribed_from_sms >= before.unsubscribed_from_sms);
        assert!(after.may_email <= before.may_email);
    });
}

/// A record alone is shown as it is, so that nothing is lost by being folded.
#[test]
fn one_record_is_its_own_profile() {
    each_case(|records, rules, _| {
        let profile = fold_contact(&records[..1], rules);
        let parsed = |text: &JsonText| serde_json::from_str::<Value>(text.get()).unwrap();
        assert_eq!(
            parsed(&profile.attributes),
            parsed(&records[0].fields.attributes)
        );
        assert_eq!(profile.location, records[0].fields.location);
        assert_eq!(profile.last_seen_at, records[0].fields.last_seen_at);
        assert_eq!(profile.companies, records[0].companies);
    });
}
