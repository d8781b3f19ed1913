//! Tenants. The product backend creates them.

use axum::{extract::State, http::StatusCode, response::Response};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::domain::TenantId;
use utoipa::ToSchema;

use super::NoQuery;
use crate::{
    Api,
    caller::CallerTenant,
    error::ApiError,
    extract::{JsonBody, Params},
    idempotency::Repeatable,
};

const MAX_NAME_CHARACTERS: usize = 200;

/// A tenant to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTenant {
    /// A label. It need not be unique.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$",
        example = "Acme"
    )]
    name: String,
}

/// One customer of the product.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tenant)]
pub(crate) struct TenantView {
    #[schema(value_type = Uuid)]
    id: TenantId,
    #[schema(example = "Acme")]
    name: String,
    created_at: DateTime<Utc>,
}

/// Create a tenant
#[utoipa::path(
    post,
    path = "/v1/tenants",
    operation_id = "create_tenant",
    tag = "Tenants",
    request_body = NewTenant,
    responses((status = 201, description = "The new tenant.", body = TenantView)),
)]
pub(crate) async fn create(
    State(api): State<Api>,
    CallerTenant(none): CallerTenant,
    repeatable: Repeatable,
    _: Params<NoQuery>,
    JsonBody(new): JsonBody<NewTenant>,
) -> Result<Response, ApiError> {
    check_name(&new.name)?;
    let mut tx = api.store.begin(none).await?;
    let tenant = tx.create_tenant(&new.name).await?;
    let view = TenantView {
        id: tenant.id,
        name: tenant.name,
        created_at: tenant.created_at,
    };
    repeatable.commit(tx, StatusCode::CREATED, &view).await
}

pub(super) fn check_name(name: &str) -> Result<(), ApiError> {
    let length = name.chars().count();
    let unreadable = name.trim().is_empty() || name.chars().any(|c| c.is_ascii_control());
    if unreadable || length > MAX_NAME_CHARACTERS {
        return Err(ApiError::invalid(
            "name",
            format!(
                "must have 1 to {MAX_NAME_CHARACTERS} characters, not only blanks and no control characters"
            ),
        ));
    }
    Ok(())
}
