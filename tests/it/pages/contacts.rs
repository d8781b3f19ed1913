//! The list of contacts, and what a search finds.

use intercom_simulator::WorkspaceSpec;
use reqwest::{Method, StatusCode, Url};
use serde_json::{Value, json};
use shared::{domain::Mode, store::ConnectionState};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{begun, signed_in};
use crate::{
    rest::{search::index, synced},
    support::{Caller, Case, CookieJar, World, held, tiny},
};

/// A synced and indexed workspace, and a browser of its tenant.
pub(super) async fn browsed() -> (World, Case, Caller, CookieJar) {
    let (world, case, caller) = synced().await;
    let browser = signed_in(&world, caller.base(), case.tenant).await;
    (world, case, caller, browser)
}

/// A record of another source.
pub(super) fn record(id: &str, fields: Value) -> Value {
    let mut record = json!({"source_id": id, "source_updated_at": "2026-11-01T12:00:00Z"});
    record["fields"] = fields;
    record
}

fn ids(items: &[Value]) -> Vec<String> {
    let items = items.iter();
    items
        .map(|item| item["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_contacts_are_listed_with_the_last_changed_first() {
    let (_world, _case, caller, mut browser) = browsed().await;
    let people: Vec<Value> = (0..90)
        .map(|n| record(&format!("p{n}"), json!({"name": format!("Person {n}")})))
        .collect();
    caller.send("crm", "contact", &people).await;
    let expected = ids(&caller.all("/v1/contacts").await);
    assert!(expected.len() > 100, "{}", expected.len());

    let (mut seen, mut path) = (Vec::new(), "/contacts".to_owned());
    let mut pages = 0;
    loop {
        let page = browser.get(&path).await;
        assert_eq!((page.status, page.code()), (StatusCode::OK, "contacts"));
        page.is_sound();
        seen.extend(page.links_below("/contacts"));
        pages += 1;
        assert_eq!(page.link_named("Newest contacts").is_some(), pages > 1);
        let Some(older) = page.link_named("Older contacts") else {
            break;
        };
        path = older;
    }
    assert_eq!(pages, expected.len().div_ceil(50));
    assert_eq!(seen, expected);

    let first = browser.get("/contacts").await;
    first.has("Search contacts, companies and conversations");
    first.has("CRM");
    assert!(
        first
            .html
            .contains("<a href=\"/contacts\" aria-current=\"page\">Contacts</a>"),
        "{}",
        first.html
    );
    let other = browser.get("/integrations").await;
    assert!(other.html.contains("<a href=\"/contacts\">Contacts</a>"));
    assert!(
        other
            .html
            .contains("<a href=\"/integrations\" aria-current=\"page\">")
    );
    // Its policy lets no script run.
    let policy = first.header("content-security-policy");
    assert!(!policy.contains("script-src"), "{policy}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_list_says_why_and_what_to_do() {
    let (case, mut browser) = begun(tiny()).await;
    let page = browser.get("/contacts").await;
    page.is_sound();
    assert_eq!(page.states(), ["not_connected"]);
    page.has("Nothing is connected yet");
    assert_eq!(
        page.link_named("Connect Intercom").as_deref(),
        Some("/integrations")
    );

    let case = case.connect().await;
    let late = case.inject(held().operation("list_contacts"));
    let fleet = case.world.fleet(1);
    case.until_hit(late).await;
    let page = browser.get("/contacts").await;
    page.is_sound();
    assert_eq!(page.states(), ["first_sync"]);
    page.has("The first sync is under way");
    case.clear_fault(late);
    case.until_complete().await;
    let page = browser.get("/contacts").await;
    assert_eq!(page.states(), Vec::<&str>::new());
    assert_eq!(page.links_below("/contacts").len(), 6);

    // What was read stays when the connection stops.
    case.workspace.revoke_tokens();
    case.resync(Mode::Incremental).await;
    case.until_state(ConnectionState::ReauthRequired).await;
    drop(fleet);
    assert_eq!(
        browser
            .get("/contacts")
            .await
            .links_below("/contacts")
            .len(),
        6
    );

    let (case, mut browser) = begun(WorkspaceSpec {
        contacts: 0,
        companies: 0,
        conversations: 0,
        ..tiny()
    })
    .await;
    let case = case.connect().await;
    let _fleet = case.world.fleet(1);
    case.until_complete().await;
    assert_eq!(browser.get("/contacts").await.states(), ["no_contacts"]);
    case.workspace.revoke_tokens();
    case.resync(Mode::Incremental).await;
    case.until_state(ConnectionState::ReauthRequired).await;
    let page = browser.get("/contacts").await;
    assert_eq!(page.states(), ["stopped"]);
    page.has("Contacts cannot be read at the moment");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_finds_what_rest_finds() {
    let (_world, case, caller, mut browser) = browsed().await;
    let jane = record(
        "p1",
        json!({"name": "Zoë Quartzwright", "attributes": {"note": "asks for refunds"}}),
    );
    caller.send("crm", "contact", &[jane]).await;
    let behind = browser.get("/contacts?q=quartzwright").await;
    assert_eq!(behind.states(), ["no_match"]);
    behind.has("What was stored in the last seconds is not searched yet.");
    index(&case).await;
    let conversation = &caller.all("/v1/conversations").await[0];
    let number = conversation["source_id"].as_str().unwrap();
    let company = caller.all("/v1/companies").await[0].clone();
    let name = company["name"].as_str().unwrap();

    for text in ["quartz zoe", number, name, "the"] {
        let found = caller
            .call(
                Method::POST,
                "/v1/search",
                Some(json!({"q": text, "limit": 200})),
            )
            .await
            .1;
        let expected: Vec<String> = found["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| {
                let folder = match item["type"].as_str().unwrap() {
                    "company" => "companies",
                    "contact" => "contacts",
                    _ => "conversations",
                };
                format!("/{folder}/{}", item["id"].as_str().unwrap())
            })
            .collect();
        let (mut seen, mut path) = (Vec::new(), format!("/contacts?{}", query_of(text)));
        loop {
            let page = browser.get(&path).await;
            assert_eq!(
                (page.status, page.code()),
                (StatusCode::OK, "search"),
                "{text}"
            );
            page.is_sound();
            page.has("the best ones first.");
            let (_, list) = page.html.split_once("<ol").expect("a list");
            let hrefs = list.split("</ol>").next().unwrap().split("href=\"").skip(1);
            seen.extend(hrefs.map(|rest| rest.split('"').next().unwrap().to_owned()));
            let Some(more) = page.link_named("More matches") else {
                break;
            };
            path = more;
        }
        assert_eq!(seen, expected, "{text}");
        assert!(!seen.is_empty(), "{text}");
    }
    let page = browser.get("/contacts?q=quartzwright").await;
    page.has("1 match, the best ones first.");
    page.has("note: asks for refunds");
    assert!(
        page.html.contains("value=\"quartzwright\""),
        "{}",
        page.html
    );
    let some = browser
        .get("/contacts?q=quartzwright+nonexistentword")
        .await;
    some.has("Nothing has all of these words, so these have some of them.");
    let none = browser.get("/contacts?q=nowheretobefound").await;
    assert_eq!(none.states(), ["no_match"]);
    none.has("Try fewer words");
    // Blanks are no search.
    assert_eq!(browser.get("/contacts?q=+").await.code(), "contacts");
}

/// A query that searches for a text.
fn query_of(text: &str) -> String {
    let url = Url::parse_with_params("http://page", [("q", text)]).unwrap();
    url.query().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bounded_search_says_so() {
    let (_world, case, caller, mut browser) = browsed().await;
    for from in [0, 700] {
        let people: Vec<Value> = (from..from + 700)
            .map(|n| record(&format!("p{n}"), json!({"name": format!("Multitude {n}")})))
            .collect();
        caller.send("crm", "contact", &people).await;
    }
    index(&case).await;
    let page = browser.get("/contacts?q=multitude").await;
    page.has(
        "More than 1,000 matches. Only the newest of them are shown, so add words to see others.",
    );
    let narrow = browser.get("/contacts?q=multitude+77").await;
    narrow.has("matches, the best ones first.");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_asked_for_the_answer_is_a_page() {
    let (_world, _case, caller, mut browser) = browsed().await;
    let people: Vec<Value> = (0..40)
        .map(|n| record(&format!("p{n}"), json!({"name": "A"})))
        .collect();
    caller.send("crm", "contact", &people).await;
    let older = browser
        .get("/contacts")
        .await
        .link_named("Older contacts")
        .unwrap();
    let cursor = older.split_once("cursor=").unwrap().1.to_owned();
    let long = "x".repeat(1_001);
    let longer = "é".repeat(9_000);
    for (query, code) in [
        ("cursor=made-up".to_owned(), "cursor_unknown"),
        (format!("cursor={}", "A".repeat(200)), "cursor_unknown"),
        ("cursor=%ff%00".to_owned(), "cursor_unknown"),
        // Of another list.
        (format!("q=a&cursor={cursor}"), "cursor_unknown"),
        (format!("q={long}"), "search_too_long"),
        (query_of(&longer), "search_too_long"),
    ] {
        let page = browser.get(&format!("/contacts?{query}")).await;
        assert_eq!((page.status, page.code()), (StatusCode::BAD_REQUEST, code));
        page.is_sound();
        page.has("contacts");
    }
    for query in [
        "q=%00",
        "q=%ff",
        "q=%3Cscript%3Ealert(1)%3C/script%3E",
        "q=%22%20onfocus%3D%22x",
        "q=%E2%80%AE",
        "q='",
        "q=a&q=b",
        "q",
        "&&&",
        "cursor=",
        "unknown=1",
        "q=%25",
        "q=%F0%9F%99%82",
        "q=%3A*%20%26%20%7C",
    ] {
        let page = browser.get(&format!("/contacts?{query}")).await;
        assert_eq!(page.status, StatusCode::OK, "{query}");
        page.is_sound();
        assert!(!page.html.contains("<script"), "{}", page.html);
    }
    // Longer than an address can be.
    let address = caller.base().strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET /contacts?q={} HTTP/1.1\r\nHost: {address}\r\n\r\n",
        "x".repeat(100_000)
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 414");

    let mut stranger = CookieJar::new(caller.base());
    for path in ["/contacts", "/contacts?q=a", &older] {
        let page = stranger.get(path).await;
        assert_eq!(
            (page.status, page.code()),
            (StatusCode::UNAUTHORIZED, "sign_in_required")
        );
        page.is_sound();
        page.has("Open it from the product that you use");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_lists_and_finds_its_own_alone() {
    let (world, case, caller, mut browser) = browsed().await;
    let people: Vec<Value> = (0..60)
        .map(|n| record(&format!("p{n}"), json!({"name": "Quartzwright"})))
        .collect();
    caller.send("crm", "contact", &people).await;
    index(&case).await;
    let mut theirs = signed_in(&world, caller.base(), world.new_tenant().await).await;
    let page = theirs.get("/contacts").await;
    assert_eq!(page.states(), ["not_connected"]);
    assert_eq!(page.links_below("/contacts"), Vec::<String>::new());
    let found = theirs.get("/contacts?q=quartzwright").await;
    assert_eq!(found.states(), ["no_match"]);
    for (path, words) in [
        ("/contacts", "Older contacts"),
        ("/contacts?q=quartzwright", "More matches"),
    ] {
        let ours = browser.get(path).await.link_named(words).unwrap();
        assert_eq!(browser.get(&ours).await.status, StatusCode::OK);
        assert_eq!(theirs.get(&ours).await.code(), "cursor_unknown");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_text_of_a_contact_becomes_markup() {
    let (_world, case, caller, mut browser) = browsed().await;
    let hostile = "<script>alert('quartzwright')</script>\"'><img src=x onerror=alert(1)>\u{202e}\u{200b}&amp;";
    let long = format!("quartzwright {}", "x".repeat(2_000));
    let people = [
        record(
            "p1",
            json!({"name": hostile, "email": "\"><b>@evil.example", "role": "user", "tags": [hostile]}),
        ),
        record("p2", json!({"name": long})),
        record(
            "p3",
            json!({"name": "\u{200b}\u{202e}", "phone": "+49 30 1234567"}),
        ),
        record("p4", json!({"attributes": {"a": 1}})),
    ];
    let taken = caller.send("crm", "contact", &people).await;
    assert_eq!(taken["accepted"], 4, "{taken}");
    index(&case).await;
    for path in ["/contacts", "/contacts?q=quartzwright"] {
        let page = browser.get(path).await;
        page.is_sound();
        assert!(
            page.html
                .contains("&lt;script&gt;alert('quartzwright')&lt;/script&gt;"),
            "{}",
            page.html
        );
        for bad in ["<script", "<img", "<b>", "\u{202e}", "\u{200b}"] {
            assert!(!page.html.contains(bad), "{bad:?}: {}", page.html);
        }
        assert!(page.html.len() < 60_000, "{}", page.html.len());
    }
    let page = browser.get("/contacts").await;
    page.has("+49 30 1234567");
    // Its id at the source is all that is known of it.
    page.has("A contact without a name");
}
