//! The pages, as a browser without script sees them.

mod actions;
mod attacks;
mod company;
mod contact;
mod contacts;
mod conversation;
mod html;
mod integrations;
mod signing_in;

use intercom_simulator::WorkspaceSpec;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::domain::TenantId;

use crate::support::{Caller, Case, CookieJar, HtmlAnswer, World};

/// The product backend asks for a sign-in link.
async fn link(caller: &Caller, body: Value) -> String {
    let (status, made) = caller.call(Method::POST, "/v1/sessions", Some(body)).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    made["url"].as_str().unwrap().to_owned()
}

/// A browser that is signed in to a tenant at an API.
pub(crate) async fn signed_in(world: &World, base: &str, tenant: TenantId) -> CookieJar {
    let caller = Caller::service(world, base, Some(tenant));
    let url = link(&caller, json!({})).await;
    let mut browser = CookieJar::new(base);
    let page = browser.get(&url).await;
    let answer = browser.press(&page.form("/sign-in")).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.html);
    browser
}

/// A tenant whose workspace is not connected, and a browser that is signed in.
async fn begun(spec: WorkspaceSpec) -> (Case, CookieJar) {
    let world = World::new().await;
    let base = world.api().await;
    let case = world.case(spec).await;
    let browser = signed_in(&world, &base, case.tenant).await;
    (case, browser)
}

impl HtmlAnswer {
    /// The states of the connections that the page shows.
    fn states(&self) -> Vec<&str> {
        let states = self.html.split("data-state=\"").skip(1);
        states.map(|rest| rest.split('"').next().unwrap()).collect()
    }

    fn has(&self, text: &str) {
        let shown = self.text();
        assert!(shown.contains(text), "{text:?} is not in {shown}");
    }
}
