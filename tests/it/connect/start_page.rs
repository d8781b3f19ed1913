//! The page behind a start link, and what browsers, scanners and strangers do with the link.

use intercom_simulator::WorkspaceSpec;
use pathbound::demo::browser::Browser;
use reqwest::Method;

use super::{Flow, begun, start_url};
use crate::support::client;

impl Flow {
    /// A second flow of the same tenant, for another workspace.
    async fn second(&self) -> Self {
        let workspace = self.world.simulator.add_workspace(WorkspaceSpec {
            seed: 2,
            ..WorkspaceSpec::default()
        });
        Self {
            start_url: start_url(&self.caller).await,
            world: self.world.clone(),
            tenant: self.tenant,
            caller: self.caller.acting_for(self.tenant),
            workspace,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_flows_in_one_browser_both_finish() {
    let first = begun().await;
    let second = first.second().await;
    let (cookie_of_first, callback_of_first) = first.opened().await;
    let (cookie_of_second, callback_of_second) = second.opened().await;
    let jar = format!("{cookie_of_first}; {cookie_of_second}");
    for (flow, callback) in [(&second, callback_of_second), (&first, callback_of_first)] {
        let (status, home, page) = flow.callback(&callback, Some(&jar)).await;
        assert_eq!(status, 303, "{page}");
        assert!(home.ends_with("?intercom=connected"), "{home}");
    }
    let connections = first.caller.get("/v1/connections").await;
    assert_eq!(connections["items"].as_array().unwrap().len(), 2);
}

/// A scanner requests what it finds in a mail or a log, by any method, and has no cookies.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_scanner_neither_spends_nor_replaces_a_flow() {
    let flow = begun().await;
    let scan = async |url: &str| {
        for method in [
            "GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PROPFIND",
        ] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let answer = client().request(method, url).send().await.unwrap();
            assert_ne!(answer.status(), 303, "{url} led on");
        }
    };
    scan(&flow.start_url).await;
    let (cookie, callback) = flow.opened().await;
    scan(&flow.start_url).await;
    scan(&callback).await;
    // A preview with the cookie does not spend it either, because it only looks.
    let look = client().head(&callback).header("cookie", &cookie);
    assert_eq!(look.send().await.unwrap().status(), 204);
    let (status, _, page) = flow.callback(&callback, Some(&cookie)).await;
    assert_eq!(status, 303, "{page}");
    assert_eq!(flow.exchanges(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_tab_finishes_what_the_first_began() {
    let flow = begun().await;
    let browser = Browser::new().unwrap();
    let opened = browser.open(&flow.start_url).await.unwrap();
    // The second tab sends the cookie of the first.
    let page = client()
        .get(&flow.start_url)
        .header("cookie", &opened.cookie)
        .send()
        .await
        .unwrap();
    let again = page.headers()["set-cookie"].to_str().unwrap();
    assert!(again.starts_with(&opened.cookie), "the session stays");
    let callback = flow.allowed(&opened.authorize).await;
    let (status, _, page) = flow.callback(&callback, Some(&opened.cookie)).await;
    assert_eq!(status, 303, "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_start_page_names_the_tenant_before_anything_is_read() {
    let flow = begun().await;
    let tenant = flow.world.tenant_named("<i>Acme</i> & Sons").await;
    let theirs = flow.caller.acting_for(tenant);
    let url = start_url(&theirs).await;
    let page = client().get(&url).send().await.unwrap();
    assert_eq!(page.status(), 200);
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(
        policy.contains("form-action 'self' http://127.0.0.1"),
        "{policy}"
    );
    let html = page.text().await.unwrap();
    assert!(
        html.contains("&lt;i&gt;Acme&lt;/i&gt; &amp; Sons"),
        "{html}"
    );
    for what in ["contacts", "companies", "conversations", "only reads"] {
        assert!(html.contains(what), "{what}: {html}");
    }
    // Another site can send the form with the link's token, and lacks cookie and confirmation.
    let token = url.split("flow=").nth(1).unwrap();
    let forged = client()
        .post(url.split('?').next().unwrap())
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("flow={token}&confirmation=x"))
        .send()
        .await
        .unwrap();
    assert_eq!(forged.status(), 403);
    assert!(
        forged
            .text()
            .await
            .unwrap()
            .contains("oauth_session_mismatch")
    );
}
