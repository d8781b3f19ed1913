//! The gate before the tools: that of REST, which also takes tokens if an authorization server is configured.
//!
//! A client that is refused is told where to sign in. Without an authorization server it is not, because a client that
//! reads of a sign-in ignores its key.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use shared::authorization::{AuthorizationServer, Grant, TokenError};

use super::{
    ACCESS,
    lacking::LackedScope,
    sign_in::{SCOPES, metadata_url},
};
use crate::{
    Api,
    caller::{self, Caller, KeyScope},
    error::ApiError,
};

/// Refuses a request without an acceptable key or token, and proves the tenant of every other.
pub(super) async fn gate(
    State(api): State<Api>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let Some(server) = &api.authorization else {
        return caller::gate(State((api, ACCESS)), request, next).await;
    };
    let mut request = request;
    let token = presented_token(&api, request.headers()).map(str::to_owned);
    let has_token = token.is_some();
    let lacked = LackedScope::default();
    if has_token {
        request.extensions_mut().insert(lacked.clone());
    }
    let caller = match token {
        Some(token) => subject(&api, server, &token).await,
        None => caller::identify(&api, request.headers()).await,
    };
    let mut response = match caller {
        Ok(caller) => caller::pass(&api, ACCESS, caller, request, next).await,
        Err(refused) => refused.into_response(),
    };
    let asked = asked(&api, response.status(), has_token, lacked.get());
    if let Some(asked) = asked.and_then(|asked| HeaderValue::try_from(asked).ok()) {
        let headers = response.headers_mut();
        headers.insert(header::WWW_AUTHENTICATE, asked);
    }
    Ok(response)
}

/// What has the form of a token. No key has it, and a service key that does is a key all the same.
fn presented_token<'a>(api: &Api, headers: &'a HeaderMap) -> Option<&'a str> {
    let presented = caller::bearer(headers)?;
    let is_token = presented.starts_with("ey") && presented.split('.').count() == 3;
    (is_token && !caller::is_service_key(api, presented)).then_some(presented)
}

async fn subject(api: &Api, server: &AuthorizationServer, token: &str) -> Result<Caller, ApiError> {
    let grant = match server.check(token).await {
        Ok(grant) => grant,
        Err(TokenError::Refused(fault)) => {
            // Why, and nothing of the token.
            tracing::info!(%fault, "a token was refused");
            return Err(ApiError::token_refused(fault));
        }
        Err(TokenError::NoKeys) => return Err(ApiError::unavailable()),
    };
    if !api.store.tenant_exists(grant.tenant).await? {
        return Err(ApiError::unknown_tenant_of_token());
    }
    Ok(Caller::Subject(Grant {
        scopes: readable(grant.scopes),
        ..grant
    }))
}

/// The scopes that a token can give. Any other one is that of another service.
fn readable(scopes: Vec<String>) -> Vec<String> {
    let is_ours = |scope: &String| SCOPES.iter().any(|ours| ours.as_str() == scope);
    scopes.into_iter().filter(is_ours).collect()
}

/// What a refused client is asked for (RFC 6750, RFC 9728).
fn asked(
    api: &Api,
    status: StatusCode,
    has_token: bool,
    lacked: Option<KeyScope>,
) -> Option<String> {
    // Every tool reads profiles, so a sign-in for another scope alone would not be enough.
    let needed: Vec<KeyScope> = [KeyScope::ProfilesRead].into_iter().chain(lacked).collect();
    let (error, scopes) = match status {
        StatusCode::UNAUTHORIZED if has_token => ("error=\"invalid_token\", ", SCOPES.as_slice()),
        StatusCode::UNAUTHORIZED => ("", SCOPES.as_slice()),
        StatusCode::FORBIDDEN if has_token => ("error=\"insufficient_scope\", ", needed.as_slice()),
        _ => return None,
    };
    let scopes: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
    let scopes = scopes.join(" ");
    let metadata = metadata_url(api);
    Some(format!(
        "Bearer {error}scope=\"{scopes}\", resource_metadata=\"{metadata}\""
    ))
}
