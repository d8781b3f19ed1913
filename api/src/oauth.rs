//! The browser's side of connecting: the start link, and the callback that Intercom sends back to.
//!
//! Pages show our own sentences only: nothing of a query is ever shown or logged, and the browser is
//! led on by 303 so that code and state do not stay in its history.

use std::fmt;

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use shared::{
    config::Config,
    domain::Secret,
    intercom::authorize_url,
    sync::connect::{self, ConnectError, FLOW_LIFE},
};

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

/// `GET /oauth/intercom/start?flow=…`: ties the flow to this browser and leads it to Intercom.
pub(crate) async fn start(State(api): State<Api>, Params(query): Params<StartQuery>) -> Response {
    let opened = match connect::open(&api.connect.store, &query.flow).await {
        Ok(opened) => opened,
        Err(error) => return error_page(&error),
    };
    let app_url = api.connect.intercom.app_host(opened.region);
    let target = authorize_url(
        &app_url,
        &api.config.intercom.client_id,
        &opened.state,
        &api.config.redirect_uri(),
    );
    see_other(&target, &Cookie::of(&api.config).set(&opened.session))
}

/// `GET /oauth/intercom/callback?code&state`: finishes the flow and leads the browser home.
pub(crate) async fn callback(
    State(api): State<Api>,
    headers: HeaderMap,
    Params(query): Params<CallbackQuery>,
) -> Response {
    let cookie = Cookie::of(&api.config);
    let session = cookie.read(&headers);
    let outcome = if query.code.is_empty() {
        // A denial has no documented form: no code means no.
        Err(connect::refuse(&api.connect.store, &query.state, session).await)
    } else {
        connect::finish(&api.connect, &query.state, session, &query.code).await
    };
    let mut response = match outcome {
        Ok(connected) => {
            api.queue
                .push_due(connected.tenant, connected.connection, &connected.streams)
                .await;
            return see_other(&returned(&api.config.return_url), &cookie.clear());
        }
        Err(error) => error_page(&error),
    };
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

/// The session cookie. `__Host-` makes browsers insist on https and on no other host having set it;
/// plain http (development) cannot have it.
struct Cookie {
    name: &'static str,
    secure: &'static str,
}

impl Cookie {
    fn of(config: &Config) -> Self {
        if config.public_url.starts_with("https://") {
            Self {
                name: "__Host-pathbound_oauth",
                secure: "; Secure",
            }
        } else {
            Self {
                name: "pathbound_oauth",
                secure: "",
            }
        }
    }

    fn set(&self, session: &Secret) -> String {
        self.with(session.expose(), FLOW_LIFE.as_secs())
    }

    fn clear(&self) -> String {
        self.with("", 0)
    }

    // Lax, because the callback is a navigation that Intercom's page starts.
    fn with(&self, value: &str, max_age: u64) -> String {
        format!(
            "{}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax{}",
            self.name, self.secure
        )
    }

    fn read<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|cookies| cookies.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='))
            .find_map(|(name, value)| (name == self.name).then_some(value))
    }
}

fn see_other(target: &str, cookie: &str) -> Response {
    let (Ok(location), Ok(cookie)) = (HeaderValue::from_str(target), HeaderValue::from_str(cookie))
    else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let mut response = page(StatusCode::SEE_OTHER, String::new());
    response.headers_mut().insert(header::LOCATION, location);
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    response
}

/// A page that says what happened, in our words, with the code for machines.
fn error_page(error: &ConnectError) -> Response {
    let (status, title, text) = match error {
        ConnectError::StartUnknown => (
            StatusCode::BAD_REQUEST,
            "This link has ended",
            "It was used before or is older than ten minutes.",
        ),
        ConnectError::StateUnknown | ConnectError::StateUsed => (
            StatusCode::BAD_REQUEST,
            "This step was already taken",
            "Each attempt to connect can be finished once.",
        ),
        ConnectError::StateExpired => (
            StatusCode::BAD_REQUEST,
            "That took too long",
            "An attempt to connect lasts ten minutes.",
        ),
        ConnectError::SessionMismatch => (
            StatusCode::FORBIDDEN,
            "This browser did not begin the connection",
            "Begin and finish in one browser, with cookies allowed. Nothing was connected.",
        ),
        ConnectError::Denied => (
            StatusCode::BAD_REQUEST,
            "Intercom was not connected",
            "Intercom gave us no access. Nothing was changed.",
        ),
        ConnectError::ExchangeFailed(_) => (
            StatusCode::BAD_GATEWAY,
            "Intercom did not accept the connection",
            "Its answer was no longer good.",
        ),
        ConnectError::TokenRefused(_) => (
            StatusCode::BAD_GATEWAY,
            "Intercom did not say whose workspace this is",
            "Our app may lack the permission to read admins.",
        ),
        ConnectError::PurgeUnderWay => (
            StatusCode::SERVICE_UNAVAILABLE,
            "This workspace is still being disconnected",
            "Its former data is being deleted. Try again in a few minutes.",
        ),
        ConnectError::Unavailable(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "Intercom cannot be reached",
            "Try again in a few minutes.",
        ),
        ConnectError::Store(_) | ConnectError::Seal(_) | ConnectError::Random => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "Something went wrong on our side",
            "Try again in a few minutes.",
        ),
    };
    if status.is_server_error() {
        tracing::error!(
            error = error as &dyn std::error::Error,
            code = error.code(),
            "connecting failed"
        );
    } else {
        tracing::info!(code = error.code(), "connecting failed");
    }
    page(
        status,
        ErrorPage {
            code: error.code(),
            title,
            text,
        }
        .to_string(),
    )
}

struct ErrorPage {
    code: &'static str,
    title: &'static str,
    text: &'static str,
}

impl fmt::Display for ErrorPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, title, text } = self;
        write!(
            f,
            r#"<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:15vh auto;padding:0 1rem}}</style></head>
<body data-code="{code}">
<h1>{title}</h1>
<p>{text}</p>
<p>Go back to where you began and connect Intercom again.</p>
</body>
</html>
"#
        )
    }
}

/// No script, no frame, no form, no referrer, no cache: code and state go no further than here.
fn page(status: StatusCode, html: String) -> Response {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, html).into_response()
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

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let cookie = Cookie {
            name: "pathbound_oauth",
            secure: "",
        };
        let mut headers = HeaderMap::new();
        headers.append(
            header::COOKIE,
            HeaderValue::from_static("a=1; xpathbound_oauth=no"),
        );
        headers.append(
            header::COOKIE,
            HeaderValue::from_static("pathbound_oauth=yes; b=2"),
        );
        assert_eq!(cookie.read(&headers), Some("yes"));
    }
}
