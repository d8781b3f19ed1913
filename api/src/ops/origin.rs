//! Whose action a call is.

use axum::{extract::FromRequestParts, http::request::Parts};
use shared::{
    domain::{BadOperatorName, OperatorName},
    store::{ActionOrigin, OperatorChannel},
};

use crate::error::ApiError;

/// The header in which a program says for which operator it acts. It may be left out.
pub const OPERATOR_HEADER: &str = "pathbound-operator";

/// The origin of a call with a key: the name in the header, in UTF-8.
#[derive(Debug)]
pub(super) struct KeyOrigin(pub(super) ActionOrigin);

impl<S: Sync> FromRequestParts<S> for KeyOrigin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let operator = match parts.headers.get(OPERATOR_HEADER) {
            Some(value) => Some(name(value.as_bytes())?),
            None => None,
        };
        Ok(Self(ActionOrigin {
            channel: OperatorChannel::Key,
            operator,
        }))
    }
}

fn name(value: &[u8]) -> Result<OperatorName, ApiError> {
    let text = String::from_utf8_lossy(value);
    text.parse()
        .map_err(|fault: BadOperatorName| ApiError::invalid(OPERATOR_HEADER, fault.to_string()))
}
