//! The page of a contact: its profile with the origin of each value, its identities and its timeline.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    contacts::{browsed, record},
    signed_in,
};
use crate::{
    rest::sources::someone,
    support::{Caller, CookieJar, HtmlAnswer, World},
};

/// A tenant without a workspace, and its browser.
async fn sent() -> (World, Caller, CookieJar) {
    let world = World::new().await;
    let tenant = world.new_tenant().await;
    let base = world.api().await;
    let caller = Caller::service(&world, &base, Some(tenant));
    let browser = signed_in(&world, &base, tenant).await;
    (world, caller, browser)
}

fn path_of(contact: &Value) -> String {
    format!("/contacts/{}", contact["id"].as_str().unwrap())
}

/// The one contact that has a record of this source.
async fn with_source(caller: &Caller, source: &str) -> Value {
    let contacts = caller.all("/v1/contacts").await;
    let has = |contact: &&Value| {
        let mut sources = contact["sources"].as_array().unwrap().iter();
        sources.any(|one| one["source"] == source)
    };
    let mut found = contacts.iter().filter(has);
    let one = found.next().expect("it is listed").clone();
    assert!(found.next().is_none(), "{contacts:?}");
    one
}

/// A time as pages write it.
fn written(time: &Value) -> String {
    let at: DateTime<Utc> = time.as_str().unwrap().parse().unwrap();
    at.format("%-d %B %Y, %H:%M UTC").to_string()
}

fn named(source: &str) -> &'static str {
    match source {
        "crm" => "CRM",
        "email" => "Email system",
        "analytics" => "Analytics",
        _ => "Intercom",
    }
}

/// The origins of a page, each as its text and the record that it leads to.
pub(super) fn origins(page: &HtmlAnswer) -> Vec<(String, String)> {
    let links = page.html.split("<a class=\"origin\" href=\"#").skip(1);
    let mut origins: Vec<(String, String)> = links
        .map(|rest| {
            let (id, rest) = rest.split_once("\">").unwrap();
            let text = rest.split("</a>").next().unwrap().to_owned();
            let (_, record) = page.html.split_once(&format!("<li id=\"{id}\">")).unwrap();
            (text, record.split("</li>").next().unwrap().to_owned())
        })
        .collect();
    origins.sort();
    origins
}

