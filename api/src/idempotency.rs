//! `Idempotency-Key` on any POST: a repeated call is answered, not carried out again.
//!
//! A key is good for 24 hours, one route and one body. The answer is kept sealed, because it may hold
//! a new key's secret. Failures of our own (5xx) are not kept: a repeat runs.

use std::panic::AssertUnwindSafe;

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::FutureExt;
use serde::{Deserialize, Serialize};
use shared::{
    domain::TenantId,
    store::Claim,
    vault::{self, SealContext},
};

use crate::{
    Api, BODY_LIMIT,
    error::{ApiError, Problem},
};

const KEY_HEADER: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const LONGEST_KEY: usize = 255;

/// Carries a request out, at most once if it brings a key.
pub(crate) async fn once(
    api: &Api,
    tenant: TenantId,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let Some(key) = request
        .headers()
        .get(KEY_HEADER)
        .filter(|_| request.method() == Method::POST)
    else {
        return Ok(next.run(request).await);
    };
    if key.is_empty() || key.len() > LONGEST_KEY || key.to_str().is_err() {
        return Err(ApiError::invalid(
            "Idempotency-Key",
            "must be 1 to 255 visible ASCII characters",
        ));
    }
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, BODY_LIMIT)
        .await
        .map_err(|_| ApiError::too_large())?;
    let key = Key {
        api: api.clone(),
        tenant,
        // The path with its ids: an equal body for another object is another call.
        route: format!("POST {}", parts.uri.path()),
        sha256: vault::sha256(parts.headers[KEY_HEADER].as_bytes()),
    };

    let mut tx = api.store.begin(tenant).await?;
    let claim = tx
        .claim_idempotency_key(&key.route, &key.sha256, &vault::sha256(&body))
        .await?;
    tx.commit().await?;
    match claim {
        Claim::Answered { status, sealed } => key.replay(status, &sealed),
        Claim::InProgress => Err(ApiError::idempotency_in_progress()),
        Claim::Reused => Err(ApiError::idempotency_key_reused()),
        // In a task of its own: a client that hangs up does not leave the call half recorded.
        Claim::Granted => tokio::spawn(async move {
            let run = AssertUnwindSafe(next.run(Request::from_parts(parts, Body::from(body))));
            // A panic is a failure of ours like any other: the key is given back.
            let response = run
                .catch_unwind()
                .await
                .unwrap_or_else(|_| ApiError::internal().into_response());
            key.keep(response).await
        })
        .await
        .unwrap_or_else(|_| Err(ApiError::internal())),
    }
}

/// One key of one tenant for one route.
struct Key {
    api: Api,
    tenant: TenantId,
    route: String,
    sha256: [u8; 32],
}

/// An answer as it is kept.
#[derive(Serialize, Deserialize)]
enum Kept {
    Json(String),
    Problem(Box<Problem>),
    Empty,
}

impl Key {
    async fn keep(self, response: Response) -> Result<Response, ApiError> {
        let status = response.status();
        let mut tx = self.api.store.begin(self.tenant).await?;
        if status.is_server_error() {
            tx.release_idempotency_key(&self.route, &self.sha256)
                .await?;
            tx.commit().await?;
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX)
            .await
            .map_err(|_| ApiError::internal())?;
        let kept = match parts.extensions.get::<Problem>() {
            Some(problem) => Kept::Problem(Box::new(problem.clone())),
            None if body.is_empty() => Kept::Empty,
            None => Kept::Json(String::from_utf8_lossy(&body).into_owned()),
        };
        let plain = serde_json::to_vec(&kept).map_err(|_| ApiError::internal())?;
        let sealed = self
            .api
            .vault
            .seal(&self.place(), &plain)
            .map_err(|_| ApiError::internal())?;
        tx.answer_idempotency_key(&self.route, &self.sha256, status.as_u16(), &sealed)
            .await?;
        tx.commit().await?;
        Ok(Response::from_parts(parts, Body::from(body)))
    }

    fn replay(&self, status: u16, sealed: &[u8]) -> Result<Response, ApiError> {
        let plain = self
            .api
            .vault
            .open(&self.place(), sealed)
            .map_err(|error| {
                tracing::error!(%error, "a kept answer cannot be opened");
                ApiError::internal()
            })?;
        let kept = serde_json::from_slice(&plain).map_err(|_| ApiError::internal())?;
        let status = StatusCode::from_u16(status).map_err(|_| ApiError::internal())?;
        let mut response = match kept {
            Kept::Problem(problem) => ApiError::from(*problem).into_response(),
            Kept::Empty => status.into_response(),
            Kept::Json(body) => (
                status,
                [(header::CONTENT_TYPE, "application/json")],
                Bytes::from(body),
            )
                .into_response(),
        };
        response
            .headers_mut()
            .insert(REPLAYED, HeaderValue::from_static("true"));
        Ok(response)
    }

    fn place(&self) -> SealContext {
        SealContext::response(self.tenant, &self.route)
    }
}
