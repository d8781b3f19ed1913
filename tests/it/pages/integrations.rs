//! The page of integrations in each of its states, as HTML.

use intercom_simulator::WorkspaceSpec;
use reqwest::StatusCode;
use shared::{
    domain::{Mode, Stream},
    store::ConnectionState,
};

use super::{begun, signed_in};
use crate::support::{CookieJar, held, tiny};

#[tokio::test(flavor = "multi_thread")]
async fn what_will_be_read_is_said_before_anything_is_connected() {
    let (_case, mut browser) = begun(tiny()).await;
    let page = browser.get("/integrations").await;
    assert_eq!(
        (page.status, page.states()),
        (StatusCode::OK, vec!["not_connected"])
    );
    for text in [
        "Health: Not connected",
        "contacts, companies and conversations",
        "Nothing in Intercom is ever changed",
        "Connect Intercom",
        "United States",
    ] {
        page.has(text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_sync_is_never_green_and_a_complete_copy_is() {
    let (case, mut browser) = begun(tiny()).await;
    let case = case.connect().await;
    let queued = browser.get("/integrations").await;
    assert_eq!(queued.states(), ["first_sync"]);
    queued.has("Activity: Queued");
    queued.has("There is no complete copy yet.");
    queued.has("See the sync that was asked for");
    let fleet = case.world.fleet(1);
    let late = case.inject(held().operation("list_contacts"));
    case.until_hit(late).await;
    let under_way = browser.get("/integrations").await;
    assert_eq!(under_way.states(), ["first_sync"]);
    for page in [&queued, &under_way] {
        assert!(!page.html.contains("badge good"), "{}", page.html);
        // Conversations may be complete before.
        assert!(!page.html.contains("Contacts: 100 %"), "{}", page.html);
    }
    case.clear_fault(late);
    case.until_complete().await;
    drop(fleet);
    let page = browser.get("/integrations").await;
    assert_eq!(page.states(), ["up_to_date"]);
    page.has("Health: Up to date Everything that Intercom shows is stored, as proven at");
    page.has("Contacts The people and leads of the workspace. 6 of 6 100 % Complete.");
    page.has("Messages They fill in behind, the conversations with the newest changes first. 4 of 4 conversations done 100 %");
    assert!(page.html.contains("Contacts: 100 %"), "{}", page.html);
    page.has("Data as of");
    page.has("Done Everything, asked for at");
    page.has("Region United States");
    let admin = case.connection_row().await.connected_by.expect("a name");
    page.has(&format!("by {admin}, in a browser."));
    page.has("segments and attributes. Read as a whole Complete.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_connection_says_what_to_do_and_how_old_its_data_is() {
    let (case, mut browser) = begun(tiny()).await;
    let case = case.connect().await;
    let _fleet = case.world.fleet(1);
    case.until_complete().await;
    case.workspace.revoke_tokens();
    case.resync(Mode::Incremental).await;
    case.until_state(ConnectionState::ReauthRequired).await;
    let page = browser.get("/integrations").await;
    assert_eq!(page.states(), ["reconnect_needed"]);
    page.has("Health: Reconnect needed Intercom no longer accepts this connection's token");
    page.has("Activity: Not syncing");
    page.has("What to do: Connect the workspace again.");
    page.has("Data as of");
    page.has("Any admin of the workspace can then connect it again");
    assert!(!page.html.contains("badge good\">Up"), "{}", page.html);
    let form = page.form("/connect");
    assert_eq!(form.fields["renews"], case.connection().to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_plan_lacks_is_said_at_its_stream() {
    let (case, mut browser) = begun(WorkspaceSpec {
        conversations_plan: false,
        ..tiny()
    })
    .await;
    let case = case.connect().await;
    let _fleet = case.world.fleet(1);
    case.until_blocked(Stream::Conversations).await;
    let page = browser.get("/integrations").await;
    assert_eq!(page.states(), ["limited"]);
    page.has("Health: Connected, with limits");
    page.has("The workspace's Intercom plan does not include API access to conversations.");
    page.has("What to do: Upgrade the Intercom plan");
    page.has("0 conversations done They come with the conversations.");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_text_of_intercom_becomes_markup() {
    let (case, mut browser) = begun(WorkspaceSpec {
        name: format!(
            "<script>alert(1)</script>\u{202e}\"'&{}",
            "x".repeat(100_000)
        ),
        ..tiny()
    })
    .await;
    case.connect().await;
    let page = browser.get("/integrations").await;
    assert_eq!(page.states(), ["first_sync"]);
    assert!(
        page.html
            .contains("<bdi>&lt;script&gt;alert(1)&lt;/script&gt;&quot;'&amp;xxx"),
        "{}",
        page.html
    );
    // One script, and it is ours.
    assert_eq!(page.html.matches("<script").count(), 1);
    assert!(page.html.contains("<script src=\"/assets/live-"));
    assert!(!page.html.contains('\u{202e}'));
    assert!(page.html.len() < 30_000, "{}", page.html.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_sees_its_own_connections_alone() {
    let (case, mut browser) = begun(tiny()).await;
    let case = case.connect().await;
    let stranger = case.world.new_tenant().await;
    let base = browser.base().to_owned();
    let mut theirs = signed_in(&case.world, &base, stranger).await;
    assert_eq!(browser.get("/integrations").await.states(), ["first_sync"]);
    let page = theirs.get("/integrations").await;
    assert_eq!(page.states(), ["not_connected"]);
    assert!(!page.html.contains(&case.connection().to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_without_news_is_an_empty_answer() {
    let (case, mut browser) = begun(tiny()).await;
    let page = browser.get("/integrations").await;
    let (_, rest) = page.html.split_once("<script src=\"").unwrap();
    let script = browser.get(rest.split('"').next().unwrap()).await;
    assert_eq!(
        script.header("content-type"),
        "text/javascript; charset=utf-8"
    );
    assert!(script.html.contains("\"/integrations/live\""));
    let live = browser.get("/integrations/live").await;
    assert_eq!(live.states(), ["not_connected"]);
    let (_, shown) = page.html.split_once("<div id=\"live\">").unwrap();
    assert!(shown.starts_with(&live.html), "{}", live.html);
    let etag = live.header("etag").to_owned();
    let unchanged = browser.get_if_changed("/integrations/live", &etag).await;
    assert_eq!(
        (unchanged.status, unchanged.html.as_str()),
        (StatusCode::NOT_MODIFIED, "")
    );
    case.connect().await;
    let news = browser.get_if_changed("/integrations/live", &etag).await;
    assert_eq!(
        (news.status, news.states()),
        (StatusCode::OK, vec!["first_sync"])
    );
    let mut stranger = CookieJar::new(browser.base());
    let refused = stranger.get_if_changed("/integrations/live", &etag).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
}