/// Every origin that REST tells of a profile is on its page, once, with its record.
pub(super) fn shows_all_origins(page: &HtmlAnswer, profile: &Value) {
    let provenance = profile["provenance"].as_object().unwrap();
    // A location may say nothing but its type.
    let says_nothing = |location: &Value| {
        let members = location.as_object().into_iter().flatten();
        let mut said = members.filter(|(name, value)| *name != "type" && value.is_string());
        said.next().is_none()
    };
    // The first of each list is the same value.
    let is_shown = |path: &&String| match path.as_str() {
        "email" | "phone" => false,
        "location" => !says_nothing(&profile["location"]),
        _ => true,
    };
    let mut expected: Vec<(String, String)> = provenance
        .iter()
        .filter(|(path, _)| is_shown(path))
        .map(|(_, origin)| {
            let source = named(origin["source"].as_str().unwrap());
            let at = written(&origin["source_updated_at"]);
            let id = origin["source_id"].as_str().unwrap();
            (format!("From {source}, {at}"), id.to_owned())
        })
        .collect();
    expected.sort();
    let shown = origins(page);
    let texts = |origins: &[(String, String)]| -> Vec<String> {
        origins.iter().map(|(text, _)| text.clone()).collect()
    };
    assert_eq!(texts(&shown), texts(&expected), "{provenance:#?}");
    for (text, id) in expected {
        let leads = |(shown, record): &&(String, String)| *shown == text && record.contains(&id);
        assert!(shown.iter().any(|origin| leads(&origin)), "{text} {id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_value_shows_which_record_it_is_from() {
    let (_world, _case, caller, mut browser) = browsed().await;
    let ada = someone(&caller).await;
    let known = record(
        "c-7",
        json!({
            "email": ada["email"], "emails": ["second@acme.example"], "name": "Ada Quartzwright", "phone": "+49 30 1234567",
            "role": "user", "owner": "Otto Owner", "external_id": null,
            "attributes": {"tier": "gold", "beta": true, "chairs": 12, "note": null},
            "location": {"city": "Berlin", "country": "Germany"},
            "last_seen_at": "2099-01-02T03:04:00Z", "signed_up_at": "2020-01-02T03:04:00Z",
            "browser": {"name": "firefox", "version": "151", "language": "de", "os": "Linux"},
            "devices": [{"platform": "ios", "app_name": "Shop", "device": "iPhone", "os_version": "20.1"}],
            "consent": {"unsubscribed": true}, "tags": ["vip"], "segments": ["Whales"],
        }),
    );
    let mut known = known;
    known["fields"]
        .as_object_mut()
        .unwrap()
        .remove("external_id");
    known["fields"]["attributes"]
        .as_object_mut()
        .unwrap()
        .remove("note");
    let taken = caller.send("crm", "contact", &[known]).await;
    assert_eq!(taken["accepted"], 1, "{taken}");
    let ada = with_source(&caller, "crm").await;
    let shown = caller
        .get(&format!("/v1{}?include=provenance", path_of(&ada)))
        .await;
    let page = browser.get(&path_of(&ada)).await;
    assert_eq!((page.status, page.code()), (StatusCode::OK, "contact"));
    page.is_sound();
    shows_all_origins(&page, &shown);
    for text in [
        "Ada Quartzwright",
        "second@acme.example",
        "+49 30 1234567",
        "Otto Owner",
        "Berlin, Germany",
        "2 January 2099, 03:04 UTC",
        "firefox, 151, Linux, language de",
        "iOS, 20.1, iPhone, Shop",
        "May be emailed: no",
        "Unsubscribed: yes",
        "vip",
        "Whales",
        "tier gold From CRM",
        "beta yes From CRM",
        "chairs 12 From CRM",
    ] {
        page.has(text);
    }
    // Both sources, and where Intercom shows its record.
    let sources = ada["sources"].as_array().unwrap();
    assert_eq!(page.html.matches("<li id=\"record-").count(), sources.len());
    let links = page
        .html
        .split("href=\"https://app.intercom.com/a/apps/")
        .skip(1);
    assert_eq!(links.count(), 1);
    assert!(page.html.contains("rel=\"noopener noreferrer nofollow\""));
    // A company is named and linked.
    let with_company = caller.all("/v1/contacts").await;
    let with_company = with_company
        .iter()
        .find(|contact| contact["company_ids"][0].is_string())
        .expect("somebody has a company");
    let company = with_company["company_ids"][0].as_str().unwrap();
    let name = caller.get(&format!("/v1/companies/{company}")).await["name"].clone();
    let page = browser.get(&path_of(with_company)).await;
    page.has(name.as_str().unwrap());
    assert!(page.links_below("/companies").contains(&company.to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_have_the_types_that_the_workspace_declares() {
    let (_world, _case, caller, mut browser) = browsed().await;
    let contacts = caller.all("/v1/contacts").await;
    let mut declared = BTreeSet::new();
    for contact in &contacts {
        let shown = caller
            .get(&format!("/v1{}?include=provenance", path_of(contact)))
            .await;
        let page = browser.get(&path_of(contact)).await;
        page.is_sound();
        shows_all_origins(&page, &shown);
        for (name, value) in contact["attributes"].as_object().unwrap() {
            let kind = match value {
                Value::Bool(_) => "boolean",
                Value::String(_) => "string",
                _ => continue,
            };
            let noted = format!(
                "<dt><bdi>{name}</bdi><span class=\"dim about\"><bdi>{kind}</bdi></span></dt>"
            );
            if page.html.contains(&noted) {
                declared.insert(kind);
            }
        }
    }
    assert_eq!(declared, BTreeSet::from(["boolean", "string"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merged_contact_leads_to_the_survivor_and_a_deleted_one_says_so() {
    let (_world, caller, mut browser) = sent().await;
    let old = "2020-01-01T00:00:00Z";
    let first = record(
        "c1",
        json!({"email": "ada@acme.example", "name": "Ada", "created_at": old}),
    );
    let second = record("e1", json!({"email": "else@acme.example", "name": "Eve"}));
    caller.send("crm", "contact", &[first]).await;
    caller
        .send("email", "contact", std::slice::from_ref(&second))
        .await;
    let eve = with_source(&caller, "email").await;
    let before = browser.get(&path_of(&eve)).await;
    assert_eq!(before.states(), Vec::<&str>::new());
    before.has("It has one record, so nothing had to be joined.");
    let mut joined = second.clone();
    joined["source_updated_at"] = "2026-11-02T12:00:00Z".into();
    joined["fields"]["email"] = "ada@acme.example".into();
    caller.send("email", "contact", &[joined]).await;

    let survivor = with_source(&caller, "crm").await;
    assert_ne!(survivor["id"], eve["id"]);
    let page = browser.get(&path_of(&eve)).await;
    page.is_sound();
    assert_eq!(
        (page.status, page.states()),
        (StatusCode::OK, vec!["merged"])
    );
    assert_eq!(
        page.link_named("an address of its own"),
        Some(path_of(&survivor))
    );
    page.has("CRM record c1 and Email system record e1 are one person, because both have the address ada@acme.example .");
    assert_eq!(
        browser.get(&path_of(&survivor)).await.states(),
        Vec::<&str>::new()
    );

    let mut gone = second;
    for (source, id) in [("crm", "c1"), ("email", "e1")] {
        gone["source_id"] = id.into();
        gone["source_updated_at"] = "2026-11-03T12:00:00Z".into();
        gone["deleted"] = true.into();
        caller
            .send(source, "contact", std::slice::from_ref(&gone))
            .await;
    }
    let page = browser.get(&path_of(&survivor)).await;
    page.is_sound();
    assert_eq!(
        (page.status, page.states()),
        (StatusCode::OK, vec!["deleted"])
    );
    page.has("Every source has deleted this contact");
    page.has("Deleted there at");
    let listed = browser.get("/contacts").await;
    assert_eq!(listed.links_below("/contacts"), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn why_records_are_one_person_is_told_in_sentences() {
    let (_world, caller, mut browser) = sent().await;
    let old = "2020-01-01T00:00:00Z";
    for (source, id, fields) in [
        (
            "crm",
            "c",
            json!({"external_id": "u1", "email": "Ada@acme.example", "phone": "030 1234", "created_at": old}),
        ),
        ("email", "e", json!({"email": "ada@ACME.example"})),
        (
            "analytics",
            "a",
            json!({"email": "info@acme.example", "external_id": "u1"}),
        ),
        (
            "analytics",
            "b",
            json!({"email": "ada@acme.example", "external_id": "u2"}),
        ),
    ] {
        caller.send(source, "contact", &[record(id, fields)]).await;
    }
    let contacts = caller.all("/v1/contacts").await;
    let has = |contact: &Value, id: &str| {
        let mut sources = contact["sources"].as_array().unwrap().iter();
        sources.any(|source| source["source_id"] == id)
    };
    let ada = contacts.iter().find(|contact| has(contact, "c")).unwrap();
    let other = contacts.iter().find(|contact| has(contact, "b")).unwrap();
    let page = browser.get(&path_of(ada)).await;
    page.is_sound();
    for sentence in [
        "are one person, because both have the external id u1 .",
        "The address ada@acme.example of CRM record c joins nobody, because its holders have different values of a stronger kind.",
        "It could mean",
        "The address info@acme.example of Analytics record a joins nobody, because many people share such a mailbox.",
        "The phone number 030 1234 of CRM record c joins nobody, because it has no country",
    ] {
        page.has(sentence);
    }
    // The other candidate is a link to its page.
    assert!(
        page.links_below("/contacts")
            .contains(&other["id"].as_str().unwrap().to_owned())
    );

    let source = ada["sources"]
        .as_array()
        .unwrap()
        .iter()
        .find(|source| source["source_id"] == "a");
    let body =
        json!({"sources": [{"connection_id": source.unwrap()["connection_id"], "source_id": "a"}]});
    let split = format!("/v1{}/split", path_of(ada));
    let (status, parted) = caller.call(Method::POST, &split, Some(body)).await;
    assert_eq!(status, StatusCode::OK, "{parted}");
    let page = browser.get(&path_of(ada)).await;
    page.is_sound();
    page.has(
        "are kept apart, although both have the external id u1 , because they were parted by hand.",
    );
    page.has("Parted by hand");
    page.has("and are never joined while the split is there.");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timeline_is_that_of_rest_page_by_page() {
    let (_world, _case, caller, mut browser) = browsed().await;
    let ada = someone(&caller).await;
    let events: Vec<Value> = (0..40)
        .map(|n| {
            let (day, url) = (n % 28 + 1, format!("https://mail.example/{n}"));
            json!({
                "source_id": format!("e{n}"), "source_updated_at": "2026-11-01T12:00:00Z",
                "fields": {
                    "contact": "p1", "kind": "email_opened", "occurred_at": format!("20{}-01-{day:02}T00:00:00Z", 10 + n),
                    "title": format!("Title {n}."), "url": url, "attributes": {"campaign": "spring"},
                },
            })
        })
        .collect();
    caller.send("email", "event", &events).await;
    caller
        .send(
            "email",
            "contact",
            &[record("p1", json!({"email": ada["email"]}))],
        )
        .await;
    let id = with_source(&caller, "email").await;
    let expected: Vec<String> = caller
        .all(&format!("/v1{}/timeline", path_of(&id)))
        .await
        .iter()
        .map(|entry| match entry["type"].as_str().unwrap() {
            "event" => entry["event"]["title"].as_str().unwrap().to_owned(),
            _ => entry["conversation"]["id"].as_str().unwrap().to_owned(),
        })
        .collect();
    assert!(expected.len() > 40, "{}", expected.len());
    let (mut seen, mut path, mut pages) = (Vec::new(), path_of(&id), 0);
    loop {
        let page = browser.get(&path).await;
        page.is_sound();
        pages += 1;
        // The profile is there once.
        assert_eq!(page.html.contains("<h2>Profile</h2>"), pages == 1);
        let (_, list) = page.html.split_once("<ol class=\"timeline\">").unwrap();
        let entries = list.split("</ol>").next().unwrap().split("<li>").skip(1);
        seen.extend(entries.map(|entry| {
            let conversation = entry.split_once("href=\"/conversations/");
            let title = || {
                entry
                    .split_once(": <bdi>")
                    .unwrap()
                    .1
                    .split("</bdi>")
                    .next()
                    .unwrap()
            };
            let name = conversation.map_or_else(title, |(_, rest)| rest.split('"').next().unwrap());
            name.to_owned()
        }));
        let Some(older) = page.link_named("Older entries") else {
            break;
        };
        assert!(older.ends_with("#timeline"), "{older}");
        path = older;
    }
    assert_eq!(seen, expected);
    assert_eq!(pages, expected.len().div_ceil(25));
    let page = browser.get(&path_of(&id)).await;
    page.has("Email system email opened : Title");
    page.has("campaign spring");
    page.has("messages");
    assert!(
        page.html.contains("href=\"https://mail.example/39\""),
        "{}",
        page.html
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_and_garbage_ids_get_the_page_of_unknown_ones() {
    let (world, _case, caller, mut browser) = browsed().await;
    let mut theirs = signed_in(&world, caller.base(), world.new_tenant().await).await;
    let mut nobody = CookieJar::new(caller.base());
    for list in ["contacts", "companies", "conversations"] {
        let id = caller.get(&format!("/v1/{list}?limit=1")).await["items"][0]["id"].clone();
        let own = format!("/{list}/{}", id.as_str().unwrap());
        assert_eq!(browser.get(&own).await.status, StatusCode::OK);
        let unknown = theirs
            .get(&format!("/{list}/{}", uuid::Uuid::now_v7()))
            .await;
        assert_eq!(
            (unknown.status, unknown.code()),
            (StatusCode::NOT_FOUND, "not_found")
        );
        unknown.is_sound();
        let long = "x".repeat(10_000);
        for id in [
            id.as_str().unwrap(),
            "x",
            "%00",
            "%ff",
            "..%2f..",
            "%3Cscript%3E",
            &long,
        ] {
            let page = theirs.get(&format!("/{list}/{id}")).await;
            assert_eq!(page.status, StatusCode::NOT_FOUND, "{list} {id}");
            assert_eq!(page.html, unknown.html, "{list} {id}");
        }
        for cursor in ["x", "%00", &"A".repeat(300)] {
            let page = browser.get(&format!("{own}?cursor={cursor}")).await;
            assert_eq!(
                (page.status, page.code()),
                (StatusCode::BAD_REQUEST, "cursor_unknown")
            );
        }
        let page = nobody.get(&own).await;
        assert_eq!(
            (page.status, page.code()),
            (StatusCode::UNAUTHORIZED, "sign_in_required")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_text_of_a_profile_becomes_markup() {
    let (_world, caller, mut browser) = sent().await;
    let hostile = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\u{202e}\u{200b}&amp;";
    let long = "y".repeat(50_000);
    let person = record(
        hostile,
        json!({
            "email": "\"><b>@evil.example", "name": hostile, "role": "user", "owner": hostile, "tags": [hostile],
            "segments": [hostile], "attributes": {hostile: hostile, "long": long, "deep": {hostile: [hostile]}},
            "location": {"city": hostile}, "browser": {"name": hostile},
            "devices": [{"platform": "ios", "app_name": hostile, "device": hostile}], "phones": [hostile],
        }),
    );
    let taken = caller.send("crm", "contact", &[person]).await;
    assert_eq!(taken["accepted"], 1, "{taken}");
    let event = json!({
        "source_id": "e", "source_updated_at": "2026-11-01T12:00:00Z",
        "fields": {
            "contact": hostile, "kind": hostile, "occurred_at": "2026-11-01T12:00:00Z", "title": hostile,
            "url": "javascript:alert(1)", "attributes": {hostile: hostile},
        },
    });
    caller.send("crm", "event", &[event]).await;
    let contact = with_source(&caller, "crm").await;
    let page = browser.get(&path_of(&contact)).await;
    page.is_sound();
    assert_eq!(page.status, StatusCode::OK);
    for bad in [
        "<script",
        "<img",
        "<b>",
        "\u{202e}",
        "\u{200b}",
        "href=\"javascript",
    ] {
        assert!(!page.html.contains(bad), "{bad:?}: {}", page.html);
    }
    assert!(
        page.html.matches("&lt;script&gt;").count() > 10,
        "{}",
        page.html
    );
    assert!(page.html.len() < 60_000, "{}", page.html.len());
}
