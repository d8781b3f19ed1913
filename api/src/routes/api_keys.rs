//! Tenant keys. The product backend makes, lists and revokes them on a tenant's behalf.

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::{
    domain::audit_event::{AuditAction, Effect, NewAuditEvent},
    store::ApiKey,
};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{ListQuery, Mark, NoQuery, before, tenants::check_name};
use crate::{
    Api,
    caller::{CallerActor, CallerTenant, KeyScope, NewKey},
    error::{ApiError, FieldError},
    extract::{JsonBody, Params, id},
    idempotency::Repeatable,
    openapi::words,
    page::{ListView, Pager},
};

/// The description's name of a page of keys.
type ApiKeyList = ListView<ApiKeyView>;

/// A tenant key to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewApiKey {
    /// A label.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$",
        example = "crm import"
    )]
    name: String,
    /// What the key may do.
    #[schema(value_type = Vec<words::KeyScope>, min_items = 1, example = json!(["profiles:read"]))]
    scopes: Vec<String>,
    /// When the key stops working, in the future. Without it, the key works until it is revoked.
    expires_at: Option<DateTime<Utc>>,
}

/// A key of one tenant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub(crate) struct ApiKeyView {
    id: Uuid,
    /// Shown once, when the key is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    key: Option<String>,
    name: String,
    #[schema(value_type = Vec<words::KeyScope>)]
    scopes: Vec<String>,
    created_at: DateTime<Utc>,
    /// Absent if the key works until it is revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    expires_at: Option<DateTime<Utc>>,
}

/// Make a tenant key
///
/// The key is in this answer and nowhere else.
#[utoipa::path(
    post,
    path = "/v1/api_keys",
    operation_id = "create_api_key",
    tag = "API keys",
    request_body = NewApiKey,
    responses((status = 201, description = "The new key.", body = ApiKeyView)),
)]
pub(crate) async fn create(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    CallerActor(actor): CallerActor,
    repeatable: Repeatable,
    _: Params<NoQuery>,
    JsonBody(new): JsonBody<NewApiKey>,
) -> Result<Response, ApiError> {
    check_name(&new.name)?;
    let scopes = check_scopes(&new.scopes)?;
    if new.expires_at.is_some_and(|at| at <= Utc::now()) {
        return Err(ApiError::invalid("expires_at", "must be in the future"));
    }
    let made = NewKey::make()?;
    let mut tx = api.store.begin(tenant).await?;
    let stored = tx
        .create_api_key(
            made.id,
            &new.name,
            &made.secret_sha256,
            &scopes,
            new.expires_at,
        )
        .await?;
    // Its name is left out, because it may be that of a person.
    let event = NewAuditEvent::new(actor, AuditAction::ApiKeyCreated, made.id);
    let details = json!({"scopes": scopes, "expires_at": new.expires_at});
    tx.add_audit_event(event.with(details)).await?;
    let view = ApiKeyView {
        key: Some(made.key.expose().to_owned()),
        ..ApiKeyView::from(stored)
    };
    repeatable.commit(tx, StatusCode::CREATED, &view).await
}

/// List tenant keys
///
/// Those that are not revoked, newest first.
#[utoipa::path(
    get,
    path = "/v1/api_keys",
    operation_id = "list_api_keys",
    tag = "API keys",
    params(ListQuery),
    responses((status = 200, description = "A page of keys.", body = ApiKeyList)),
)]
pub(crate) async fn list(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    Params(query): Params<ListQuery>,
) -> Result<Response, ApiError> {
    let pager = Pager::new(&api.vault, tenant, "api_keys", query.limit)?;
    let at = pager.position::<Mark>(query.cursor.as_deref())?;
    let mut tx = api.store.begin(tenant).await?;
    let keys = tx.api_keys(before(at), pager.fetch()).await?;
    pager.answer(keys, |key| (key.created_at, key.id), ApiKeyView::from)
}

/// Revoke a tenant key
///
/// The key's next use is refused.
#[utoipa::path(
    delete,
    path = "/v1/api_keys/{id}",
    operation_id = "revoke_api_key",
    tag = "API keys",
    params(("id" = Uuid, Path, description = "The key's id.")),
    responses((status = 204, description = "The key is revoked.")),
)]
pub(crate) async fn revoke(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    CallerActor(actor): CallerActor,
    Path(key): Path<String>,
    _: Params<NoQuery>,
) -> Result<StatusCode, ApiError> {
    let key = id(&key)?;
    let mut tx = api.store.begin(tenant).await?;
    let effect = tx.revoke_api_key(key).await?;
    if effect.ok_or_else(ApiError::not_found)? == Effect::Changed {
        let event = NewAuditEvent::new(actor, AuditAction::ApiKeyRevoked, key);
        tx.add_audit_event(event).await?;
    }
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Known scopes, each once, in the contract's order.
fn check_scopes(given: &[String]) -> Result<Vec<String>, ApiError> {
    let known = |scope: &String| KeyScope::ALL.iter().any(|known| known.as_str() == scope);
    let mut faults: Vec<FieldError> = given
        .iter()
        .enumerate()
        .filter(|(_, scope)| !known(scope))
        .map(|(at, _)| FieldError {
            field: format!("scopes[{at}]"),
            detail: format!(
                "must be one of {}",
                KeyScope::ALL.map(KeyScope::as_str).join(", ")
            ),
        })
        .collect();
    if given.is_empty() {
        faults.push(FieldError {
            field: "scopes".to_owned(),
            detail: "must name at least one scope".to_owned(),
        });
    }
    if !faults.is_empty() {
        return Err(ApiError::invalid_all(faults));
    }
    let is_given = |scope: &KeyScope| given.iter().any(|given| given == scope.as_str());
    Ok(KeyScope::ALL
        .into_iter()
        .filter(is_given)
        .map(|scope| scope.to_string())
        .collect())
}

impl From<ApiKey> for ApiKeyView {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id,
            key: None,
            name: key.name,
            scopes: key.scopes,
            created_at: key.created_at,
            expires_at: key.expires_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_known_and_counted_once() {
        let scopes = |given: &[&str]| {
            check_scopes(&given.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(
            scopes(&["sources:write", "profiles:read", "profiles:read"]).unwrap(),
            ["profiles:read", "sources:write"]
        );
        assert!(scopes(&[]).is_err());
        assert!(scopes(&["profiles:read", "profiles:write"]).is_err());
    }
}
