//! The browser's side of connecting: the start page, its button, and the callback that Intercom sends back to.
//!
//! A page shows only our own sentences and the tenant's name, so nothing of a query is ever shown or logged. The
//! browser is sent on with a 303, so that the code and the state do not stay in its history.
//!
//! Only a press of the button opens a flow, and only with the cookie that came with the page. A link scanner or a
//! preview has no cookie, so it changes nothing, whatever it requests.

mod cookie;
mod pages;
mod start_page;

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde::Deserialize;
use shared::{
    domain::{ConnectionId, Region, Secret, TenantId, audit_event::Actor},
    intercom::authorize_url,
    sync::connect::{self, Burnt, ConnectError, Connected},
    vault,
};

use cookie::Cookies;
use pages::error_page;

use crate::{
    Api,
    extract::Params,
    pages::{Visitor, origin_of_url, see_other, with_cookies},
};

#[derive(Deserialize)]
pub(crate) struct StartQuery {
    #[serde(default)]
    flow: String,
}

/// The form of the start page.
#[derive(Default, Deserialize)]
struct StartForm {
    #[serde(default)]
    flow: String,
    #[serde(default)]
    confirmation: String,
}

/// Intercom may add parameters of its own, so unknown ones pass.
#[derive(Deserialize)]
pub(crate) struct CallbackQuery {
    #[serde(default)]
    code: String,
    #[serde(default)]
    state: String,
}

/// `GET /oauth/intercom/start?flow=…`: the page that names the tenant and what will be read. It opens nothing.
pub(crate) async fn start(
    State(api): State<Api>,
    headers: HeaderMap,
    Params(StartQuery { flow }): Params<StartQuery>,
) -> Response {
    match show_start_page(&api, &headers, &flow).await {
        Ok(page) => page,
        Err(error) => failed(&api, &headers, Region::Us, &error).await,
    }
}

async fn show_start_page(
    api: &Api,
    headers: &HeaderMap,
    flow: &str,
) -> Result<Response, ConnectError> {
    let page = connect::start_page(&api.connect.store, flow).await?;
    let cookies = Cookies::of(&api.config);
    // A second tab or a reload keeps the session of the first, so that neither replaces the other.
    let session = match cookies.session_of(headers, flow) {
        Some(session) => session,
        None => connect::new_session()?,
    };
    let app_url = api.connect.intercom.app_host(page.region);
    let shown = start_page::start_page(
        &page.tenant_name,
        flow,
        confirmation(&session).expose(),
        origin_of_url(&app_url),
    );
    Ok(with_cookies(shown, &[cookies.set(flow, &session)]))
}

/// `POST /oauth/intercom/start`: opens the flow in this browser and sends it to Intercom.
pub(crate) async fn open(State(api): State<Api>, headers: HeaderMap, body: Bytes) -> Response {
    // A body that is no form has no flow, which is an unknown one.
    let StartForm { flow, confirmation } = serde_urlencoded::from_bytes(&body).unwrap_or_default();
    match open_flow(&api, &headers, &flow, &confirmation).await {
        Ok(redirect) => redirect,
        Err(error) => failed(&api, &headers, Region::Us, &error).await,
    }
}

async fn open_flow(
    api: &Api,
    headers: &HeaderMap,
    flow: &str,
    confirmed: &str,
) -> Result<Response, ConnectError> {
    let cookies = Cookies::of(&api.config);
    let session = cookies
        .session_of(headers, flow)
        .ok_or(ConnectError::SessionMismatch)?;
    // Another site can send the form, and cannot read the page that has the confirmation.
    let expected = confirmation(&session);
    if !vault::constant_time_eq(expected.expose().as_bytes(), confirmed.as_bytes()) {
        return Err(ConnectError::SessionMismatch);
    }
    lead_to_intercom(api, flow, &session).await
}

/// Begins a flow for a browser that is signed in, and leads it to Intercom at once. Its page has said what will be read.
///
/// # Errors
/// If the flow could not be stored.
pub(crate) async fn begin_in_browser(
    api: &Api,
    tenant: TenantId,
    region: Region,
    renews: Option<ConnectionId>,
    actor: Actor,
) -> Result<Response, ConnectError> {
    let mut tx = api.connect.store.begin(tenant).await?;
    let started = connect::start(&mut tx, region, renews, actor).await?;
    tx.commit().await?;
    let session = connect::new_session()?;
    lead_to_intercom(api, started.start_token.expose(), &session).await
}

