//! `Idempotency-Key` on any POST: a repeated call gets the first answer and is not carried out again.
//!
//! A key is valid for 24 hours, one route and one body. The answer is stored sealed, because it may
//! hold the secret of a new key. A failure of ours (5xx) is not stored, so a repeat runs.
//!
//! A handler commits its effect with [`Repeatable::commit`], which stores the answer in the same transaction. A crash
//! then leaves both or neither, and a repeat never does the same again.

use std::{panic::AssertUnwindSafe, sync::Arc};

use axum::{
    body::{Body, to_bytes},
    extract::{FromRequestParts, Request},
    http::{HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::FutureExt;
use serde::{Deserialize, Serialize};
use shared::{
    domain::TenantId,
    store::{Claim, Tx, roles::AnswersCalls},
    vault::{self, SealContext},
};
use tracing::Instrument;

use crate::{
    Api,
    error::{ApiError, Problem},
};

const KEY_HEADER: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const MAX_KEY_LENGTH: usize = 255;

/// Carries a request out, at most once if it brings a key.
pub(crate) async fn once(
    api: &Api,
    tenant: TenantId,
    body_limit: usize,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let Some(key) = key_of(&request)? else {
        return Ok(next.run(request).await);
    };
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, body_limit)
        .await
        .map_err(|_| ApiError::too_large())?;
    let key = Arc::new(Key {
        api: api.clone(),
        tenant,
        // The path with its ids, because an equal body for another object is another call.
        route: format!("POST {}", parts.uri.path()),
        sha256: vault::sha256(key.as_bytes()),
    });
    match key.claim(&body).await? {
        Claim::Answered { status, sealed } => key.replay(status, &sealed),
        Claim::InProgress => Err(ApiError::idempotency_in_progress()),
        Claim::Reused => Err(ApiError::idempotency_key_reused()),
        Claim::Granted => {
            let mut request = Request::from_parts(parts, Body::from(body));
            request.extensions_mut().insert(Arc::clone(&key));
            // A task of its own, so that a client that hangs up does not leave a call half recorded.
            let run = tokio::spawn(key.run(request, next).in_current_span());
            run.await.unwrap_or_else(|_| Err(ApiError::internal()))
        }
    }
}

/// The request's key. `None` if the request has none or is no POST.
fn key_of(request: &Request) -> Result<Option<HeaderValue>, ApiError> {
    let key = request.headers().get(KEY_HEADER);
    let Some(key) = key.filter(|_| request.method() == Method::POST) else {
        return Ok(None);
    };
    let is_visible = key.as_bytes().iter().all(u8::is_ascii_graphic);
    if key.is_empty() || key.len() > MAX_KEY_LENGTH || !is_visible {
        return Err(ApiError::invalid(
            "Idempotency-Key",
            format!("must be 1 to {MAX_KEY_LENGTH} visible ASCII characters"),
        ));
    }
    Ok(Some(key.clone()))
}

/// The way to commit what a POST does, so that a repeat finds its answer.
#[derive(Debug)]
pub(crate) struct Repeatable(Option<Arc<Key>>);

/// The answer is stored already.
#[derive(Clone, Copy, Debug)]
struct Stored;

impl Repeatable {
    /// Commits the effect together with the answer, and returns the answer.
    ///
    /// # Errors
    /// If Postgres refuses. Then there is neither.
    pub(crate) async fn commit<R: AnswersCalls>(
        self,
        mut tx: Tx<R>,
        status: StatusCode,
        view: &impl Serialize,
    ) -> Result<Response, ApiError> {
        let body = serde_json::to_string(view).map_err(|_| ApiError::internal())?;
        let is_keyed = self.0.is_some();
        if let Some(key) = self.0 {
            key.store(&mut tx, status, &Kept::Json(body.clone()))
                .await?;
        }
        tx.commit().await?;
        let kind = [(header::CONTENT_TYPE, "application/json")];
        let mut response = (status, kind, body).into_response();
        if is_keyed {
            response.extensions_mut().insert(Stored);
        }
        Ok(response)
    }
}

impl<S: Sync> FromRequestParts<S> for Repeatable {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(Self(parts.extensions.get::<Arc<Key>>().cloned()))
    }
}

/// One key of one tenant for one route.
#[derive(Debug)]
struct Key {
    api: Api,
    tenant: TenantId,
    route: String,
    sha256: [u8; 32],
}

/// An answer as it is stored.
#[derive(Serialize, Deserialize)]
enum Kept {
    Json(String),
    Problem(Box<Problem>),
    Empty,
}

impl Key {
    /// Claims the key in a transaction of its own. A second request with the key then finds it claimed
    /// and does not wait for the first.
    async fn claim(&self, body: &[u8]) -> Result<Claim, ApiError> {
        let mut tx = self.api.store.begin(self.tenant).await?;
        let claim = tx
            .claim_idempotency_key(&self.route, &self.sha256, &vault::sha256(body))
            .await?;
        tx.commit().await?;
        Ok(claim)
    }

    async fn run(self: Arc<Self>, request: Request, next: Next) -> Result<Response, ApiError> {
        let response = AssertUnwindSafe(next.run(request)).catch_unwind().await;
        // A panic releases the key like any other failure of ours. Without this the key would stay
        // claimed and every repeat would be refused.
        let response = response.unwrap_or_else(|_| ApiError::internal().into_response());
        self.keep(response).await
    }

    /// Stores an answer that no transaction of the call has stored: a problem, or that of a call whose effect may
    /// happen twice.
    async fn keep(&self, response: Response) -> Result<Response, ApiError> {
        if response.extensions().get::<Stored>().is_some() {
            return Ok(response);
        }
        let status = response.status();
        let mut tx = self.api.store.begin(self.tenant).await?;
        // A failure of ours may pass, so the same key may try again.
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
        self.store(&mut tx, status, &kept).await?;
        tx.commit().await?;
        Ok(Response::from_parts(parts, Body::from(body)))
    }

    async fn store<R: AnswersCalls>(
        &self,
        tx: &mut Tx<R>,
        status: StatusCode,
        kept: &Kept,
    ) -> Result<(), ApiError> {
        let plain = serde_json::to_vec(kept).map_err(|_| ApiError::internal())?;
        let sealed = self
            .api
            .vault
            .seal(&self.seal_context(), &plain)
            .map_err(|_| ApiError::internal())?;
        tx.answer_idempotency_key(&self.route, &self.sha256, status.as_u16(), &sealed)
            .await?;
        Ok(())
    }

    fn replay(&self, status: u16, sealed: &[u8]) -> Result<Response, ApiError> {
        let plain = self
            .api
            .vault
            .open(&self.seal_context(), sealed)
            .map_err(|error| {
                tracing::error!(%error, "a stored answer cannot be opened");
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

    fn seal_context(&self) -> SealContext {
        SealContext::response(self.tenant, &self.route)
    }
}
