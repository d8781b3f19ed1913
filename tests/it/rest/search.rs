//! Search over contacts, companies and conversations.

use std::collections::BTreeSet;

use intercom_simulator::{Kind, Mutation};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::{search, store::ApiStore};

use super::synced;
use crate::support::{Caller, Case};

/// Indexes everything that is stored, as a worker does.
pub(crate) async fn index(case: &Case) {
    let store = ApiStore::connect(&case.world.config.database, 1)
        .await
        .expect("postgres answers");
    loop {
        let slice = search::index_slice(&store, case.tenant)
            .await
            .expect("a slice is indexed");
        // A worker that is just ending may still hold the claim.
        if slice.is_some_and(|slice| slice.changes == 0 && !slice.has_more) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// Documents in which a text is left.
async fn texts_with(case: &Case, text: &str) -> usize {
    let documents = case.search_documents().await;
    documents
        .iter()
        .filter(|document| document.contains(text))
        .count()
}

fn person(id: &str, updated_at: &str, fields: Value) -> Value {
    let mut record = json!({"source_id": id, "source_updated_at": updated_at});
    record["fields"] = fields;
    record
}

const EARLY: &str = "2026-11-01T12:00:00Z";
const LATE: &str = "2026-11-02T12:00:00Z";

async fn find(caller: &Caller, body: Value) -> Value {
    let (status, found) = caller.call(Method::POST, "/v1/search", Some(body)).await;
    assert_eq!(status, StatusCode::OK, "{found}");
    found
}

/// Titles of what a text finds.
async fn titles(caller: &Caller, text: &str) -> Vec<String> {
    let found = find(caller, json!({"q": text})).await;
    let items = found["items"].as_array().unwrap().iter();
    items
        .map(|item| item["title"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_found_by_whatever_its_reader_knows() {
    let (_world, case, caller) = synced().await;
    let jane = person(
        "p-7",
        EARLY,
        json!({
            "name": "Zoë Quartzwright",
            "email": "zoe.q+x@acme-corp.example",
            "phones": ["+49 30 1234567"],
            "tags": ["Überfällig"],
            "attributes": {
                "invoice": "INV-2026-000123",
                "note": "退款什么时候到账",
                "thai": "ขอบคุณมากครับ",
                "city": "Łódź",
                "street": "Lange Straße 7",
                "quote": "Refund please, don't wait",
                "mood": "🙂",
            },
        }),
    );
    let other = person(
        "p-8",
        EARLY,
        json!({"name": "Somebody Else", "email": "else@other.example"}),
    );
    caller.send("crm", "contact", &[jane, other]).await;
    index(&case).await;
    for text in [
        "Quartzwright",
        "zoe",
        "ZOE quartz",
        "zoe.q+x@acme-corp.example",
        "ZOE.Q+x@ACME-corp.example",
        "acme-corp.example quartzwright",
        "INV-2026-000123",
        "inv-2026",
        "000123",
        "2026000123",
        "到账",
        "退款什么",
        "ขอบคุณ",
        "lodz",
        "Łódź",
        "STRASSE",
        "straße quartzwright",
        "don't wait",
        "\"refund please\"",
        "“Refund please”",
        "refu quartz",
        "🙂",
        "uberfallig",
        "+49 30 1234567",
        "+49301234567",
        "1234567",
        "p-7",
    ] {
        let found = titles(&caller, text).await;
        assert!(
            found.contains(&"Zoë Quartzwright".to_owned()),
            "{text}: {found:?}"
        );
        assert!(
            !found.contains(&"Somebody Else".to_owned()),
            "{text}: {found:?}"
        );
    }
    for text in ["\"please refund\"", "uartzwright", "账到", "000124"] {
        let found = find(&caller, json!({"q": text})).await;
        let items = found["items"].as_array().unwrap();
        assert!(
            items.iter().all(|item| item["title"] != "Zoë Quartzwright"),
            "{text}: {found}"
        );
    }

    // What names it comes first, whatever else has the word. Some words are better than none.
    let id = |found: &Value| found["items"][0]["id"].clone();
    let named = find(&caller, json!({"q": "zoe.q+x@acme-corp.example"})).await;
    assert_eq!(named["items"][0]["score"], 1.0);
    let itself = find(&caller, json!({"q": id(&named)})).await;
    assert_eq!(id(&itself), id(&named));
    let some = find(&caller, json!({"q": "quartzwright nonexistentword"})).await;
    assert_eq!((&some["matched"], id(&some)), (&json!("any"), id(&named)));
    assert_eq!(named["matched"], "all");
    assert_eq!(
        (&named["caught_up"], &named["complete"]),
        (&json!(true), &json!(true))
    );
    let snippet = find(&caller, json!({"q": "lodz"})).await["items"][0]["snippet"].clone();
    assert!(
        snippet.as_str().unwrap().contains("city: Łódź"),
        "{snippet}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_are_found_by_their_messages_and_qualities() {
    let (_world, case, caller) = synced().await;
    index(&case).await;
    let all = caller.all("/v1/conversations").await;
    let shown = &all[0];
    let number = shown["source_id"].as_str().unwrap();
    let named = find(&caller, json!({"q": number})).await;
    assert_eq!(named["items"][0]["id"], shown["id"], "{named}");
    assert_eq!(named["items"][0]["type"], "conversation");

    // Every conversation is found by a word of each of its messages.
    let mut words = 0;
    for conversation in &all {
        let id = conversation["id"].as_str().unwrap();
        let parts = caller
            .all_with(
                &format!("/v1/conversations/{id}/parts"),
                "&body_format=text",
            )
            .await;
        for body in parts.iter().filter_map(|part| part["body"].as_str()) {
            let Some(word) = body
                .split(|char: char| !char.is_alphanumeric())
                .max_by_key(|word| word.len())
            else {
                continue;
            };
            if word.is_empty() {
                continue;
            }
            words += 1;
            let query = json!({"q": word, "types": ["conversation"], "limit": 200});
            let found = find(&caller, query).await;
            let items = found["items"].as_array().unwrap();
            assert!(items.iter().any(|item| item["id"] == id), "{word}: {found}");
        }
    }
    assert!(words > 40, "{words}");

    // Without words, the filters select.
    for state in ["open", "closed", "snoozed"] {
        let found = find(
            &caller,
            json!({"q": "", "types": ["conversation"], "filters": {"state": state}}),
        )
        .await;
        let expected = caller
            .all_with("/v1/conversations", &format!("&state={state}"))
            .await;
        assert_eq!(ids(&found["items"]), ids(&json!(expected)), "{state}");
    }
    let contact = &shown["contact_ids"][0];
    let found = find(
        &caller,
        json!({"q": "", "filters": {"contact_id": contact}}),
    )
    .await;
    let query = format!("&contact_id={}", contact.as_str().unwrap());
    assert_eq!(
        ids(&found["items"]),
        ids(&json!(caller.all_with("/v1/conversations", &query).await))
    );
    let at = shown["source_updated_at"].clone();
    let newest = find(
        &caller,
        json!({"q": "", "types": ["conversation"], "filters": {"active_since": at}}),
    )
    .await;
    let older = find(
        &caller,
        json!({"q": "", "types": ["conversation"], "filters": {"active_before": at}}),
    )
    .await;
    let sum = newest["total"].as_u64().unwrap() + older["total"].as_u64().unwrap();
    assert_eq!(sum, all.len() as u64);
    let tagged = all
        .iter()
        .find(|one| one["tags"] != json!([]))
        .expect("a tag");
    let found = find(
        &caller,
        json!({"q": "", "filters": {"tag": tagged["tags"][0], "state": tagged["state"]}}),
    )
    .await;
    assert!(
        ids(&found["items"]).contains(tagged["id"].as_str().unwrap()),
        "{found}"
    );
}

fn ids(items: &Value) -> BTreeSet<String> {
    let items = items.as_array().unwrap().iter();
    items
        .map(|item| item["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_show_each_match_once() {
    let (_world, case, caller) = synced().await;
    index(&case).await;
    let whole = find(&caller, json!({"q": "", "limit": 200})).await;
    let expected: Vec<Value> = whole["items"].as_array().unwrap().clone();
    assert!(expected.len() > 50, "{}", expected.len());
    assert_eq!(whole["total"], expected.len());
    assert!(whole.get("next_cursor").is_none());
    let mut paged = Vec::new();
    // As JSON may write it as well.
    let mut query = json!({"q": "", "limit": 7.0});
    loop {
        let page = find(&caller, query.clone()).await;
        paged.extend(page["items"].as_array().unwrap().iter().cloned());
        assert_eq!(page["total"], expected.len());
        let Some(cursor) = page.get("next_cursor") else {
            break;
        };
        query["cursor"] = cursor.clone();
    }
    assert_eq!(paged, expected);

    for limit in [json!(7.5), json!("7"), json!(0), json!(-1), json!(1e300)] {
        let query = json!({"q": "", "limit": limit});
        let (status, body) = caller.call(Method::POST, "/v1/search", Some(query)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(body["errors"][0]["field"], "limit", "{body}");
    }

    // A cursor continues the query that it was made for.
    query["q"] = "other".into();
    let (status, _) = caller.call(Method::POST, "/v1/search", Some(query)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_is_found_as_it_is_now() {
    let (_world, case, caller) = synced().await;
    let version =
        |at: &str, name: &str| person("p-1", at, json!({"name": name, "email": "q@acme.example"}));
    caller
        .send("crm", "contact", &[version(EARLY, "Oldname")])
        .await;
    index(&case).await;
    assert_eq!(titles(&caller, "oldname").await, ["Oldname"]);
    caller
        .send("crm", "contact", &[version(LATE, "Newname")])
        .await;
    let behind = find(&caller, json!({"q": "oldname"})).await;
    assert_eq!(behind["caught_up"], false);
    index(&case).await;
    assert!(titles(&caller, "oldname").await.is_empty());
    assert_eq!(titles(&caller, "newname").await, ["Newname"]);

    // One person of two sources is one item, with the words of both.
    let mailed = person(
        "m-1",
        EARLY,
        json!({"email": "q@acme.example", "tags": ["newsletter-xyz"]}),
    );
    caller.send("email", "contact", &[mailed]).await;
    index(&case).await;
    assert_eq!(titles(&caller, "newname newsletter-xyz").await, ["Newname"]);

    // What its only source deletes is not found, from the moment on at which it is stored.
    let mut alone = person("p-2", EARLY, json!({"name": "Lonelyname"}));
    caller
        .send("crm", "contact", std::slice::from_ref(&alone))
        .await;
    index(&case).await;
    assert_eq!(titles(&caller, "lonelyname").await, ["Lonelyname"]);
    alone["source_updated_at"] = LATE.into();
    alone["deleted"] = true.into();
    caller.send("crm", "contact", &[alone]).await;
    assert!(titles(&caller, "lonelyname").await.is_empty());

    // What is removed is not shown from then on, also before it is indexed, and its words are deleted with it.
    caller.remove_source("email").await;
    caller.remove_source("crm").await;
    assert!(titles(&caller, "newname").await.is_empty());
    assert_eq!(texts_with(&case, "acme.example").await, 0);
    index(&case).await;
    assert_eq!(texts_with(&case, "acme.example").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_those_of_a_new_index() {
    let (_world, case, caller) = synced().await;
    // Records join and part from round to round, and in the end they are one.
    for round in 0..4_u64 {
        case.workspace.mutate(Mutation::update(Kind::Contact, 5));
        case.workspace.mutate(Mutation::grow(Kind::Conversation, 5));
        case.workspace.mutate(Mutation::delete(Kind::Company, 1));
        let people: Vec<Value> = (0..6)
            .map(|n| {
                let at = format!("2026-11-0{}T12:00:00Z", round + 1);
                let email = format!("p{}@shared.example", n * (round + 1) % 4);
                person(
                    &format!("p{n}"),
                    &at,
                    json!({"name": format!("Person {n} {round}"), "email": email}),
                )
            })
            .collect();
        caller.send("crm", "contact", &people).await;
        let fleet = case.world.fleet(2);
        case.poll().await;
        fleet.stop().await;
        index(&case).await;
    }
    index(&case).await;
    let followed = case.search_documents().await;
    assert!(followed.len() > 50, "{}", followed.len());
    case.delete_search_index().await;
    index(&case).await;
    let anew = case.search_documents().await;
    let differing: Vec<_> = followed
        .iter()
        .filter(|document| !anew.contains(document))
        .chain(anew.iter().filter(|document| !followed.contains(document)))
        .collect();
    assert!(differing.is_empty(), "{differing:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_finds_what_it_may_read() {
    let (world, case, caller) = synced().await;
    index(&case).await;
    let made = json!({"name": "reader", "scopes": ["profiles:read"]});
    let (_, made) = caller.call(Method::POST, "/v1/api_keys", Some(made)).await;
    let reader = caller.with_key(made["key"].as_str().unwrap());
    let found = find(&reader, json!({"q": "", "limit": 200})).await;
    let kinds: BTreeSet<&str> = found["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, BTreeSet::from(["company", "contact"]));
    let asked = json!({"q": "", "types": ["contact", "conversation"]});
    let (status, problem) = reader.call(Method::POST, "/v1/search", Some(asked)).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::FORBIDDEN, &json!("missing_scope"))
    );

    // Another tenant finds nothing of it, by any word or id.
    let stranger = caller.acting_for(world.new_tenant().await);
    for text in [
        "",
        found["items"][0]["id"].as_str().unwrap(),
        found["items"][0]["title"].as_str().unwrap(),
    ] {
        let nothing = find(&stranger, json!({"q": text})).await;
        assert_eq!(
            (&nothing["total"], &nothing["items"]),
            (&json!(0), &json!([])),
            "{text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_text_is_a_query() {
    let (_world, case, caller) = synced().await;
    index(&case).await;
    let long = "退款".repeat(500);
    for text in [
        "'",
        "''",
        "\\",
        "a & b | !c",
        ":*",
        "<->",
        "(",
        "\"",
        "\"\"\"",
        "\u{0}",
        "a\u{0}b",
        "🙂🙂",
        "%",
        "_",
        "—",
        "-1",
        "null",
        "\u{200d}",
        "ﷺ",
        "𝕬𝖉𝖆",
        &long,
        &"a ".repeat(500),
        &"x".repeat(1_000),
    ] {
        find(&caller, json!({"q": text})).await;
        find(
            &caller,
            json!({"q": "", "filters": {"tag": text.chars().take(200).collect::<String>()}}),
        )
        .await;
    }
    for (body, field) in [
        (json!({}), "q"),
        (json!({"q": 1}), "q"),
        (json!({"q": "x".repeat(1_001)}), "q"),
        (json!({"q": "", "types": []}), "types"),
        (json!({"q": "", "types": ["person"]}), "types"),
        (json!({"q": "", "limit": 0}), "limit"),
        (json!({"q": "", "cursor": "made-up"}), "cursor"),
        (
            json!({"q": "", "filters": {"contact_id": "x"}}),
            "filters.contact_id",
        ),
        (
            json!({"q": "", "filters": {"colour": "red"}}),
            "filters.colour",
        ),
        (
            json!({"q": "", "filters": {"tag": "x".repeat(201)}}),
            "filters.tag",
        ),
    ] {
        let (status, problem) = caller
            .call(Method::POST, "/v1/search", Some(body.clone()))
            .await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}: {problem}");
        assert!(problem.to_string().contains(field), "{body}: {problem}");
    }
}
