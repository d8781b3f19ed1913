//! Which requests come as far as the gate: those to a host that is ours, and of no page that is not allowed to.
//!
//! A web page can make a browser send requests to a server that only the browser reaches, under a name that the page's
//! owner has pointed there. The checks are the protocol's own rule against that. A caller without a key is refused behind them.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, header},
    middleware::Next,
    response::Response,
};
use url::{Host, Url};

use crate::{Api, error::ApiError};

/// What the protocol's own library asks of clients. It never streams here.
const BOTH_TYPES: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");

/// Refuses what the gate must not see, and reads `Accept` as clients mean it.
pub(super) async fn admit(
    State(api): State<Api>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let headers = request.headers_mut();
    let public = Url::parse(&api.config.public_url).ok();
    let public_host = public.as_ref().and_then(Url::host_str);
    // An HTTP/1.1 request has the header, and one without it comes from no browser.
    let host = headers.get(header::HOST);
    let hosts = &api.config.mcp.hosts;
    if host.is_some_and(|host| !is_ours(host, public_host, hosts)) {
        return Err(ApiError::host_not_allowed());
    }
    let origin = headers.get(header::ORIGIN);
    if origin.is_some_and(|origin| !is_allowed(origin, &api.config.rest.cors_origins)) {
        return Err(ApiError::origin_not_allowed());
    }
    if !takes_json(headers) {
        return Err(ApiError::invalid("Accept", "must allow application/json"));
    }
    headers.insert(header::ACCEPT, BOTH_TYPES);
    // Every call only reads, so a repeat needs no stored answer.
    headers.remove("idempotency-key");
    Ok(next.run(request).await)
}

/// A page can only use a name that its owner has registered. Addresses, `localhost` and names of one word are none.
fn is_ours(host: &HeaderValue, public_host: Option<&str>, further: &[String]) -> bool {
    let Ok(text) = host.to_str() else {
        return false;
    };
    let Ok(url) = Url::parse(&format!("http://{text}/")) else {
        return false;
    };
    // What is no bare host and port has been read as something else.
    let is_bare = url.username().is_empty() && url.password().is_none() && url.path() == "/";
    let is_named = match url.host() {
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => true,
        Some(Host::Domain(name)) => {
            !name.contains('.')
                || Some(name) == public_host
                || further.iter().any(|ours| ours == name)
        }
        None => false,
    };
    is_bare && url.query().is_none() && url.fragment().is_none() && is_named
}

fn is_allowed(origin: &HeaderValue, allowed: &[String]) -> bool {
    let origin = origin.to_str().unwrap_or_default();
    allowed.iter().any(|allowed| allowed == origin)
}

/// No header at all, and any range that JSON is in, allow it.
fn takes_json(headers: &HeaderMap) -> bool {
    let mut ranges = headers
        .get_all(header::ACCEPT)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or_default().split(','))
        .map(|range| {
            range
                .split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .to_ascii_lowercase()
        })
        .filter(|range| !range.is_empty())
        .peekable();
    ranges.peek().is_none()
        || ranges
            .any(|range| ["*/*", "application/*", "application/json"].contains(&range.as_str()))
}
