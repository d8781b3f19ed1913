//! Connecting, as a browser does it, and as an attacker would.

use futures::future::join_all;
use intercom_simulator::{Fault, FaultAction, Workspace, WorkspaceSpec};
use pathbound::demo::browser::Browser;
use reqwest::Method;
use serde_json::json;
use shared::domain::TenantId;

use crate::support::{Caller, World, client};

mod key_rotation;
mod start_page;

struct Flow {
    world: World,
    tenant: TenantId,
    caller: Caller,
    workspace: Workspace,
    start_url: String,
}

async fn begun() -> Flow {
    let world = World::new().await;
    let base = world.api().await;
    let tenant = world.new_tenant().await;
    let caller = Caller::service(&world, &base, Some(tenant));
    let workspace = world.simulator.add_workspace(WorkspaceSpec {
        contacts: 5,
        companies: 2,
        conversations: 5,
        ..WorkspaceSpec::default()
    });
    Flow {
        start_url: start_url(&caller).await,
        tenant,
        world,
        caller,
        workspace,
    }
}

async fn start_url(caller: &Caller) -> String {
    let (status, started) = caller
        .call(
            Method::POST,
            "/v1/integrations/intercom/connect",
            Some(json!({})),
        )
        .await;
    assert_eq!(status, 201, "{started}");
    started["start_url"].as_str().unwrap().to_owned()
}

impl Flow {
    /// Opens the start link and presses its button: the cookie, and the callback that Intercom leads to.
    async fn opened(&self) -> (String, String) {
        let opened = Browser::new().unwrap().open(&self.start_url).await.unwrap();
        (opened.cookie, self.allowed(&opened.authorize).await)
    }

    /// The callback that Intercom leads to. The simulator plays the customer who clicks on this workspace.
    async fn allowed(&self, authorize: &str) -> String {
        let authorize = format!("{authorize}&auto_workspace={}", self.workspace.id_code());
        let allowed = client().get(authorize).send().await.unwrap();
        allowed.headers()["location"].to_str().unwrap().to_owned()
    }

    async fn callback(&self, url: &str, cookie: Option<&str>) -> (u16, String, String) {
        let mut call = client().get(url);
        if let Some(cookie) = cookie {
            call = call.header("cookie", cookie);
        }
        let answer = call.send().await.unwrap();
        let location = answer
            .headers()
            .get("location")
            .map(|location| location.to_str().unwrap().to_owned())
            .unwrap_or_default();
        (
            answer.status().as_u16(),
            location,
            answer.text().await.unwrap(),
        )
    }

    fn exchanges(&self) -> u64 {
        self.world.simulator.ledger().calls("exchange_token")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_connects_a_workspace_and_its_first_run_is_due() {
    let flow = begun().await;
    let home = Browser::new()
        .unwrap()
        .connect(&flow.start_url, &flow.workspace.id_code())
        .await
        .unwrap();
    assert!(home.ends_with("/integrations?intercom=connected"), "{home}");
    let connections = flow.caller.get("/v1/connections").await;
    let connection = &connections["items"][0];
    assert_eq!(connection["state"], "active");
    assert_eq!(connection["workspace"]["id"], flow.workspace.id_code());
    assert_eq!(
        connection["workspace"]["timezone"],
        flow.workspace.spec().timezone
    );
    // The tickets are there before any scheduler has run.
    assert_eq!(flow.world.queue.stats().await.unwrap().live, 5);
    let body = connections.to_string();
    assert!(
        !body.contains(&flow.workspace.token()),
        "no answer holds a token"
    );
}

/// Others of the customer's apps may have spent the window at this very moment.
#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_look_at_the_workspace_is_waited_out() {
    let flow = begun().await;
    let throttled = FaultAction::Status {
        status: 429,
        body: None,
        headers: Vec::new(),
    };
    let fault = flow
        .world
        .simulator
        .inject(Fault::new(throttled).operation("me").times(1));
    let home = Browser::new()
        .unwrap()
        .connect(&flow.start_url, &flow.workspace.id_code())
        .await
        .unwrap();
    assert!(home.ends_with("/integrations?intercom=connected"), "{home}");
    assert_eq!(flow.world.simulator.fault_hits(fault), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_sixty_four_equal_callbacks_one_exchanges_the_code() {
    let flow = begun().await;
    let (cookie, callback) = flow.opened().await;
    let answers = (0..64).map(|_| flow.callback(&callback, Some(&cookie)));
    let mut connected = 0;
    for answer in join_all(answers).await {
        match answer.0 {
            303 => connected += 1,
            400 => assert!(
                answer.2.contains("data-code=\"oauth_state_used\""),
                "{}",
                answer.2
            ),
            other => panic!("{other}: {}", answer.2),
        }
    }
    assert_eq!((connected, flow.exchanges()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_browsers_callback_is_refused_and_burns_the_state() {
    let flow = begun().await;
    let (cookie, callback) = flow.opened().await;
    // The name of the cookie is no secret, and its value is.
    let name = cookie.split('=').next().unwrap();
    for stolen in [None, Some(format!("{name}={}", "A".repeat(43)))] {
        let (status, _, page) = flow.callback(&callback, stolen.as_deref()).await;
        assert!((400..500).contains(&status), "{status}");
        assert!(page.contains("data-code=\"oauth_"), "{page}");
    }
    // The right browser comes too late, because a state can be tried once.
    let (status, _, page) = flow.callback(&callback, Some(&cookie)).await;
    assert!(
        status == 400 && page.contains("oauth_state_used"),
        "{status} {page}"
    );
    assert_eq!(flow.exchanges(), 0);
    assert_eq!(flow.caller.get("/v1/connections").await["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_or_a_forged_state_is_never_reflected_in_the_page() {
    let flow = begun().await;
    let (cookie, callback) = flow.opened().await;
    let base = callback.split('?').next().unwrap();
    let state = callback
        .split("state=")
        .nth(1)
        .unwrap()
        .split('&')
        .next()
        .unwrap();
    // A page that shows it unescaped would run it.
    let script = "<script>alert(1)</script>";
    let denied = format!("{base}?error=access_denied&error_description={script}&state={state}");
    let (status, _, page) = flow.callback(&denied, Some(&cookie)).await;
    assert!(
        status >= 400 && page.contains("data-code=\"oauth_denied\""),
        "{status} {page}"
    );
    let forged = format!("{base}?code={script}&state={script}");
    let (status, _, page2) = flow.callback(&forged, Some(&cookie)).await;
    assert!(
        status >= 400 && page2.contains("data-code=\"oauth_state_unknown\""),
        "{status} {page2}"
    );
    for page in [page, page2] {
        assert!(!page.contains("alert(1)"), "{page}");
    }
    assert_eq!(flow.exchanges(), 0);
}
