//! What the pages show, also while a server is away.

use std::time::Duration;

use intercom_simulator::Kind;
use reqwest::StatusCode;
use servers::Relay;
use shared::domain::{Mode, Stream};

use super::signed_in;
use crate::{
    operations::{KEY, Office, fail_for_good, workspace},
    support::{World, own_redis, servers, tiny, wait_for},
};

/// Every page with the code of its body.
const PAGES: [(&str, &str); 7] = [
    ("/ops/", "ops_overview"),
    ("/ops/tenants", "ops_tenants"),
    ("/ops/jobs", "ops_jobs"),
    ("/ops/schedule", "ops_schedule"),
    ("/ops/dead", "ops_dead"),
    ("/ops/events", "ops_events"),
    ("/ops/actions", "ops_actions"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_sees_pages_where_a_program_reads_json() {
    let office = Office::open().await;
    let case = office.world.connect(workspace(1)).await;
    fail_for_good(&case, Stream::Contacts, "status 503", 1).await;
    let mut browser = signed_in(&office).await;
    for (path, code) in PAGES {
        let page = browser.page(path).await;
        assert_eq!((page.status, page.code()), (StatusCode::OK, code), "{path}");
        assert!(page.html.contains("aria-current=\"page\""), "{path}");
        // The same path with the key, and without asking for a page.
        if path != "/ops/" {
            let (status, body) = office.get(path).await;
            assert_eq!(status, 200, "{path}");
            assert!(body["items"].is_array(), "{path}: {body}");
        }
    }
    let overview = browser.page("/ops/").await.text();
    for shown in ["Tenants 1", "Active connections 1", "Dead letters 1"] {
        assert!(overview.contains(shown), "{shown}: {overview}");
    }
    let tenant = browser.page(&format!("/ops/tenants/{}", case.tenant)).await;
    assert_eq!(tenant.code(), "ops_tenant");
    let text = tenant.text();
    // The reason for its state comes before all else.
    let (why, streams) = (text.find("Not complete:"), text.find("Streams"));
    assert!(why.is_some() && why < streams, "{text}");
    assert!(text.contains("Last error: status 503"), "{text}");
    let dead = browser.page("/ops/dead").await.text();
    assert!(dead.contains("status 503 1 letter of 1 tenant"), "{dead}");
    let nobody = format!("/ops/tenants/{}", uuid::Uuid::now_v7());
    let gone = browser.page(&nobody).await;
    assert_eq!(
        (gone.status, gone.code()),
        (StatusCode::NOT_FOUND, "not_found")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_is_blank_while_postgres_is_frozen() {
    let relay = Relay::start(&format!("127.0.0.1:{}", servers().postgres().port())).unwrap();
    let world = World::with(&[("OPERATOR_KEY", KEY)]).await;
    let case = world.connect(tiny()).await;
    let office = Office::of(world.through(&relay));
    let mut browser = signed_in(&office).await;
    let tenant = format!("/ops/tenants/{}", case.tenant);
    for path in ["/ops/", "/ops/tenants", &tenant] {
        browser.page(path).await;
    }
    relay.freeze();
    wait_for("the overview says so", async || {
        let text = browser.clone().page("/ops/").await.text();
        let is_told = text.contains("Postgres does not answer") && text.contains("seconds old");
        is_told.then_some(()).ok_or(text)
    })
    .await;
    let overview = browser.page("/ops/").await.text();
    assert!(overview.contains("Tenants 1"), "{overview}");
    for (path, kept) in [
        ("/ops/tenants", "Acme"),
        (&tenant, "Why it is in its state"),
    ] {
        let page = browser.page(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        let text = page.text();
        assert!(text.contains("This is what was read"), "{path}: {text}");
        assert!(text.contains(kept), "{path}: {text}");
    }
    // A page that was never read says so, and leads on.
    let unread = browser.page("/ops/events").await.text();
    assert!(unread.contains("was not read before"), "{unread}");
    assert!(unread.contains("Overview"), "{unread}");
    // What one browser has read is not shown to another session.
    let mut other = signed_in(&office).await;
    let theirs = other.page("/ops/tenants").await.text();
    assert!(theirs.contains("was not read before"), "{theirs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_overview_shows_postgres_while_redis_is_down() {
    let redis = own_redis(&[]);
    let world = World::with(&[("OPERATOR_KEY", KEY), ("REDIS_URL", &redis.url())]).await;
    world.new_tenant().await;
    let office = Office::of(world);
    let mut browser = signed_in(&office).await;
    browser.page("/ops/").await;
    redis.kill9().unwrap();
    wait_for("the overview says so", async || {
        let text = browser.clone().page("/ops/").await.text();
        let is_told = text.contains("Redis does not answer") && text.contains("Tenants 1");
        is_told.then_some(()).ok_or(text)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_tenant_is_whole_but_for_its_tickets_while_redis_is_frozen() {
    let redis = own_redis(&[]);
    let relay = Relay::start(&format!("127.0.0.1:{}", redis.port())).unwrap();
    let url = relay.of_url(&redis.url());
    let world = World::with(&[("OPERATOR_KEY", KEY), ("REDIS_URL", &url)]).await;
    let case = world.connect(workspace(1)).await;
    let office = Office::of(world);
    let mut browser = signed_in(&office).await;
    relay.freeze();
    let page = browser.page(&format!("/ops/tenants/{}", case.tenant)).await;
    let text = page.text();
    assert_eq!(
        (page.status, page.code()),
        (StatusCode::OK, "ops_tenant"),
        "{text}"
    );
    for shown in [
        "Not complete:",
        "Redis does not answer, so its tickets are not known.",
    ] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_read_for_long_is_there_at_the_next_look() {
    let relay = Relay::start(&format!("127.0.0.1:{}", servers().postgres().port())).unwrap();
    let world = World::with(&[("OPERATOR_KEY", KEY)]).await;
    let office = Office::of(world.through(&relay));
    let mut browser = signed_in(&office).await;
    // Opens the session and prepares the statements.
    browser.page("/ops/events").await;
    let list = "/ops/events?limit=7";
    relay.delay(Duration::from_millis(500));
    let first = browser.page(list).await;
    assert_eq!(first.status, StatusCode::OK);
    let text = first.text();
    assert!(text.contains("was not read before"), "{text}");
    wait_for("the page was read", async || {
        let text = browser.clone().page(list).await.text();
        let is_read =
            text.contains("This is what was read") && text.contains("Nothing has happened");
        is_read.then_some(()).ok_or(text)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_in_quarantine_shows_its_shape_and_no_word_of_a_customer() {
    let office = Office::open().await;
    let case = office.world.case(workspace(4)).await;
    let truth = case.workspace.truth();
    let of_contacts = truth.iter().filter(|line| line.kind == Kind::Contact);
    let contact = of_contacts.map(|line| &line.id).next().unwrap();
    let bytes = format!(
        r#"{{"type":"contact","id":"{contact}","name":"Geheim","created_at":"Secretly 4912345","custom_attributes":{{"Geheim":"\ud800"}}}}"#
    );
    assert!(
        case.workspace
            .put_raw(Kind::Contact, contact, bytes.into_bytes())
    );
    let case = case.connect().await;
    let _fleet = office.world.fleet(1);
    case.until_walked().await;

    let path = format!("/ops/tenants/{}", case.tenant);
    let (status, tenant) = office.get(&path).await;
    assert_eq!(status, 200);
    let examples = &tenant["connections"][0]["quarantine"]["examples"];
    assert_eq!(examples[0]["source_id"], contact.as_str(), "{tenant}");
    let masked = examples[0]["masked_raw"].as_str().unwrap();
    for shown in [
        r#""type":"xxxxxxx""#,
        r#""created_at":"xxxxxxxx 0000000""#,
        r#""xxxxxx":"\ud800""#,
    ] {
        assert!(masked.contains(shown), "{masked}");
    }
    let reason = examples[0]["masked_reason"].as_str();
    assert_eq!(reason, Some("the contact has no updated_at"));
    let mut browser = signed_in(&office).await;
    let page = browser.page(&path).await;
    assert!(
        page.text()
            .contains("the contact has no updated_at What came"),
        "{}",
        page.html
    );
    for said in [tenant.to_string(), page.html] {
        for word in ["Geheim", "Secretly", "4912345"] {
            assert!(!said.contains(word), "{word}: {said}");
        }
    }
    // Of what is readable again nothing is left to show.
    let good = truth.iter().find(|line| line.id == *contact).unwrap();
    let object = good.object.get().to_owned();
    assert!(case.workspace.put_raw(Kind::Contact, contact, object));
    case.sync(Mode::Full, &[Stream::Contacts]).await;
    assert_eq!(case.left_in_quarantine().await, Vec::<String>::new());
}
