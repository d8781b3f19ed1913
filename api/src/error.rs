//! Every error of the API has one form: `application/problem+json` (RFC 9457).
//!
//! `problems.rs` lists the problems. An [`ApiError`] travels as a response extension, and
//! `envelope.rs` writes it out, because the request's id is known only there.

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shared::{store::StoreError, sync::connect::ConnectError, telemetry::Repeats};

use crate::codes::Code;

/// The failures of Postgres while requests were answered. A static, because an error is turned into a problem without any
/// state. Its end is not known here, and readiness tells it.
static STORE_FAILURES: Repeats = Repeats::new();

/// Why a request was refused. The problem is boxed, so that a `Result` stays small.
#[derive(Debug)]
pub(crate) struct ApiError(Box<Problem>);

/// The problem's members, but for those that follow from the code or are known to the envelope alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    pub code: Code,
    /// What went wrong here and what to do about it.
    pub detail: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
    /// Members beside the standard ones.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub more: Map<String, Value>,
}

/// One fault of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// The path in the body or the name in the query, such as `scopes[0]`.
    pub field: String,
    pub detail: String,
}

impl Problem {
    /// The document as it is sent.
    #[must_use]
    pub fn to_json(&self, instance: &str) -> String {
        let mut members = self.more.clone();
        members.insert("type".to_owned(), self.code.page().into());
        members.insert("title".to_owned(), self.code.title().into());
        let status = self.code.status().as_u16();
        members.insert("status".to_owned(), status.into());
        members.insert("detail".to_owned(), self.detail.clone().into());
        members.insert("code".to_owned(), self.code.as_str().into());
        members.insert("instance".to_owned(), instance.into());
        if !self.errors.is_empty() {
            let errors = self
                .errors
                .iter()
                .map(|error| serde_json::json!({"field": error.field, "detail": error.detail}));
            members.insert("errors".to_owned(), errors.collect());
        }
        if let Some(seconds) = self.retry_after_s {
            members.insert("retry_after_s".to_owned(), seconds.into());
        }
        Value::Object(members).to_string()
    }
}

impl ApiError {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self(Box::new(Problem {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after_s: None,
            more: Map::new(),
        }))
    }

    pub(crate) fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.0.errors = errors;
        self
    }

    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    pub(crate) fn with(mut self, more: Map<String, Value>) -> Self {
        self.0.more = more;
        self
    }

    pub(crate) fn is_not_found(&self) -> bool {
        self.0.code == Code::NotFound
    }

    pub(crate) fn into_problem(self) -> Problem {
        *self.0
    }
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if error.is_bad_data() {
            return Self::cannot_be_stored();
        }
        let transient = error.is_transient();
        let cause = &error as &dyn std::error::Error;
        shared::log_failure!(STORE_FAILURES.failed(cause), error, { error = cause, transient }, "the store failed");
        if transient {
            Self::unavailable()
        } else {
            Self::internal()
        }
    }
}

impl From<ConnectError> for ApiError {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Store(error) => error.into(),
            error => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a flow could not be started"
                );
                Self::internal()
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let problem = self.into_problem();
        let status = problem.code.status();
        let mut response = status.into_response();
        let headers = response.headers_mut();
        let mut set = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        if status == StatusCode::UNAUTHORIZED {
            set(header::WWW_AUTHENTICATE, "Bearer");
        }
        if let Some(seconds) = problem.retry_after_s {
            set(header::RETRY_AFTER, &seconds.to_string());
        }
        response.extensions_mut().insert(problem);
        response
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(error: &ApiError) -> Value {
        serde_json::from_str(&error.0.to_json("req-1")).unwrap()
    }

    #[test]
    fn a_problem_has_every_member_of_the_contract() {
        assert_eq!(
            document(&ApiError::invalid("limit", "must be 1 to 200").retry_after(7)),
            json!({
                "type": "/docs/problems/invalid_request",
                "title": "Invalid request",
                "status": 400,
                "detail": "The request has a fault. `errors` names it.",
                "code": "invalid_request",
                "instance": "req-1",
                "errors": [{"field": "limit", "detail": "must be 1 to 200"}],
                "retry_after_s": 7,
            })
        );
    }

    #[test]
    fn more_members_never_hide_the_standard_ones() {
        let more = json!({"id": "r1", "status": "queued"})
            .as_object()
            .unwrap()
            .clone();
        let document = document(&ApiError::new(Code::RunAlreadyActive, "d").with(more));
        assert_eq!(document["id"], "r1");
        assert_eq!(document["status"], 409);
    }

    #[test]
    fn only_a_401_names_the_scheme() {
        let unauthorized = ApiError::unauthorized().into_response();
        assert_eq!(unauthorized.headers()[header::WWW_AUTHENTICATE], "Bearer");
        assert!(
            !ApiError::not_found()
                .into_response()
                .headers()
                .contains_key(header::WWW_AUTHENTICATE)
        );
    }
}
