//! The operators' pages, as a browser without script sees them.

mod acting;
mod attacks;
mod live;
mod naming;
mod questions;
mod seeing;
mod viewing;

pub(crate) use viewing::VIEWER_KEY;

use reqwest::StatusCode;

use crate::{
    operations::{KEY, Office},
    support::{CookieJar, Form, HtmlAnswer},
};

/// The form that signs a browser in, with a key.
fn sign_in_form(page: &HtmlAnswer, key: &str) -> Form {
    page.form("/ops/sign-in").with("key", key)
}

/// A browser that is signed in at an ops listener.
pub(crate) async fn signed_in(office: &Office) -> CookieJar {
    let mut browser = CookieJar::new(&office.base);
    let page = browser.get("/ops/").await;
    assert_eq!(
        (page.status, page.code()),
        (StatusCode::UNAUTHORIZED, "sign_in_required")
    );
    let answer = browser.press(&sign_in_form(&page, KEY)).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (StatusCode::SEE_OTHER, "/ops/"),
        "{}",
        answer.html
    );
    browser
}

impl CookieJar {
    /// A page, as a browser asks for it.
    pub(crate) async fn page(&mut self, path: &str) -> HtmlAnswer {
        self.get_accepting(path, "text/html").await
    }
}
