//! The caller of a request, and the tenant that it acts for.
//!
//! [`gate`] stands before every `/v1` route and proves the tenant. A handler can learn a tenant only
//! from the [`CallerTenant`] that the gate leaves behind.

use std::fmt;

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use shared::{
    authorization::Grant,
    domain::{Secret, TenantId, audit_event::Actor},
    store::KeyHolder,
    vault,
};
use tracing::{Span, field::display};
use uuid::Uuid;

use crate::{Api, conditional, error::ApiError, idempotency, limits::Counted};

/// Names the tenant that the service key acts for.
const TENANT_HEADER: &str = "pathbound-tenant";
const KEY_PREFIX: &str = "pb_";
const KEY_ID_LENGTH: usize = 32;
const SECRET_LENGTH: usize = 43;

/// What a tenant key may do. The names are part of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyScope {
    ProfilesRead,
    ConversationsRead,
    ConnectionsRead,
    ConnectionsWrite,
    SourcesWrite,
}

impl KeyScope {
    /// Every scope.
    pub(crate) const ALL: [Self; 5] = [
        Self::ProfilesRead,
        Self::ConversationsRead,
        Self::ConnectionsRead,
        Self::ConnectionsWrite,
        Self::SourcesWrite,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::ProfilesRead => "profiles:read",
            Self::ConversationsRead => "conversations:read",
            Self::ConnectionsRead => "connections:read",
            Self::ConnectionsWrite => "connections:write",
            Self::SourcesWrite => "sources:write",
        }
    }
}

/// The key that a route needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// The service key, for no tenant in particular.
    Service,
    /// The service key, for the tenant that it names.
    ServiceForTenant,
    /// A tenant key with this scope, or the service key for the tenant that it names.
    Scope(KeyScope),
}

impl Access {
    /// Bytes of a body. A larger one is refused before it is read.
    pub(crate) const fn body_limit(self) -> usize {
        match self {
            Self::Scope(KeyScope::SourcesWrite) => 8 << 20,
            Self::Scope(_) | Self::Service | Self::ServiceForTenant => 256 << 10,
        }
    }
}

/// The tenant that the caller has proven. A handler that takes it is behind the gate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallerTenant(pub(crate) TenantId);

/// Whose action a call is, for the audit trail. A handler that takes it is behind the gate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallerActor(pub(crate) Actor);

/// What the caller may read beside what its route needs.
#[derive(Clone, Debug)]
pub(crate) enum CallerScopes {
    /// The service key.
    All,
    Of(Vec<String>),
}

impl CallerScopes {
    pub(crate) fn has(&self, scope: KeyScope) -> bool {
        match self {
            Self::All => true,
            Self::Of(scopes) => scopes.iter().any(|held| held == scope.as_str()),
        }
    }
}

/// A new key. `key` is shown once and never stored.
#[derive(Debug)]
pub(crate) struct NewKey {
    pub(crate) id: Uuid,
    pub(crate) key: Secret,
    pub(crate) secret_sha256: [u8; 32],
}

impl NewKey {
    /// # Errors
    /// If the system gives no random bytes.
    pub(crate) fn make() -> Result<Self, ApiError> {
        let id = Uuid::now_v7();
        let secret = vault::random_token().map_err(|_| ApiError::internal())?;
        Ok(Self {
            id,
            key: Secret::new(format!("{KEY_PREFIX}{}_{}", id.simple(), secret.expose())),
            secret_sha256: vault::sha256(secret.expose().as_bytes()),
        })
    }
}

/// Whom a valid key or token belongs to.
pub(crate) enum Caller {
    Service,
    /// The id of a tenant key, and what it may do.
    Tenant(Uuid, KeyHolder),
    /// A subject of the authorization server, whose tenant exists. Only the tools take its tokens.
    Subject(Grant),
}

impl Caller {
    const fn counted(&self) -> Counted {
        match self {
            Self::Service => Counted::ServiceKey,
            Self::Tenant(id, _) => Counted::TenantKey(*id),
            Self::Subject(grant) => Counted::Subject(grant.holder),
        }
    }

