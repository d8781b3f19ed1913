//! What the buttons of the page do, by the same acts as REST.

use intercom_simulator::{Workspace, WorkspaceSpec};
use reqwest::StatusCode;
use serde_json::{Value, json};
use shared::{domain::Mode, store::ConnectionState};

use super::{begun, signed_in};
use crate::support::{Caller, Case, CookieJar, Form, HtmlAnswer, client, held, tiny};

/// Presses a button that leads to Intercom, and chooses a workspace there. Returns what the way back shows.
async fn choose(browser: &mut CookieJar, form: &Form, workspace: &Workspace) -> HtmlAnswer {
    let led = browser.press(form).await;
    assert_eq!(led.status, StatusCode::SEE_OTHER, "{}", led.html);
    let authorize = led.header("location").to_owned();
    assert!(
        !authorize.contains("/oauth/intercom/start"),
        "no second start page: {authorize}"
    );
    let authorize = format!("{authorize}&auto_workspace={}", workspace.id_code());
    let allowed = client().get(authorize).send().await.unwrap();
    let callback = allowed.headers()["location"].to_str().unwrap().to_owned();
    let back = browser.get(&callback).await;
    if back.status == StatusCode::SEE_OTHER {
        return browser.follow(&back).await;
    }
    back
}

/// The audit trail of a case, newest first: what a signed-in browser has done, with the details.
async fn by_browser(case: &Case, browser: &CookieJar) -> Vec<(String, Value)> {
    let caller = Caller::service(&case.world, browser.base(), Some(case.tenant));
    let events = caller.all("/v1/audit_events").await;
    // The harness connects as a browser that is not signed in, whose actor has no id.
    let signed_in = events
        .into_iter()
        .filter(|event| event["actor"]["kind"] == "browser" && event["actor"]["id"].is_string());
    signed_in
        .map(|event| {
            (
                event["action"].as_str().unwrap().to_owned(),
                event["details"].clone(),
            )
        })
        .collect()
}

