//! The operators' pages: the same calls, in a browser that is signed in with the operator key. One that is signed in with the
//! viewer key sees the same pages without buttons.
//!
//! | file | what |
//! |---|---|
//! | `overview.rs` | the fleet at a glance, which keeps itself up to date |
//! | `stream.rs` | news of the overview, as server-sent events |
//! | `charts.rs` | what the fleet did in the last hour |
//! | `tenants.rs`, `tenant.rs` | tenants by lag, state or name, and one of them with `why` first |
//! | `dead.rs` | dead letters by cause, and the question before a drop |
//! | `bulk.rs` | a retry or drop of many letters, with its progress |
//! | `schedule.rs` | what becomes due when |
//! | `lists.rs` | tickets, events, and what operators have done |
//! | `acts.rs` | what the buttons do: each is one call |
//! | `session.rs`, `sign_in.rs` | the session of an operator's browser |
//! | `kept.rs` | the last good content of each page, for when a server is away |
//! | `notice.rs` | every refusal |
//!
//! A path of a page is the path of its call. What asks for HTML and has no key in a header is a browser.

mod acts;
mod bulk;
mod charts;
mod dead;
mod kept;
mod lists;
mod notice;
mod overview;
mod schedule;
mod session;
mod sign_in;
mod stream;
mod tenant;
mod tenants;

use std::time::Duration;

use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    middleware::from_fn,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use serde::de::DeserializeOwned;
use shared::domain::TenantId;
use tracing::Instrument;
use uuid::Uuid;

pub(super) use kept::KeptPages;
pub(super) use sign_in::SignInAttempts;
pub(super) use stream::Streams;

use self::{notice::Refused, session::OpsVisitor};
use super::operator::Operator;
use crate::{
    caller::bearer,
    envelope,
    error::ApiError,
    pages::{Page, asset, shown},
};

/// The pages of the navigation: path and name.
const PAGES: [(&str, &str); 7] = [
    ("/ops/", "Overview"),
    ("/ops/tenants", "Tenants"),
    ("/ops/jobs", "Tickets"),
    ("/ops/schedule", "Schedule"),
    ("/ops/dead", "Dead letters"),
    ("/ops/events", "Events"),
    ("/ops/actions", "Actions"),
];

/// A page is there within this time, whatever its servers do.
const PAGE_LIMIT: Duration = Duration::from_millis(900);

/// As much of a foreign text as a page shows, in characters.
const SHOWN: usize = 300;

/// Every page, and what its buttons do.
pub(super) fn routes(operator: Operator) -> Router {
    Router::new()
        .route("/ops", get(|| async { Redirect::to("/ops/") }))
        .route("/ops/", get(overview::show))
        .route("/ops/overview", get(overview::show))
        .route("/ops/live", get(overview::live))
        .route("/ops/live/stream", get(stream::show))
        .route("/ops/sign-in", post(sign_in::sign_in))
        .route("/ops/sign-out", post(sign_in::sign_out))
        .route("/ops/tenants", get(tenants::show))
        .route("/ops/tenants/{id}", get(tenant::show))
        .route("/ops/tenants/{id}/pause", post(acts::pause_tenant))
        .route("/ops/tenants/{id}/resume", post(acts::resume_tenant))
        .route("/ops/queues/{class}/pause", post(acts::pause_class))
        .route("/ops/queues/{class}/resume", post(acts::resume_class))
        .route("/ops/jobs", get(lists::jobs))
        .route("/ops/schedule", get(schedule::show))
        .route("/ops/dead", get(dead::show))
        .route("/ops/dead/retry", post(acts::retry_letters))
        .route(
            "/ops/dead/drop",
            get(dead::confirm).post(acts::drop_letters),
        )
        .route("/ops/dead/bulk", get(dead::show))
        .route("/ops/dead/bulk/{id}", get(bulk::show))
        .route("/ops/dead/bulk/{id}/live", get(bulk::live))
        .route("/ops/dead/bulk/{id}/cancel", post(bulk::cancel))
        .route("/ops/events", get(lists::events))
        .route("/ops/actions", get(lists::actions))
        .route("/assets/{name}", get(asset))
        .layer(from_fn(envelope::envelope))
        .with_state(operator)
}

