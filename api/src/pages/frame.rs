//! The frame of every page, and the headers that it is sent with.

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use maud::{DOCTYPE, Markup, html};

use super::{assets, visitor::Visitor};

/// The sections of a signed-in browser: the path, the name, and the code of its first page.
const SECTIONS: [(&str, &str, &str); 2] = [
    ("/integrations", "Integrations", "integrations"),
    ("/contacts", "Contacts", "contacts"),
];

/// The host is all that another page or server learns.
const REFERRER: &str = "strict-origin";

/// A page to be sent.
pub(crate) struct Page<'a> {
    pub(crate) status: StatusCode,
    pub(crate) title: &'a str,
    /// What happened, for programs and tests: the attribute `data-code` of the body.
    pub(crate) code: &'a str,
    /// Whose page it is. `None` shows no account and no way to sign out.
    pub(crate) visitor: Option<&'a Visitor>,
    /// Where forms of the page may lead beside ourselves. Browsers apply it to the redirects behind a form as well.
    pub(crate) form_targets: &'a [String],
    /// It keeps itself up to date by our script. Without script it shows the same when it is loaded again.
    pub(crate) is_live: bool,
    pub(crate) content: Markup,
}

impl Page<'_> {
    fn render(&self) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) " · Pathbound" }
                    link rel="stylesheet" href=(assets::STYLE.path());
                    @if self.is_live { script src=(assets::SCRIPT.path()) defer {} }
                }
                body data-code=(self.code) {
                    a class="skip" href="#content" { "Skip to content" }
                    @if let Some(visitor) = self.visitor { (account(visitor, self.code)) }
                    main id="content" { (self.content) }
                }
            }
        }
    }
}

/// The sections, whose account the page is about, and the way out.
fn account(visitor: &Visitor, code: &str) -> Markup {
    html! {
        header class="account" {
            nav aria-label="Sections" {
                @for (path, name, first) in SECTIONS {
                    a href=(path) aria-current=[(code == first).then_some("page")] { (name) }
                }
            }
            span { "Account: " bdi { (visitor.session.tenant_name) } }
            form method="post" action="/sign-out" {
                (form_token(visitor))
                button class="quiet" type="submit" { "Sign out" }
            }
        }
    }
}

/// What every form of a signed-in browser carries.
pub(crate) fn form_token(visitor: &Visitor) -> Markup {
    html! { input type="hidden" name="form_token" value=(visitor.form_token.expose()); }
}

impl IntoResponse for Page<'_> {
    fn into_response(self) -> Response {
        let policy = policy(self.form_targets, self.is_live);
        let mut response = (self.status, self.render().into_string()).into_response();
        let headers = response.headers_mut();
        let set = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CACHE_CONTROL, "no-store"),
            // No link, code or state leaves the page. A policy of `no-referrer` would make browsers send `Origin: null`
            // with our forms.
            (header::REFERRER_POLICY, REFERRER),
            (header::CONTENT_SECURITY_POLICY, policy.as_str()),
            (header::X_FRAME_OPTIONS, "DENY"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (
                HeaderName::from_static("cross-origin-opener-policy"),
                "same-origin",
            ),
        ];
        for (name, value) in set {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        }
        response
    }
}

/// Nothing is loaded but our own style and script, nothing is framed, and forms lead to us and to the named targets only.
fn policy(form_targets: &[String], is_live: bool) -> String {
    let targets: String = form_targets
        .iter()
        .map(|target| format!(" {target}"))
        .collect();
    let script = if is_live {
        "; script-src 'self'; connect-src 'self'"
    } else {
        ""
    };
    format!(
        "default-src 'none'; style-src 'self'{script}; base-uri 'none'; form-action 'self'{targets}; frame-ancestors 'none'"
    )
}

/// Leads a browser on with a GET, so that a reload sends no form again.
pub(crate) fn see_other(target: &str, cookies: &[String]) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    match HeaderValue::from_str(target) {
        Ok(location) => headers.insert(header::LOCATION, location),
        Err(_) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    };
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static(REFERRER));
    with_cookies(response, cookies)
}

pub(crate) fn with_cookies(mut response: Response, cookies: &[String]) -> Response {
    for cookie in cookies {
        match HeaderValue::from_str(cookie) {
            Ok(cookie) => response.headers_mut().append(header::SET_COOKIE, cookie),
            Err(_) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        };
    }
    response
}