async fn another_workspace(case: &Case) -> Workspace {
    case.world.simulator.add_workspace(WorkspaceSpec {
        seed: 2,
        name: "Zeta Support".to_owned(),
        ..tiny()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_leads_to_intercom_and_back_to_a_queued_run() {
    let (case, mut browser) = begun(tiny()).await;
    let page = browser.get("/integrations").await;
    let policy = page.header("content-security-policy").to_owned();
    assert!(
        policy.contains("form-action 'self' http://127.0.0.1:"),
        "{policy}"
    );
    let no_choice = browser.press(&page.form("/connect")).await;
    assert_eq!(
        (no_choice.status, no_choice.code()),
        (StatusCode::BAD_REQUEST, "choice_missing")
    );
    let form = page.form("/connect").with("region", "eu");
    let home = choose(&mut browser, &form, &case.workspace).await;
    assert_eq!(home.states(), ["first_sync"]);
    home.has("Intercom is connected.");
    home.has("See the sync that was asked for");
    home.has("Queued Everything, asked for at");
    let actions = by_browser(&case, &browser).await;
    let names: Vec<&str> = actions.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(
        names,
        [
            "connection.made",
            "connect.started",
            "browser_session.started"
        ]
    );
    assert_eq!(actions[1].1, json!({"region": "eu"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn resync_shows_its_run_at_once_and_a_second_press_leads_to_the_same() {
    let (case, mut browser) = begun(tiny()).await;
    let case = case.connect().await;
    let fleet = case.world.fleet(1);
    case.until_complete().await;
    drop(fleet);
    case.until_slices(0).await;
    case.inject(held());
    let page = browser.get("/integrations").await;
    let form = page.form("/resync").with("mode", "incremental");
    let first = browser.press(&form).await;
    let shown = browser.follow(&first).await;
    shown.has("Queued Changes, asked for at");
    shown.has("See the sync that was asked for");
    assert_eq!(
        shown.states(),
        ["up_to_date"],
        "a sync that begins changes no health"
    );
    let run = first
        .header("location")
        .split_once("#run-")
        .unwrap()
        .1
        .to_owned();
    assert!(
        shown.html.contains(&format!("href=\"#run-{run}\"")),
        "the button is a link"
    );
    assert!(shown.html.contains(&format!("id=\"run-{run}\"")));
    assert!(
        !shown.html.contains("/resync\""),
        "there is no second button"
    );
    let second = browser.press(&form).await;
    assert_eq!(second.header("location"), first.header("location"));
    let actions = by_browser(&case, &browser).await;
    let asked: Vec<_> = actions
        .iter()
        .filter(|(action, _)| action == "sync.requested")
        .collect();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].1["run_id"], run);
    let odd = browser.press(&form.with("mode", "everything")).await;
    assert_eq!(odd.code(), "choice_missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn disconnecting_answers_five_questions_and_keeps_the_data() {
    let (case, mut browser) = begun(tiny()).await;
    let case = case.connect().await;
    let fleet = case.world.fleet(1);
    case.until_complete().await;
    drop(fleet);
    let home = browser.get("/integrations").await;
    let path = format!("/integrations/intercom/{}/disconnect", case.connection());
    assert!(
        home.html.contains(&format!("href=\"{path}\"")),
        "{}",
        home.html
    );
    let page = browser.get(&path).await;
    assert_eq!((page.status, page.code()), (StatusCode::OK, "disconnect"));
    for question in [
        "What stops now",
        "What stays",
        "What is deleted, and when",
        "What remains in Intercom",
        "How to revoke the access there",
    ] {
        page.has(question);
    }
    assert_eq!(
        case.connection_row().await.state,
        ConnectionState::Active,
        "looking ends nothing"
    );
    let form = page.form("/disconnect");
    assert_eq!(form.fields["data"], "retain");
    let ended = browser.press(&form).await;
    let home = browser.follow(&ended).await;
    assert_eq!(home.states(), ["not_connected", "disconnected"]);
    home.has("The copy is kept as it is.");
    home.has("Data as of");
    home.has("Recent syncs Done Everything");
    assert_eq!(case.signs_of_life().await, Vec::<String>::new());
    let actions = by_browser(&case, &browser).await;
    assert_eq!(
        actions[0],
        ("connection.ended".to_owned(), json!({"data": "retain"}))
    );
    // A second press changes nothing.
    assert_eq!(browser.press(&form).await.status, StatusCode::SEE_OTHER);
    assert_eq!(by_browser(&case, &browser).await.len(), actions.len());
    let odd = browser.press(&form.with("data", "everything")).await;
    assert_eq!(odd.code(), "choice_missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn data_is_deleted_only_if_the_name_was_typed() {
    let (case, mut browser) = begun(WorkspaceSpec {
        name: "Acme  <Support>".to_owned(),
        ..tiny()
    })
    .await;
    let case = case.connect().await;
    let fleet = case.world.fleet(1);
    case.until_complete().await;
    drop(fleet);
    case.until_slices(0).await;
    let path = format!("/integrations/intercom/{}/disconnect", case.connection());
    let page = browser.get(&path).await;
    page.has("To confirm, type Acme &lt;Support&gt;");
    let form = page.form("/disconnect").with("data", "purge");
    for typed in ["", "acme <support>", "Acme", "Acme <Support> "] {
        let typed_form = form.clone().with("confirmation", typed);
        if typed.trim() == "Acme <Support>" {
            let home = browser.press(&typed_form).await;
            let home = browser.follow(&home).await;
            home.has("its data is being deleted");
            continue;
        }
        let refused = browser.press(&typed_form).await;
        assert_eq!(
            (refused.status, refused.code()),
            (StatusCode::UNPROCESSABLE_ENTITY, "name_differs"),
            "{typed:?}"
        );
        assert_eq!(case.connection_row().await.state, ConnectionState::Active);
    }
    case.until_purged().await;
    // The name of the admin is personal data too.
    assert_eq!(case.connection_row().await.connected_by, None);
    let home = browser.get("/integrations").await;
    assert_eq!(home.states(), ["not_connected", "disconnected"]);
    home.has("Nothing of this workspace is stored here.");
    assert!(!home.html.contains("Delete its data"), "{}", home.html);
    let actions = by_browser(&case, &browser).await;
    assert_eq!(
        actions[0],
        ("connection.ended".to_owned(), json!({"data": "purge"}))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reconnect_with_another_workspace_is_refused_with_two_choices() {
    let (case, mut browser) = begun(WorkspaceSpec {
        name: "Acme Support".to_owned(),
        ..tiny()
    })
    .await;
    let case = case.connect().await;
    let fleet = case.world.fleet(1);
    case.until_complete().await;
    case.workspace.revoke_tokens();
    case.resync(Mode::Incremental).await;
    case.until_state(ConnectionState::ReauthRequired).await;
    drop(fleet);
    let other = another_workspace(&case).await;
    let page = browser.get("/integrations").await;
    let form = page.form("/connect");
    assert_eq!(form.fields["renews"], case.connection().to_string());
    let refused = choose(&mut browser, &form, &other).await;
    assert_eq!(
        (refused.status, refused.code()),
        (StatusCode::CONFLICT, "oauth_other_workspace")
    );
    refused.has("The connection is to Acme Support . In Intercom, you chose Zeta Support .");
    assert_eq!(
        browser.get("/integrations").await.states(),
        ["reconnect_needed"]
    );
    // The first choice is the same workspace.
    let same = refused.form("/connect");
    assert_eq!(same.fields["renews"], case.connection().to_string());
    let home = choose(&mut browser, &same, &case.workspace).await;
    home.has("Intercom is connected.");
    assert_eq!(case.connection_row().await.state, ConnectionState::Active);
    // The second is to connect the other one as well.
    let (_, second) = refused
        .html
        .split_once("Choose the same workspace")
        .unwrap();
    let as_well = HtmlAnswer {
        html: second.to_owned(),
        ..refused
    };
    as_well.has("Connect the other one as well");
    let as_well = as_well.form("/connect");
    assert_eq!(as_well.fields.get("renews"), None);
    let home = choose(&mut browser, &as_well, &other).await;
    assert_eq!(home.states().len(), 2);
    home.has("Intercom: Zeta Support");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_the_flow_has_one_button_that_starts_again() {
    let (case, mut browser) = begun(tiny()).await;
    let form = browser
        .get("/integrations")
        .await
        .form("/connect")
        .with("region", "us");
    let led = browser.press(&form).await;
    let state = led
        .header("location")
        .split_once("state=")
        .unwrap()
        .1
        .to_owned();
    let state = state.split('&').next().unwrap();
    let denied = browser
        .get(&format!(
            "/oauth/intercom/callback?error=access_denied&state={state}"
        ))
        .await;
    assert_eq!(
        (denied.status, denied.code()),
        (StatusCode::BAD_REQUEST, "oauth_denied")
    );
    assert_eq!(
        denied.html.matches("<button").count(),
        2,
        "one, and the way out"
    );
    assert!(!denied.header("content-security-policy").contains("unsafe"));
    let home = choose(&mut browser, &denied.form("/connect"), &case.workspace).await;
    assert_eq!(home.states(), ["first_sync"]);
    // A browser that is not signed in is sent back to where it came from.
    let mut other = CookieJar::new(browser.base());
    let unknown = other.get("/oauth/intercom/callback?state=x").await;
    assert_eq!(unknown.code(), "oauth_state_unknown");
    assert!(!unknown.html.contains("<form"), "{}", unknown.html);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_connection_cannot_be_touched() {
    let (case, browser) = begun(tiny()).await;
    let case = case.connect().await;
    let stranger = case.world.new_tenant().await;
    let mut theirs = signed_in(&case.world, browser.base(), stranger).await;
    let token = theirs.get("/integrations").await.form("/sign-out").fields["form_token"].clone();
    let foreign = format!("/integrations/intercom/{}", case.connection());
    assert_eq!(
        theirs.get(&format!("{foreign}/disconnect")).await.code(),
        "not_found"
    );
    for (path, field, value) in [
        ("resync", "mode", "full"),
        ("disconnect", "data", "retain"),
        ("disconnect", "data", "purge"),
    ] {
        let form = Form::to(&format!("{foreign}/{path}"))
            .with("form_token", &token)
            .with(field, value);
        let refused = theirs.press(&form).await;
        assert_eq!(
            (refused.status, refused.code()),
            (StatusCode::NOT_FOUND, "not_found"),
            "{path}"
        );
    }
    let renew = Form::to("/integrations/intercom/connect")
        .with("form_token", &token)
        .with("renews", &case.connection().to_string());
    assert_eq!(theirs.press(&renew).await.code(), "not_found");
    assert_eq!(case.connection_row().await.state, ConnectionState::Active);
}

/// Each form of the page changes nothing without its token, and from another origin.
#[tokio::test(flavor = "multi_thread")]
async fn no_button_can_be_pressed_from_elsewhere() {
    let (case, mut browser) = begun(tiny()).await;
    let case = case.connect().await;
    let connection = format!("/integrations/intercom/{}", case.connection());
    let token = browser.get("/integrations").await.form("/sign-out").fields["form_token"].clone();
    let before = by_browser(&case, &browser).await.len();
    for (path, field, value) in [
        ("/integrations/intercom/connect".to_owned(), "region", "us"),
        (format!("{connection}/resync"), "mode", "full"),
        (format!("{connection}/disconnect"), "data", "retain"),
    ] {
        let form = Form::to(&path).with(field, value);
        assert_eq!(browser.press(&form).await.code(), "stale_form", "{path}");
        let form = form.with("form_token", &token);
        let mut evil = browser.sending_origin(Some("https://evil.example"));
        assert_eq!(evil.press(&form).await.code(), "wrong_origin", "{path}");
        let mut stranger = CookieJar::new(browser.base());
        assert_eq!(
            stranger.press(&form).await.code(),
            "sign_in_required",
            "{path}"
        );
        // A link or an image can only GET.
        let fetched = browser.get(&path).await;
        assert!(
            fetched.status.is_client_error() || fetched.code() == "disconnect",
            "{path}"
        );
    }
    assert_eq!(by_browser(&case, &browser).await.len(), before);
    assert_eq!(case.connection_row().await.state, ConnectionState::Active);
}

/// Who signs in meanwhile would not see what was connected.
#[tokio::test(flavor = "multi_thread")]
async fn a_flow_ends_with_the_session_that_began_it() {
    let (case, mut browser) = begun(tiny()).await;
    let page = browser.get("/integrations").await;
    let led = browser
        .press(&page.form("/connect").with("region", "us"))
        .await;
    let authorize = led.header("location");
    let authorize = format!("{authorize}&auto_workspace={}", case.workspace.id_code());
    let allowed = client().get(authorize).send().await.unwrap();
    let callback = allowed.headers()["location"].to_str().unwrap().to_owned();
    assert_eq!(
        browser.press(&page.form("/sign-out")).await.code(),
        "signed_out"
    );
    let refused = browser.get(&callback).await;
    assert_eq!(
        (refused.status, refused.code()),
        (StatusCode::FORBIDDEN, "oauth_session_mismatch")
    );
    assert_eq!(case.world.count("connections").await, 0);
    assert_eq!(case.world.simulator.ledger().calls("exchange_token"), 0);
}
