//! The browser's side of connecting: the start link, and the callback that Intercom sends back to.
//!
//! A page shows only our own sentences, so nothing of a query is ever shown or logged. The browser is
//! sent on with a 303, so that the code and the state do not stay in its history.

mod cookie;
mod pages;

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use shared::{intercom::authorize_url, sync::connect};

use cookie::Cookie;
use pages::{error_page, html};

use crate::{Api, extract::Params};

#[derive(Deserialize)]
pub(crate) struct StartQuery {
    #[serde(default)]
    flow: String,
}

/// Intercom may add parameters of its own, so unknown ones pass.
#[derive(Deserialize)]
pub(crate) struct CallbackQuery {
    #[serde(default)]
    code: String,
    #[serde(default)]
    state: String,
}

/// `GET /oauth/intercom/start?flow=…`: ties the flow to this browser and sends it to Intercom.
pub(crate) async fn start(State(api): State<Api>, Params(query): Params<StartQuery>) -> Response {
    let opened = match connect::open(&api.connect.store, &query.flow).await {
        Ok(opened) => opened,
        Err(error) => return error_page(&error),
    };
    // Each region has its own host for the consent page.
    let app_url = api.connect.intercom.app_host(opened.region);
    let target = authorize_url(
        &app_url,
        &api.config.intercom.client_id,
        &opened.state,
        &api.config.redirect_uri(),
    );
    see_other(&target, &Cookie::of(&api.config).set(&opened.session))
}

/// `GET /oauth/intercom/callback?code&state`: finishes the flow and sends the browser home.
pub(crate) async fn callback(
    State(api): State<Api>,
    headers: HeaderMap,
    Params(query): Params<CallbackQuery>,
) -> Response {
    let cookie = Cookie::of(&api.config);
    let session = cookie.read(&headers);
    let outcome = if query.code.is_empty() {
        // Intercom does not document how it reports a denial, so a callback without a code is one.
        Err(connect::refuse(&api.connect.store, &query.state, session).await)
    } else {
        connect::finish(&api.connect, &query.state, session, &query.code).await
    };
    let mut response = match outcome {
        Ok(connected) => {
            // The streams are due in Postgres, so the scheduler makes the tickets if this push is lost.
            api.queue
                .push_due(connected.tenant, connected.connection, &connected.streams)
                .await;
            return see_other(&returned(&api.config.return_url), &cookie.clear());
        }
        Err(error) => error_page(&error),
    };
    // A flow is over after one callback, so its session must not serve another one.
    if let Ok(clear) = HeaderValue::from_str(&cookie.clear()) {
        response.headers_mut().insert(header::SET_COOKIE, clear);
    }
    response
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
    let (Ok(location), Ok(cookie)) = (HeaderValue::from_str(target), HeaderValue::from_str(cookie))
    else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let mut response = html(StatusCode::SEE_OTHER, String::new());
    response.headers_mut().insert(header::LOCATION, location);
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    response
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