    /// None if nothing that the caller may do is kept in the audit trail.
    const fn actor(&self) -> Option<Actor> {
        match self {
            Self::Service => Some(Actor::ServiceKey),
            Self::Tenant(id, _) => Some(Actor::TenantKey(*id)),
            Self::Subject(_) => None,
        }
    }
}

/// Refuses a request without an acceptable key, and proves the tenant of every other.
pub(crate) async fn gate(
    State((api, access)): State<(Api, Access)>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let caller = identify(&api, request.headers()).await?;
    Ok(pass(&api, access, caller, request, next).await)
}

/// Counts the request of a caller whose key or token is valid, and carries it out.
pub(crate) async fn pass(
    api: &Api,
    access: Access,
    caller: Caller,
    request: Request,
    next: Next,
) -> Response {
    let whose = caller.counted();
    let limits = &api.limits;
    // A conditional read is counted after it, because an answer without content costs nothing.
    let is_conditional = conditional::known(&request).is_some();
    let mut counted = (!is_conditional).then(|| limits.count(whose));
    let mut response = match &counted {
        None | Some(Ok(_)) => carry_out(api, access, caller, request, next).await,
        Some(Err(_)) => StatusCode::TOO_MANY_REQUESTS.into_response(),
    };
    if is_conditional && response.status() != StatusCode::NOT_MODIFIED {
        counted = Some(limits.count(whose));
    }
    let standing = match counted {
        None => None,
        Some(Ok(standing)) => Some(standing),
        Some(Err(refused)) => {
            response = refused.into_response();
            Some(limits.nothing_left(whose))
        }
    };
    limits.write(whose, standing, response.headers_mut());
    response
}

/// Carries out a request whose key or token is valid.
async fn carry_out(
    api: &Api,
    access: Access,
    caller: Caller,
    mut request: Request,
    next: Next,
) -> Response {
    let actor = caller.actor();
    let (tenant, scopes) = match admit(api, access, caller, request.headers()).await {
        Ok(admitted) => admitted,
        Err(refused) => return refused.into_response(),
    };
    if !tenant.0.is_nil() {
        Span::current().record("tenant", display(tenant));
    }
    request.extensions_mut().insert(CallerTenant(tenant));
    if let Some(actor) = actor {
        request.extensions_mut().insert(CallerActor(actor));
    }
    request.extensions_mut().insert(scopes);
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let known = conditional::known(&request);
    let answered = match idempotency::once(api, tenant, access.body_limit(), request, next).await {
        Ok(response) if is_read => conditional::answer(tenant, known.as_ref(), response).await,
        answered => answered,
    };
    answered.unwrap_or_else(IntoResponse::into_response)
}

/// Whom the key of a request belongs to.
///
/// # Errors
/// If it has none that is valid.
pub(crate) async fn identify(api: &Api, headers: &HeaderMap) -> Result<Caller, ApiError> {
    let presented = bearer(headers).ok_or_else(ApiError::unauthorized)?;
    if is_service_key(api, presented) {
        return Ok(Caller::Service);
    }
    let (id, holder) = key_holder(api, presented).await?;
    Ok(Caller::Tenant(id, holder))
}

pub(crate) fn is_service_key(api: &Api, presented: &str) -> bool {
    let digest = vault::sha256(presented.as_bytes());
    vault::constant_time_eq(&digest, &api.service_key_sha256)
}

async fn admit(
    api: &Api,
    access: Access,
    caller: Caller,
    headers: &HeaderMap,
) -> Result<(TenantId, CallerScopes), ApiError> {
    let (tenant, scopes, is_key) = match caller {
        // A call for no tenant has the nil id, which no tenant has, so that its idempotency key has
        // an owner too.
        Caller::Service if access == Access::Service => {
            return Ok((TenantId(Uuid::nil()), CallerScopes::All));
        }
        Caller::Service => return Ok((named_tenant(api, headers).await?, CallerScopes::All)),
        Caller::Tenant(_, holder) => (holder.tenant, holder.scopes, true),
        Caller::Subject(grant) => (grant.tenant, grant.scopes, false),
    };
    // A client that sends both may mean another tenant than the key's, so the call is refused.
    if headers.contains_key(TENANT_HEADER) {
        return Err(ApiError::tenant_not_allowed());
    }
    let scopes = CallerScopes::Of(scopes);
    match access {
        Access::Service | Access::ServiceForTenant => Err(ApiError::service_key_required()),
        Access::Scope(scope) if scopes.has(scope) => Ok((tenant, scopes)),
        Access::Scope(scope) if is_key => Err(ApiError::missing_scope(scope)),
        Access::Scope(scope) => Err(ApiError::token_lacks_scope(scope)),
    }
}

