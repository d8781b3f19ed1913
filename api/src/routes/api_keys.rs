//! Tenant keys. The product backend makes, lists and revokes them on a tenant's behalf.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::store::ApiKey;
use uuid::Uuid;

use super::{ListQuery, Mark, before, tenants::check_name};
use crate::{
    Api,
    caller::{CallerTenant, KeyScope, NewKey},
    error::{ApiError, FieldError},
    extract::{JsonBody, Params, id},
    page::Pager,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewApiKey {
    name: String,
    scopes: Vec<String>,
    expires_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Serialize)]
pub(crate) struct ApiKeyView {
    id: Uuid,
    /// Shown once, when the key is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    name: String,
    scopes: Vec<String>,
    created_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<DateTime<Utc>>,
}

/// `POST /v1/api_keys {name, scopes[], expires_at?}`
pub(crate) async fn create(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    JsonBody(new): JsonBody<NewApiKey>,
) -> Result<(StatusCode, Json<ApiKeyView>), ApiError> {
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
    tx.commit().await?;
    let view = ApiKeyView {
        key: Some(made.key.expose().to_owned()),
        ..ApiKeyView::from(stored)
    };
    Ok((StatusCode::CREATED, Json(view)))
}

/// `GET /v1/api_keys`: those that are not revoked, newest first.
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

/// `DELETE /v1/api_keys/{id}`: the key's next use is refused, on every replica.
pub(crate) async fn revoke(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    Path(key): Path<String>,
) -> Result<StatusCode, ApiError> {
    let mut tx = api.store.begin(tenant).await?;
    if !tx.revoke_api_key(id(&key)?).await? {
        return Err(ApiError::not_found());
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