/// Whether a request is a browser's. A program has the key in a header, or does not ask for HTML. A browser behind a proxy
/// may send the name and password for that proxy.
pub(super) fn is_for_browser(request: &Request) -> bool {
    let has = |name, text: &str| {
        let value = request.headers().get(name);
        let value = value.and_then(|value| value.to_str().ok());
        value.is_some_and(|value| value.contains(text))
    };
    let path = request.uri().path();
    if path.starts_with("/assets/") {
        return true;
    }
    if !(path == "/ops" || path.starts_with("/ops/")) || bearer(request.headers()).is_some() {
        return false;
    }
    match *request.method() {
        Method::POST => has(header::CONTENT_TYPE, "application/x-www-form-urlencoded"),
        _ => {
            path == "/ops/"
                || path.ends_with("/live")
                || path == "/ops/live/stream"
                || has(header::ACCEPT, "text/html")
        }
    }
}

/// A page of the operators.
struct OpsPage<'a> {
    /// The path in the navigation.
    at: &'a str,
    title: &'a str,
    code: &'a str,
    is_live: bool,
}

impl OpsPage<'_> {
    /// The page for a browser that is signed in. Nothing is read for any other.
    async fn answer(
        self,
        operator: &Operator,
        uri: &Uri,
        headers: &HeaderMap,
        content: impl Future<Output = Result<Markup, ApiError>> + Send + 'static,
    ) -> Result<Response, Refused> {
        let visitor = OpsVisitor::of(operator, headers).ok_or(Refused::SignedOut)?;
        let address = uri.to_string();
        let content = in_time(operator, visitor.session, &address, content).await;
        Ok(match content {
            Ok(content) => self.of(&visitor, StatusCode::OK, &content),
            Err(error) => self.without_server(operator, &visitor, &address, error),
        })
    }

    /// The same, for a page that is read by its query.
    async fn answer_query<Content>(
        self,
        operator: &Operator,
        uri: &Uri,
        headers: &HeaderMap,
        content: impl FnOnce(Operator, String) -> Content,
    ) -> Result<Response, Refused>
    where
        Content: Future<Output = Result<Markup, ApiError>> + Send + 'static,
    {
        let query = uri.query().unwrap_or_default().to_owned();
        self.answer(operator, uri, headers, content(operator.clone(), query))
            .await
    }

    /// The page with the last good content of the same address.
    fn without_server(
        self,
        operator: &Operator,
        visitor: &OpsVisitor,
        address: &str,
        error: ApiError,
    ) -> Response {
        let problem = error.into_problem();
        let status = problem.code.status();
        if !status.is_server_error() {
            return notice::Refused::Failed(problem.into()).into_response();
        }
        let kept = operator.kept_pages.find(visitor.session, address);
        let content = match kept {
            Some((content, seconds)) => html! {
                p class="banner warn" role="status" { "A server does not answer in time. This is what was read " (seconds) " seconds ago." }
                (maud::PreEscaped(content))
            },
            None => html! {
                h1 { (self.title) }
                p class="banner bad" role="status" { "A server does not answer in time, and this page was not read before. Open it again in a moment." }
            },
        };
        self.of(visitor, StatusCode::OK, &content)
    }

    fn of(self, visitor: &OpsVisitor, status: StatusCode, content: &Markup) -> Response {
        Page {
            status,
            title: self.title,
            code: self.code,
            visitor: None,
            form_targets: &[],
            is_live: self.is_live,
            content: html! {
                div class="ops" {
                    nav aria-label="Operations" {
                        @for (path, name) in PAGES {
                            a href=(path) aria-current=[(path == self.at).then_some("page")] { (name) }
                        }
                        form method="post" action="/ops/sign-out" {
                            (form_token(visitor))
                            @if let Some(name) = &visitor.operator { (foreign(name.as_str())) " " }
                            button class="quiet" type="submit" { "Sign out" }
                        }
                    }
                    @if !visitor.may_act() {
                        p class="banner quiet" role="note" {
                            "You are signed in with the viewer key, so these pages have no buttons. With the operator key they have."
                        }
                    }
                    (content)
                }
            },
        }
        .into_response()
    }
}

