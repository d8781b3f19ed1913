//! The pages, as a browser without script sees them.

mod attacks;
mod signing_in;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::domain::TenantId;

use crate::support::{Caller, CookieJar, World};

/// The product backend asks for a sign-in link.
async fn link(caller: &Caller, body: Value) -> String {
    let (status, made) = caller.call(Method::POST, "/v1/sessions", Some(body)).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    made["url"].as_str().unwrap().to_owned()
}

/// A browser that is signed in to a tenant at an API.
async fn signed_in(world: &World, base: &str, tenant: TenantId) -> CookieJar {
    let caller = Caller::service(world, base, Some(tenant));
    let url = link(&caller, json!({})).await;
    let mut browser = CookieJar::new(base);
    let page = browser.get(&url).await;
    let answer = browser.press(&page.form("/sign-in")).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.html);
    browser
}
