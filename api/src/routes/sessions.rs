//! Sign-in links. The product backend asks for one when a person opens the pages of this product.

use std::time::Duration;

use axum::{extract::State, http::StatusCode, response::Response};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::{
    domain::audit_event::{AuditAction, NewAuditEvent},
    vault,
};
use utoipa::ToSchema;
use uuid::Uuid;

use super::NoQuery;
use crate::{
    Api,
    caller::{CallerActor, CallerTenant},
    error::ApiError,
    extract::{JsonBody, Params},
    idempotency::Repeatable,
    pages::{self, return_to},
};

/// The person opens the link at once, so it is short-lived.
const LINK_LIFE: Duration = Duration::from_secs(10 * 60);

/// A sign-in link to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSession {
    /// The page that the link leads to: its path, and a query if it has one.
    #[schema(
        max_length = 500,
        pattern = r"^/(integrations|contacts|companies|conversations)(/[A-Za-z0-9_-]+)*(\?[A-Za-z0-9_.~=&%+,:-]*)?$",
        example = "/integrations",
        default = "/integrations"
    )]
    return_to: Option<String>,
}

/// A link that signs a browser in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SignInLink)]
pub(crate) struct SignInLinkView {
    /// Opens a page with one button, which signs in. It works once, in one browser.
    #[schema(format = "uri")]
    url: String,
    /// When the link expires. The session that it starts lasts for twelve hours.
    expires_at: DateTime<Utc>,
}

/// Make a sign-in link
///
/// Send the browser of a person there who may see the tenant's contacts and manage its integrations. The link works once, for ten minutes. Its
/// page has one button, and only a press of it signs in, so that previews and link scanners spend nothing.
#[utoipa::path(
    post,
    path = "/v1/sessions",
    operation_id = "create_session",
    tag = "Sessions",
    request_body(content = NewSession, description = "May be left out, for the page of integrations."),
    responses((status = 201, description = "The link.", body = SignInLinkView)),
)]
pub(crate) async fn create(
    State(api): State<Api>,
    CallerTenant(tenant): CallerTenant,
    CallerActor(actor): CallerActor,
    repeatable: Repeatable,
    _: Params<NoQuery>,
    JsonBody(new): JsonBody<NewSession>,
) -> Result<Response, ApiError> {
    let target = new.return_to.as_deref().unwrap_or(return_to::DEFAULT);
    if !return_to::is_page(target) {
        return Err(ApiError::invalid(
            "return_to",
            "must be the path of a page, such as `/integrations` or `/contacts`, of at most 500 characters and without a host",
        ));
    }
    let link = vault::random_token().map_err(|_| ApiError::internal())?;
    let (id, digest) = (Uuid::now_v7(), vault::sha256(link.expose().as_bytes()));
    let mut tx = api.store.begin(tenant).await?;
    let expires_at = tx
        .create_sign_in_link(id, &digest, target, LINK_LIFE)
        .await?;
    let event = NewAuditEvent::new(actor, AuditAction::SignInLinkCreated, id);
    tx.add_audit_event(event).await?;
    let view = SignInLinkView {
        url: pages::sign_in_url(&api.config.public_url, &link),
        expires_at,
    };
    repeatable.commit(tx, StatusCode::CREATED, &view).await
}