/// The tenant that a call with the service key names.
async fn named_tenant(api: &Api, headers: &HeaderMap) -> Result<TenantId, ApiError> {
    let Some(named) = headers.get(TENANT_HEADER) else {
        return Err(ApiError::tenant_required());
    };
    let tenant = named
        .to_str()
        .ok()
        .and_then(|text| text.parse::<TenantId>().ok());
    match tenant {
        Some(tenant) if api.store.tenant_exists(tenant).await? => Ok(tenant),
        _ => Err(ApiError::tenant_not_found()),
    }
}

/// The id, the tenant and the scopes of a tenant key. An unknown id costs the same look-up and comparison as a
/// wrong secret, so that the time of an answer does not tell which ids exist.
async fn key_holder(api: &Api, presented: &str) -> Result<(Uuid, KeyHolder), ApiError> {
    let (id, secret) = split_key(presented).ok_or_else(ApiError::unauthorized)?;
    let found = api.store.find_api_key(id).await?;
    let digest = vault::sha256(secret.as_bytes());
    // The digest of an empty secret stands in, because no secret of 43 characters has it.
    let stands_in = vault::sha256(b"");
    let expected = found
        .as_ref()
        .map_or(stands_in.as_slice(), |holder| &holder.secret_sha256);
    if vault::constant_time_eq(&digest, expected) {
        let holder = found.ok_or_else(ApiError::unauthorized)?;
        Ok((id, holder))
    } else {
        Err(ApiError::unauthorized())
    }
}

/// Splits `pb_<id, 32 hex digits>_<secret, 43 characters>`. The secret may contain `_` too, so the key is
/// split by length.
fn split_key(key: &str) -> Option<(Uuid, &str)> {
    let rest = key.strip_prefix(KEY_PREFIX)?;
    let (id, rest) = rest.split_at_checked(KEY_ID_LENGTH)?;
    let secret = rest.strip_prefix('_')?;
    (secret.len() == SECRET_LENGTH).then_some(())?;
    Some((Uuid::try_parse(id).ok()?, secret))
}

pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}

impl<S: Sync> FromRequestParts<S> for CallerTenant {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        left_by_gate(parts)
    }
}

impl<S: Sync> FromRequestParts<S> for CallerActor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        left_by_gate(parts)
    }
}

/// It is missing only if a route was mounted without its gate. Such a route answers no one.
fn left_by_gate<T: Copy + Send + Sync + 'static>(parts: &Parts) -> Result<T, ApiError> {
    let left = parts.extensions.get::<T>().copied();
    left.ok_or_else(ApiError::internal)
}

impl fmt::Display for KeyScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_reads_back() {
        for _ in 0..200 {
            // Every run meets secrets that begin or end with `_` or `-`.
            let new = NewKey::make().unwrap();
            let (id, secret) = split_key(new.key.expose()).unwrap();
            assert_eq!(id, new.id);
            assert_eq!(vault::sha256(secret.as_bytes()), new.secret_sha256);
        }
    }

    #[test]
    fn garbage_is_no_key() {
        let good = NewKey::make().unwrap().key.expose().to_owned();
        let cut = &good[..good.len() - 1];
        let longer = format!("{good}x");
        let id = "g".repeat(32);
        let not_hex = format!("pb_{id}_{}", "s".repeat(43));
        let accented = format!("pb_{}é_{}", "0".repeat(31), "s".repeat(43));
        for text in [
            "",
            "pb_",
            "pb__",
            cut,
            &longer,
            &good[3..],
            &not_hex,
            &accented,
        ] {
            assert!(split_key(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn the_scheme_is_read_in_any_case() {
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(with("bearer k").as_deref(), Some("k"));
        assert_eq!(with("Basic k"), None);
        assert_eq!(with("k"), None);
    }
}
