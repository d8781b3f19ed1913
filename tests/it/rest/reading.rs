//! Everything that is stored is read back.

use std::collections::{BTreeMap, BTreeSet};

use intercom_simulator::Kind;
use serde_json::{Value, json};

use super::synced;
use crate::support::{Caller, Case, World, tiny, wait_for};

#[tokio::test(flavor = "multi_thread")]
async fn everything_held_is_read_back() {
    let (_world, case, caller) = synced().await;
    assert_status(&case, &caller).await;
    let contacts = caller.all("/v1/contacts").await;
    assert_eq!(sources(&contacts), live(&case, Kind::Contact));
    let companies = caller.all("/v1/companies").await;
    assert_eq!(sources(&companies), live(&case, Kind::Company));
    let conversations = caller.all("/v1/conversations").await;
    assert_eq!(
        ids(&conversations, "source_id"),
        live(&case, Kind::Conversation)
    );
    let mut parts = BTreeSet::new();
    for conversation in &conversations {
        parts.extend(parts_of(&caller, conversation).await);
    }
    assert_eq!(parts, live(&case, Kind::Part));

    // One of each by id, and a contact's conversations.
    for (list, items) in [
        ("contacts", &contacts),
        ("companies", &companies),
        ("conversations", &conversations),
    ] {
        let id = items[0]["id"].as_str().unwrap();
        assert_eq!(caller.get(&format!("/v1/{list}/{id}")).await["id"], id);
    }
    let spoken = conversations
        .iter()
        .find(|conversation| !conversation["contact_ids"].as_array().unwrap().is_empty())
        .unwrap();
    let contact = spoken["contact_ids"][0].as_str().unwrap();
    let of_contact = caller
        .get(&format!("/v1/contacts/{contact}/conversations"))
        .await;
    let of_contact = of_contact["items"].as_array().unwrap();
    assert!(
        of_contact
            .iter()
            .any(|conversation| conversation["id"] == spoken["id"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_of_any_length_are_read_back_with_all_their_digits() {
    let world = World::new().await;
    let case = world.case(tiny()).await;
    let attributes = r#"{"big": 123456789012345678901234567890, "fine": 0.1234567890123456789012345, "edge": 18446744073709551617}"#;
    for (kind, more) in [
        (Kind::Contact, ""),
        (Kind::Company, r#", "size": 9007199254740993"#),
    ] {
        let line = case.live(kind).remove(0);
        let mut object = line.value();
        object.as_object_mut().unwrap().remove("custom_attributes");
        object.as_object_mut().unwrap().remove("size");
        let open = object.to_string();
        let json = format!(
            r#"{}, "custom_attributes": {attributes}{more}}}"#,
            open.strip_suffix('}').unwrap()
        );
        assert!(case.workspace.put_raw(kind, &line.id, json));
    }
    let case = case.connect().await;
    let _fleet = world.fleet(1);
    case.until_complete().await;
    let caller = Caller::service(&world, &world.api().await, Some(case.tenant));
    for (list, size) in [("contacts", None), ("companies", Some("9007199254740993"))] {
        let text = caller.text(&format!("/v1/{list}")).await;
        let digits = [
            "123456789012345678901234567890",
            "0.1234567890123456789012345",
            "18446744073709551617",
        ];
        for digits in digits.into_iter().chain(size) {
            assert!(text.contains(digits), "{digits} in {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_show_what_was_sent_of_them() {
    let (_world, case, caller) = synced().await;
    let sent: BTreeMap<String, Value> = case
        .live(Kind::Conversation)
        .into_iter()
        .map(|line| (line.id.clone(), line.value()))
        .collect();
    let sent_parts: BTreeMap<String, Value> = case
        .live(Kind::Part)
        .into_iter()
        .map(|line| (line.id.clone(), line.value()))
        .collect();
    let companies: BTreeMap<String, Value> = caller
        .all("/v1/companies")
        .await
        .into_iter()
        .map(|company| {
            (
                company["sources"][0]["source_id"]
                    .as_str()
                    .unwrap()
                    .to_owned(),
                company["id"].clone(),
            )
        })
        .collect();
    let (mut seen, mut files) = (BTreeSet::new(), 0);
    for shown in caller.all("/v1/conversations").await {
        let sent = &sent[shown["source_id"].as_str().unwrap()];
        assert_eq!(shown["attributes"], sent["custom_attributes"]);
        // Where 2.16 says `unknown`, nothing is known.
        for place in ["initial", "current"] {
            let sent = &sent["channel"][place];
            let known = if sent == "unknown" {
                &Value::Null
            } else {
                sent
            };
            assert_eq!(&shown["channel"][place], known);
        }
        assert_eq!(shown["ai_participated"], sent["ai_agent_participated"]);
        assert_eq!(shown["sla"]["status"], sent["sla_applied"]["sla_status"]);
        assert_eq!(shown["sla"]["name"], sent["sla_applied"]["sla_name"]);
        assert_eq!(
            shown["rating"]["rating"],
            sent["conversation_rating"]["rating"]
        );
        assert_eq!(
            shown["rating"]["remark"],
            sent["conversation_rating"]["remark"]
        );
        for (name, value) in shown["statistics"].as_object().unwrap() {
            let sent = &sent["statistics"][name];
            let is_time = name.ends_with("_at");
            assert!(
                value == sent || is_time && sent.is_i64(),
                "{name}: {value} for {sent}"
            );
        }
        if let Some(company) = sent["company"]["id"].as_str() {
            let shown = shown["company_ids"].as_array().unwrap();
            assert!(shown.contains(&companies[company]), "{company}");
            seen.insert("company");
        }
        for field in ["channel", "sla"] {
            if !shown[field].is_null() {
                seen.insert(field);
            }
        }
        if !shown["statistics"].as_object().unwrap().is_empty() {
            seen.insert("statistics");
        }
        let path = format!("/v1/conversations/{}/parts", shown["id"].as_str().unwrap());
        for part in caller.all(&path).await {
            let from = match sent_parts.get(part["source_id"].as_str().unwrap()) {
                Some(part) => &part["attachments"],
                None => &sent["source"]["attachments"],
            };
            let names = |files: &Value| -> Vec<Value> {
                let files = files.as_array().into_iter().flatten();
                files.map(|file| file["name"].clone()).collect()
            };
            assert_eq!(names(&part["attachments"]), names(from), "{part}");
            files += names(from).len();
            for file in part["attachments"].as_array().unwrap() {
                assert!(file["url"].is_string() && file["size"].is_u64(), "{file}");
            }
        }
    }
    assert!(seen.len() == 4 && files > 0, "{seen:?}, {files} files");
}

/// The status of the sync shows the rate budget, and that nothing is left to fetch.
async fn assert_status(case: &Case, caller: &Caller) {
    let path = format!("/v1/connections/{}/sync", case.connection());
    // There is no rate budget to show if Redis does not answer in half a second.
    let status = wait_for("the rate budget is shown", async || {
        let status = caller.get(&path).await;
        if status["rate"].is_object() {
            Ok(status)
        } else {
            Err(status.to_string())
        }
    })
    .await;
    let rate = &status["rate"];
    assert_eq!(
        (&rate["limit"], &rate["window_seconds"], &rate["share"]),
        (&json!(100_000), &json!(10), &json!(0.8))
    );
    let left = rate["calls_left"].as_u64().unwrap();
    assert!(
        left > 0 && left <= 80_000 && rate["resets_at"].is_string(),
        "{rate}"
    );
    assert!(status["eta_seconds"].is_null(), "nothing is left to fetch");
}

/// The ids of a thread's parts. They are listed oldest first, and the conversation counts them.
async fn parts_of(caller: &Caller, conversation: &Value) -> BTreeSet<String> {
    let id = conversation["id"].as_str().unwrap();
    let mut thread = caller.all(&format!("/v1/conversations/{id}/parts")).await;
    let times: Vec<&str> = thread
        .iter()
        .map(|part| part["source_created_at"].as_str().unwrap())
        .collect();
    assert!(times.is_sorted(), "oldest first");
    // The first message is listed as a part, and Intercom does not count it as one.
    thread.retain(|part| part["kind"] != "source");
    assert_eq!(
        conversation["thread"]["held"].as_u64(),
        Some(thread.len() as u64)
    );
    assert_eq!(conversation["thread"]["status"], "complete");
    ids(&thread, "source_id")
}

/// Ids of what Intercom shows of a kind now.
fn live(case: &Case, kind: Kind) -> BTreeSet<String> {
    case.live(kind)
        .into_iter()
        .filter(|line| line.merged_into.is_none() && !line.hidden)
        .map(|line| line.id)
        .collect()
}

fn ids(items: &[Value], field: &str) -> BTreeSet<String> {
    items
        .iter()
        .map(|item| item[field].as_str().unwrap().to_owned())
        .collect()
}

/// A profile's ids in Intercom.
fn sources(profiles: &[Value]) -> BTreeSet<String> {
    profiles
        .iter()
        .map(|profile| profile["sources"][0]["source_id"].as_str().unwrap())
        .map(str::to_owned)
        .collect()
}
