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
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use shared::{
    domain::Secret,
    intercom::authorize_url,
    sync::connect::{self, ConnectError},
    vault,
};

use cookie::Cookies;
use pages::{error_page, html};

use crate::{Api, extract::Params};

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
        Err(error) => error_page(&error),
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
        &app_url,
    );
    Ok(with_cookie(shown, &cookies.set(flow, &session)))
}

/// `POST /oauth/intercom/start`: opens the flow in this browser and sends it to Intercom.
pub(crate) async fn open(State(api): State<Api>, headers: HeaderMap, body: Bytes) -> Response {
    // A body that is no form has no flow, which is an unknown one.
    let StartForm { flow, confirmation } = serde_urlencoded::from_bytes(&body).unwrap_or_default();
    match open_flow(&api, &headers, &flow, &confirmation).await {
        Ok(redirect) => redirect,
        Err(error) => error_page(&error),
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
    let opened = connect::open(&api.connect.store, flow, &session).await?;
    // Each region has its own host for the consent page.
    let target = authorize_url(
        &api.connect.intercom.app_host(opened.region),
        &api.config.intercom.client_id,
        &opened.state,
        &api.config.redirect_uri(),
    );
    Ok(see_other(&target, &cookies.set(flow, &session)))
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
        Err(error) => return error_page(&error),
    };
    // A flow is over after one callback. The browser's other flows keep their sessions.
    let clear = cookies.clear(&sessions[burnt.session]);
    let outcome = if query.code.is_empty() {
        // Intercom does not document how it reports a denial, so a callback without a code is one.
        Err(ConnectError::Denied)
    } else {
        connect::finish(&api.connect, burnt, &query.code).await
    };
    match outcome {
        Ok(connected) => {
            // The streams are due in Postgres, so the scheduler makes the tickets if this push is lost.
            api.queue
                .push_due(connected.tenant, connected.connection, &connected.streams)
                .await;
            see_other(&returned(&api.config.return_url), &clear)
        }
        Err(error) => with_cookie(error_page(&error), &clear),
    }
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

fn see_other(target: &str, cookie: &str) -> Response {
    let Ok(location) = HeaderValue::from_str(target) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let mut response = html(StatusCode::SEE_OTHER, "'none'", String::new());
    response.headers_mut().insert(header::LOCATION, location);
    with_cookie(response, cookie)
}

fn with_cookie(mut response: Response, cookie: &str) -> Response {
    match HeaderValue::from_str(cookie) {
        Ok(cookie) => {
            response.headers_mut().insert(header::SET_COOKIE, cookie);
            response
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
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
