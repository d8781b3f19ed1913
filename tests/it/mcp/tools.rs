//! What each tool answers, and what it says instead.

use serde_json::{Value, json};

use super::{ALL, synced_agent};
use crate::{
    rest::sources::{record, someone},
    support::{Agent, Caller},
};

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name} in {value}"))
}

/// A text as structured content shows it, if it has no markup.
fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Everything that structured content says, each as the text shows it.
fn facts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Null => {}
        Value::Bool(flag) => found.push(flag.to_string()),
        Value::Number(number) => found.push(number.to_string()),
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| facts(item, found)),
        Value::Object(members) => members.values().for_each(|member| facts(member, found)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_is_found_by_whatever_it_is_known_by() {
    let (_world, case, caller, agent) = synced_agent().await;
    let ada = someone(&caller).await;
    let crm = record(
        "ada",
        1,
        json!({"email": ada["email"], "phone": "+49 30 1234567", "attributes": {"seats": 12}}),
    );
    caller.send("crm", "contact", &[crm]).await;
    let ada = caller
        .get(&format!("/v1/contacts/{}", text(&ada, "id")))
        .await;
    let by_id = agent
        .answer("get_contact", json!({"contact_id": ada["id"]}))
        .await;
    for arguments in [
        json!({"email": text(&ada, "email").to_uppercase()}),
        json!({"phone": "0049 30 1234567"}),
    ] {
        let found = agent.answer("get_contact", arguments.clone()).await;
        assert_eq!(found.structured, by_id.structured, "{arguments}");
    }
    let all = caller.all("/v1/contacts").await;
    let user = all
        .iter()
        .find(|one| one["external_ids"][0].is_string())
        .unwrap();
    let found = agent
        .answer(
            "get_contact",
            json!({"external_id": user["external_ids"][0]}),
        )
        .await;
    assert_eq!(found.structured["contact_id"], user["id"]);
    let shown = &by_id.structured;
    assert_eq!(
        (&shown["contact_id"], &shown["untrusted_name"]),
        (&ada["id"], &ada["name"])
    );
    assert_eq!(shown["may_email"], ada["consent"]["may_email"]);
    assert_eq!(shown["untrusted_emails"][0], ada["email"]);
    let attributes = ada["attributes"].as_object().unwrap();
    assert_eq!(shown["attribute_total"], attributes.len());
    assert!(shown.get("attributes").is_none(), "{shown}");
    let conversations = caller
        .all(&format!("/v1/contacts/{}/conversations", text(&ada, "id")))
        .await;
    let open = conversations
        .iter()
        .filter(|one| one["open"] == true)
        .count();
    assert_eq!(
        (
            &shown["conversations"]["total"],
            &shown["conversations"]["open"]
        ),
        (&json!(conversations.len()), &json!(open))
    );
    let newest = &shown["conversations"]["newest"][0];
    assert_eq!(newest["number"], conversations[0]["source_id"]);
    let workspace = case.workspace.id_code();
    assert_eq!(
        text(newest, "url"),
        format!(
            "https://app.intercom.com/a/inbox/{workspace}/inbox/conversation/{}",
            text(newest, "number")
        )
    );
    let freshness = &shown["freshness"];
    assert_eq!(freshness["complete"], true);
    assert!(
        text(freshness, "sentence").starts_with("Complete as of"),
        "{freshness}"
    );

    let detailed = agent
        .answer(
            "get_contact",
            json!({"email": ada["email"], "detail": "detailed"}),
        )
        .await;
    let lines = list(&detailed.structured["attributes"]);
    assert_eq!(lines.len(), attributes.len());
    let seats = lines.iter().find(|line| line["untrusted_name"] == "seats");
    assert_eq!(seats.unwrap()["untrusted_value"], "12");
    let sources: Vec<&str> = list(&detailed.structured["sources"])
        .iter()
        .map(|source| text(source, "source"))
        .collect();
    assert_eq!(sources.len(), 2, "{sources:?}");
    assert!(sources.contains(&"crm") && sources.contains(&"intercom"));
}

#[tokio::test(flavor = "multi_thread")]
async fn text_and_structured_content_have_the_same_facts() {
    let (_world, _case, caller, agent) = synced_agent().await;
    let ada = someone(&caller).await;
    let conversation = caller
        .all(&format!("/v1/contacts/{}/conversations", text(&ada, "id")))
        .await[0]
        .clone();
    let company = caller.get("/v1/companies?limit=1").await["items"][0].clone();
    for detail in ["concise", "detailed"] {
        for (tool, arguments) in [
            ("get_contact", json!({"contact_id": ada["id"]})),
            ("get_company", json!({"company_id": company["id"]})),
            ("get_contact_timeline", json!({"contact_id": ada["id"]})),
            (
                "get_conversation",
                json!({"conversation_id": conversation["id"]}),
            ),
            ("get_sync_status", json!({})),
            ("describe_fields", json!({"object": "contact"})),
        ] {
            let mut arguments = arguments;
            arguments["detail"] = detail.into();
            let answer = agent.answer(tool, arguments).await;
            let mut said = Vec::new();
            facts(&answer.structured, &mut said);
            assert!(said.len() > 5, "{tool}: {}", answer.structured);
            for fact in said {
                assert!(
                    answer.text.contains(&fact),
                    "{tool}: {fact:?} is not in {}",
                    answer.text
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_matches_are_listed_with_their_ids() {
    let (_world, _case, caller, agent) = synced_agent().await;
    // Two people with ids of their own and one address: nobody is known by it alone.
    let records = [("one", "e1", "Grace"), ("two", "e2", "Grete")].map(|(id, external, name)| {
        record(
            id,
            1,
            json!({"email": "shared@acme.example", "external_id": external, "name": name}),
        )
    });
    caller.send("crm", "contact", &records).await;
    let refused = agent
        .refusal("get_contact", json!({"email": "shared@acme.example"}))
        .await;
    for (external, name) in [("e1", "Grace"), ("e2", "Grete")] {
        let one = agent
            .answer("get_contact", json!({"external_id": external}))
            .await;
        let id = text(&one.structured, "contact_id");
        assert!(refused.contains(&format!("- {id} ⟦{name}⟧")), "{refused}");
    }
    assert!(
        refused.starts_with("2 are known by this email. Call again with one `contact_id`:"),
        "{refused}"
    );
    // One that its source has deleted stands behind one that is alive.
    let mut gone = record(
        "two",
        2,
        json!({"email": "shared@acme.example", "external_id": "e2"}),
    );
    gone["deleted"] = true.into();
    caller.send("crm", "contact", &[gone]).await;
    let found = agent
        .answer("get_contact", json!({"email": "shared@acme.example"}))
        .await;
    assert_eq!(found.structured["untrusted_name"], "Grace");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_shows_its_people() {
    let (_world, _case, caller, agent) = synced_agent().await;
    let acme = record(
        "acme",
        1,
        json!({"name": "Acme Sailing", "domain": "acme-sailing.example", "external_id": "c-1",
                                         "attributes": {"tier": "gold", "since": 2019}}),
    );
    caller.send("crm", "company", &[acme]).await;
    let people: Vec<Value> = (0..40)
        .map(|n| {
            let mut one = record(
                &format!("sailor-{n}"),
                1,
                json!({"name": format!("Sailor {n}")}),
            );
            one["company"] = "acme".into();
            one
        })
        .collect();
    caller.send("crm", "contact", &people).await;
    let by_domain = agent
        .answer(
            "get_company",
            json!({"domain": "https://www.acme-sailing.example/about"}),
        )
        .await;
    let by_id = agent
        .answer("get_company", json!({"external_id": "c-1"}))
        .await;
    let shown = &by_domain.structured;
    assert_eq!(shown["company_id"], by_id.structured["company_id"]);
    assert_eq!(
        (&shown["untrusted_name"], &shown["contact_total"]),
        (&json!("Acme Sailing"), &json!(40))
    );
    for detail in ["concise", "detailed"] {
        let pages = agent
            .pages(
                "get_company",
                json!({"external_id": "c-1", "detail": detail}),
            )
            .await;
        // The last page of concise answers leads to the detailed one, which shows all of them again.
        let concise = pages.len() - usize::from(detail == "concise");
        let mut names: Vec<&str> = pages[..concise]
            .iter()
            .flat_map(|page| list(&page.structured["contacts"]))
            .map(|person| text(person, "untrusted_name"))
            .collect();
        assert!(concise > 1 || detail == "detailed");
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 40, "{detail}: {names:?}");
        let attributes: Vec<&str> = pages
            .iter()
            .flat_map(|page| list(&page.structured["attributes"]))
            .map(|line| text(line, "untrusted_value"))
            .collect();
        assert_eq!(attributes, ["2019", "gold"], "{detail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeline_has_conversations_and_events_and_the_true_total() {
    let (_world, _case, caller, agent) = synced_agent().await;
    let ada = someone(&caller).await;
    caller
        .send(
            "email",
            "contact",
            &[record("p1", 1, json!({"email": ada["email"]}))],
        )
        .await;
    let events: Vec<Value> = (0..60)
        .map(|n| {
            let at = format!("2026-10-01T12:{n:02}:00Z");
            let fields = json!({"contact": "p1", "kind": "email_opened", "occurred_at": at, "title": format!("Mail {n}"),
                                "attributes": {"n": n}});
            record(&format!("mail-{n}"), 1, fields)
        })
        .collect();
    caller.send("email", "event", &events).await;
    let path = format!("/v1/contacts/{}/timeline", text(&ada, "id"));
    let expected: Vec<String> = caller
        .all(&path)
        .await
        .iter()
        .map(|entry| text(&entry[text(entry, "type")], "source_id").to_owned())
        .collect();
    for detail in ["concise", "detailed"] {
        let pages = agent
            .pages(
                "get_contact_timeline",
                json!({"email": ada["email"], "detail": detail}),
            )
            .await;
        let mut seen = Vec::new();
        for page in &pages {
            let page = &page.structured;
            for entry in list(&page["entries"]) {
                let name = match text(entry, "type") {
                    "event" => text(&entry["event"], "untrusted_source_id"),
                    _ => text(&entry["conversation"], "number"),
                };
                seen.push(name.to_owned());
            }
            assert_eq!(page["total"], expected.len());
            assert_eq!(page["left"], expected.len() - seen.len());
        }
        assert_eq!(seen, expected, "{detail}");
        assert!(pages.len() > 1 || detail == "detailed");
    }
    // Without the scope there are no conversations, and the answer says so.
    let reader = Agent::new(&caller, &["profiles:read"]).await;
    let page = reader
        .answer("get_contact_timeline", json!({"contact_id": ada["id"]}))
        .await;
    assert_eq!(page.structured["total"], 60);
    assert!(text(&page.structured, "note").contains("conversations:read"));
    assert!(
        list(&page.structured["entries"])
            .iter()
            .all(|entry| entry["type"] == "event")
    );
    let contact = reader
        .answer("get_contact", json!({"contact_id": ada["id"]}))
        .await;
    assert!(contact.structured.get("conversations").is_none());
    assert!(text(&contact.structured, "note").contains("conversations:read"));
    let refused = reader
        .refusal("get_conversation", json!({"number": "1"}))
        .await;
    assert!(refused.contains("`conversations:read`"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_is_read_by_id_and_by_number() {
    let (_world, _case, caller, agent) = synced_agent().await;
    let all = caller.all("/v1/conversations").await;
    let longest = all
        .iter()
        .max_by_key(|one| one["thread"]["held"].as_i64())
        .unwrap();
    let parts = caller
        .all(&format!("/v1/conversations/{}/parts", text(longest, "id")))
        .await;
    assert!(parts.len() > 3);
    let by_id = agent
        .answer(
            "get_conversation",
            json!({"conversation_id": longest["id"], "detail": "detailed"}),
        )
        .await;
    let number = format!(" #{}", text(longest, "source_id"));
    let by_number = agent
        .answer(
            "get_conversation",
            json!({"number": number, "detail": "detailed"}),
        )
        .await;
    assert_eq!(by_id.structured["parts"], by_number.structured["parts"]);
    let shown = &by_id.structured;
    assert_eq!(shown["part_total"], parts.len());
    let conversation = &shown["conversation"];
    assert_eq!(conversation["number"], longest["source_id"]);
    assert_eq!(
        (&conversation["state"], &conversation["thread"]["held"]),
        (&longest["state"], &longest["thread"]["held"])
    );
    let facts = &shown["facts"];
    let companies: Vec<&Value> = facts["companies"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| &one["company_id"])
        .collect();
    assert_eq!(
        companies,
        list(&longest["company_ids"]).iter().collect::<Vec<_>>()
    );
    assert_eq!(
        (&facts["began_by"], &facts["ai_participated"]),
        (&longest["channel"]["initial"], &longest["ai_participated"])
    );
    assert_eq!(facts["sla"]["status"], longest["sla"]["status"]);
    let attributes = longest["attributes"].as_object().unwrap();
    assert_eq!(facts["attribute_total"], attributes.len());
    assert_eq!(
        facts["attributes"].as_array().map_or(0, Vec::len),
        attributes.len()
    );
    let people: Vec<&Value> = list(&shown["contacts"])
        .iter()
        .map(|one| &one["contact_id"])
        .collect();
    assert_eq!(
        people,
        list(&longest["contact_ids"]).iter().collect::<Vec<_>>()
    );
    for (n, (line, part)) in list(&shown["parts"]).iter().zip(&parts).enumerate() {
        assert_eq!(line["part"], n + 1);
        assert_eq!(
            (&line["kind"], &line["internal"], &line["at"]),
            (&part["kind"], &part["internal"], &part["source_created_at"])
        );
        let files = |part: &Value, name: &str| part[name].as_array().map_or(0, Vec::len);
        assert_eq!(files(line, "files"), files(part, "attachments"));
        let has_body = part["body"].as_str().is_some_and(|body| !body.is_empty());
        assert_eq!(
            line.get("untrusted_body").is_some(),
            has_body,
            "{line} {part}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_and_the_fields_are_those_of_the_tenant() {
    let (_world, case, caller, agent) = synced_agent().await;
    let path = format!("/v1/connections/{}/sync", case.connection());
    let status = caller.get(&path).await;
    let answer = agent.answer("get_sync_status", json!({})).await;
    let [workspace] = list(&answer.structured["workspaces"]) else {
        panic!("one workspace: {}", answer.structured);
    };
    for member in ["complete", "sentence", "proven_at"] {
        assert_eq!(workspace[member], status[member], "{member}");
    }
    assert_eq!(workspace["threads"], status["threads"]);
    let held = |streams: &Value| -> Vec<(Value, Value)> {
        let streams = list(streams).iter();
        streams
            .map(|stream| (stream["stream"].clone(), stream["held"].clone()))
            .collect()
    };
    assert_eq!(held(&workspace["streams"]), held(&status["streams"]));

    for (object, filter, attribute) in [
        ("contact", "email", None),
        ("company", "domain", Some(("crm_id", "string"))),
        (
            "conversation",
            "number",
            Some(("Has attachments", "boolean")),
        ),
    ] {
        let pages = agent
            .pages(
                "describe_fields",
                json!({"object": object, "detail": "detailed"}),
            )
            .await;
        let first = &pages[0].structured;
        assert!(
            list(&first["found_by"])
                .iter()
                .any(|one| one["argument"] == filter),
            "{first}"
        );
        let all: Vec<&Value> = pages
            .iter()
            .flat_map(|page| list(&page.structured["attributes"]))
            .collect();
        assert_eq!(first["attribute_total"], all.len());
        assert!(!all.is_empty(), "{object}");
        if let Some((name, kind)) = attribute {
            let found = all.iter().find(|one| one["untrusted_name"] == name);
            assert_eq!(found.unwrap()["type"], kind, "{object} {name}");
        }
        // What a contact shows by itself is a field and no attribute.
        assert!(all.iter().all(|one| one["untrusted_name"] != "email"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_arguments_are_named_with_their_fix() {
    let (world, _case, caller, agent) = synced_agent().await;
    let unknown = uuid::Uuid::now_v7().to_string();
    for (tool, arguments, said) in [
        (
            "get_contact",
            json!({}),
            "Give one of the arguments contact_id, email, phone, external_id.",
        ),
        (
            "get_contact",
            json!({"email": "a@b.example", "phone": "+49 30 123456"}),
            "Give only one of",
        ),
        (
            "get_contact",
            json!({"contact_id": "ada"}),
            "`contact_id` must be an id",
        ),
        (
            "get_contact",
            json!({"contact_id": unknown}),
            "There is no contact with this id.",
        ),
        (
            "get_contact",
            json!({"contact_id": 7}),
            "`contact_id` is wrong: invalid type: integer `7`",
        ),
        (
            "get_contact",
            json!({"email": "grace.h@nowhere.example"}),
            "There is no contact with this email.",
        ),
        (
            "get_contact",
            json!({"email": "Ada"}),
            "`email` is no email address",
        ),
        (
            "get_contact",
            json!({"email": "info@acme.example"}),
            "many people share",
        ),
        (
            "get_contact",
            json!({"phone": "030 123456"}),
            "`phone` has no country: write it as +49 30 123456",
        ),
        (
            "get_contact",
            json!({"external_id": "null"}),
            "`external_id` is a placeholder",
        ),
        (
            "get_contact",
            json!({"email": "a\u{0}b@acme.example"}),
            "`email`",
        ),
        (
            "get_contact",
            json!({"name": "Ada"}),
            "`name` is not one of get_contact, which takes",
        ),
        (
            "get_contact",
            json!({"contact_id": unknown, "detail": "short"}),
            "`detail` is wrong: unknown variant `short`",
        ),
        (
            "get_company",
            json!({"domain": "gmail.com"}),
            "`domain` belongs to a public mail service",
        ),
        (
            "get_company",
            json!({"company_id": unknown}),
            "There is no company with this id.",
        ),
        (
            "get_conversation",
            json!({}),
            "Give one of the arguments conversation_id, number.",
        ),
        (
            "get_conversation",
            json!({"number": "1"}),
            "There is no conversation with this number.",
        ),
        (
            "get_conversation",
            json!({"number": "a\u{0}b"}),
            "There is no conversation with this number.",
        ),
        ("describe_fields", json!({}), "missing field `object`"),
        (
            "describe_fields",
            json!({"object": "ticket"}),
            "`object` is wrong: unknown variant `ticket`",
        ),
        (
            "get_sync_status",
            json!({"cursor": "c"}),
            "The cursor does not belong to this list",
        ),
    ] {
        let refused = agent.refusal(tool, arguments.clone()).await;
        assert!(refused.contains(said), "{tool} {arguments}: {refused}");
    }
    // Ids and cursors of another tenant are unknown ones.
    let stranger = Caller::acting_for(&caller, world.new_tenant().await);
    let stranger = Agent::new(&stranger, ALL).await;
    for (list, tool, argument) in [
        ("contacts", "get_contact", "contact_id"),
        ("contacts", "get_contact_timeline", "contact_id"),
        ("companies", "get_company", "company_id"),
        ("conversations", "get_conversation", "conversation_id"),
    ] {
        let page = caller.get(&format!("/v1/{list}?limit=1")).await;
        let foreign = stranger
            .refusal(tool, json!({argument: page["items"][0]["id"]}))
            .await;
        assert_eq!(
            foreign,
            stranger.refusal(tool, json!({argument: unknown})).await
        );
    }
    let email = &someone(&caller).await["email"];
    let by_email = stranger
        .refusal("get_contact", json!({"email": email}))
        .await;
    assert!(by_email.starts_with("There is no contact with this email."));
    let status = stranger.answer("get_sync_status", json!({})).await;
    assert_eq!(status.structured["workspaces"], json!([]));
    assert_eq!(status.structured["freshness"]["complete"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_total_that_was_not_counted_to_its_end_says_so() {
    let (_world, case, caller, agent) = synced_agent().await;
    // All of them are of one company, and its links are looked at up to 10,000.
    case.grow(10_500).await;
    let companies = caller.get("/v1/companies?limit=200").await;
    let mut minimums = Vec::new();
    for company in list(&companies["items"]) {
        let of_company = json!({"company_id": company["id"]});
        let shown = agent.answer("get_company", of_company).await.structured;
        let total = shown["contact_total"].as_u64().unwrap();
        match shown.get("contact_total_is_minimum") {
            Some(flag) => {
                assert_eq!(flag, true);
                minimums.push(total);
            }
            None => assert!(total < 10_000, "{shown}"),
        }
    }
    assert_eq!(minimums.len(), 1, "{minimums:?}");
    assert!((9_900..=10_001).contains(&minimums[0]), "{minimums:?}");
}