/// The content, if it is read in time. Otherwise it is read to its end all the same, so that the next look has it.
async fn in_time(
    operator: &Operator,
    session: Uuid,
    address: &str,
    content: impl Future<Output = Result<Markup, ApiError>> + Send + 'static,
) -> Result<Markup, ApiError> {
    let kept = operator.kept_pages.clone();
    let Some(reading) = kept.begin(session, address) else {
        let read = tokio::time::timeout(PAGE_LIMIT, kept.read(session, address));
        let found = read.await.ok().and_then(|()| kept.find(session, address));
        return match found {
            // Another look has read it just now.
            Some((content, 0..=1)) => Ok(maud::PreEscaped(content)),
            _ => Err(ApiError::unavailable()),
        };
    };
    let address = address.to_owned();
    let read = async move {
        let content = content.await?;
        kept.keep(session, &address, &content.0);
        drop(reading);
        Ok(content)
    };
    let read = tokio::spawn(read.in_current_span());
    match tokio::time::timeout(PAGE_LIMIT, read).await {
        Ok(read) => read.unwrap_or_else(|_| Err(ApiError::internal())),
        Err(_) => Err(ApiError::unavailable()),
    }
}

/// What every form of a signed-in browser carries.
fn form_token(visitor: &OpsVisitor) -> Markup {
    html! { input type="hidden" name="form_token" value=(visitor.form_token.expose()); }
}

/// The part of a page that keeps itself up to date from a path, and the switch for it.
fn live_region(path: &str, stream: Option<&str>, content: &Markup) -> Markup {
    html! {
        // It is there before its text, so that a change is read out.
        p id="live-news" class="dim" role="status" {}
        button id="live-switch" class="quiet" type="button" hidden { "Pause live updates" }
        div id="live" data-path=(path) data-stream=[stream] { (content) }
    }
}

/// A text that a customer, a server or an operator wrote.
fn foreign(text: &str) -> Markup {
    html! { bdi { (shown(text, SHOWN)) } }
}

/// The query of a page is that of its call.
fn read_query<T: DeserializeOwned>(query: &str) -> Result<T, ApiError> {
    serde_urlencoded::from_str(query).map_err(|error| ApiError::invalid("query", error.to_string()))
}

/// `2026-11-30 12:05:09 UTC`. On call, seconds matter.
fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A tenant by its name, or by its id if the name is not known.
fn tenant_name(tenant: TenantId, name: Option<&str>) -> Markup {
    html! { @match name { Some(name) => { (foreign(name)) } None => { code { (tenant) } } } }
}

/// The same, as a link to the tenant's page.
fn tenant_link(tenant: TenantId, name: Option<&str>) -> Markup {
    html! { a href=(format!("/ops/tenants/{tenant}")) { (tenant_name(tenant, name)) } }
}

/// Whose an action was: the name that the operator gave, and how it came.
fn by(operator: Option<&str>, channel: &str, session: Option<Uuid>) -> Markup {
    html! {
        @if let Some(name) = operator { (foreign(name)) ", " }
        (channel) @if let Some(session) = session { " " code { (session) } }
    }
}

/// A time that may be missing.
fn or_dash(at: Option<DateTime<Utc>>) -> Markup {
    html! { @match at { Some(at) => { (time(at)) } None => { "–" } } }
}

/// A link to the next page of a list.
fn next_page(path: &str, query: &[(&str, &str)], cursor: &str) -> Markup {
    let mut address = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in query.iter().filter(|(_, value)| !value.is_empty()) {
        address.append_pair(name, value);
    }
    address.append_pair("cursor", cursor);
    html! { p { a class="button quiet" href=(format!("{path}?{}", address.finish())) { "Next page" } } }
}