/// Opens a flow in the browser that has the session, and leads it to the consent page.
async fn lead_to_intercom(
    api: &Api,
    flow: &str,
    session: &Secret,
) -> Result<Response, ConnectError> {
    let opened = connect::open(&api.connect.store, flow, session).await?;
    // Each region has its own host for the consent page.
    let target = authorize_url(
        &api.connect.intercom.app_host(opened.region),
        &api.config.intercom.client_id,
        &opened.state,
        &api.config.redirect_uri(),
    );
    let cookie = Cookies::of(&api.config).set(flow, session);
    Ok(see_other(&target, &[cookie]))
}

/// Where the forms that connect a workspace lead to, in every region.
pub(crate) fn intercom_origins(api: &Api) -> Vec<String> {
    let mut origins: Vec<String> = [Region::Us, Region::Eu, Region::Au]
        .map(|region| origin_of_url(&api.connect.intercom.app_host(region)))
        .into();
    // In development all regions have one host.
    origins.dedup();
    origins
}

/// The page of an error, for the browser that is signed in or for one that is not.
async fn failed(api: &Api, headers: &HeaderMap, region: Region, error: &ConnectError) -> Response {
    // The first error is what a person has to know.
    let visitor = Visitor::of(api, headers).await.unwrap_or_default();
    error_page(api, visitor.as_ref(), region, error)
}

/// What only a browser knows that has the cookie and has read the page.
fn confirmation(session: &Secret) -> Secret {
    vault::derived_token(&["oauth confirmation", session.expose()])
}

/// `GET /oauth/intercom/callback?code&state`: finishes the flow and sends the browser home.
pub(crate) async fn callback(
    State(api): State<Api>,
    headers: HeaderMap,
    Params(query): Params<CallbackQuery>,
) -> Response {
    let cookies = Cookies::of(&api.config);
    let sessions = cookies.sessions(&headers);
    let values: Vec<&str> = sessions.iter().map(|session| session.value).collect();
    let burnt = match connect::burn(&api.connect.store, &query.state, &values).await {
        Ok(burnt) => burnt,
        Err(error) => return failed(&api, &headers, Region::Us, &error).await,
    };
    // A flow is over after one callback. The browser's other flows keep their sessions.
    let (clear, region) = (cookies.clear(&sessions[burnt.session]), burnt.region);
    let outcome = if query.code.is_empty() {
        // Intercom does not document how it reports a denial, so a callback without a code is one.
        Err(ConnectError::Denied)
    } else {
        finish(&api, &headers, burnt, &query.code).await
    };
    match outcome {
        Ok(connected) => {
            // The streams are due in Postgres, so the scheduler makes the tickets if this push is lost.
            api.queue
                .push_due(connected.tenant, connected.connection, &connected.streams)
                .await;
            let home = if connected.is_from_page {
                "/integrations"
            } else {
                api.config.return_url.as_str()
            };
            see_other(&returned(home), &[clear])
        }
        Err(error) => with_cookies(failed(&api, &headers, region, &error).await, &[clear]),
    }
}

async fn finish(
    api: &Api,
    headers: &HeaderMap,
    burnt: Burnt,
    code: &str,
) -> Result<Connected, ConnectError> {
    let visitor = Visitor::of(api, headers).await?;
    let session = visitor.map(|visitor| visitor.session.id);
    connect::finish(&api.connect, burnt, session, code).await
}

/// `HEAD /oauth/intercom/callback`: nothing. Without it a HEAD request would be served as a GET and burn the state.
pub(crate) async fn ignore_head() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// The return URL with `intercom=connected` added to its query.
fn returned(return_url: &str) -> String {
    let (url, fragment) = return_url
        .split_once('#')
        .map_or((return_url, None), |(url, end)| (url, Some(end)));
    let joint = match url.split_once('?') {
        None => "?",
        Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
        Some(_) => "&",
    };
    let fragment = fragment.map_or_else(String::new, |fragment| format!("#{fragment}"));
    format!("{url}{joint}intercom=connected{fragment}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_return_url_keeps_its_query_and_fragment() {
        for (configured, expected) in [
            ("/integrations", "/integrations?intercom=connected"),
            (
                "https://app.test/i?tab=2",
                "https://app.test/i?tab=2&intercom=connected",
            ),
            (
                "https://app.test/i?",
                "https://app.test/i?intercom=connected",
            ),
            ("/i#top", "/i?intercom=connected#top"),
            ("/i?a=1#top", "/i?a=1&intercom=connected#top"),
        ] {
            assert_eq!(returned(configured), expected);
        }
    }
}
