//! Tenants. The product backend creates them.

use axum::{Json, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::domain::TenantId;

use crate::{Api, error::ApiError, extract::JsonBody};

const MAX_NAME_CHARACTERS: usize = 200;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTenant {
    name: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct TenantView {
    id: TenantId,
    name: String,
    created_at: DateTime<Utc>,
}

/// `POST /v1/tenants {name}`
pub(crate) async fn create(
    State(api): State<Api>,
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
    if name.trim().is_empty() || length > MAX_NAME_CHARACTERS {
        return Err(ApiError::invalid(
            "name",
            format!("must have 1 to {MAX_NAME_CHARACTERS} characters"),
        ));
    }
    Ok(())
}
