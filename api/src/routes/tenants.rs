//! Tenants. The product backend creates them.

use axum::{Json, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::domain::TenantId;
use utoipa::ToSchema;

use super::NoQuery;
use crate::{
    Api,
    error::ApiError,
    extract::{JsonBody, Params},
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
    _: Params<NoQuery>,
    JsonBody(new): JsonBody<NewTenant>,
) -> Result<(StatusCode, Json<TenantView>), ApiError> {
    check_name(&new.name)?;
    let tenant = api.store.create_tenant(&new.name).await?;
    let view = TenantView {
        id: tenant.id,
        name: tenant.name,
        created_at: tenant.created_at,
    };
    Ok((StatusCode::CREATED, Json(view)))
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
