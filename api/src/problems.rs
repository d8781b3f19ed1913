//! Every problem that the API answers with: its code and its sentence.
//!
//! Clients decide by the code (`codes.rs`) and people read the sentence. It says what is wrong and what to do.

use axum::http::StatusCode;
use shared::{authorization::TokenFault, store::ConnectionState};

use crate::{
    caller::KeyScope,
    codes::Code,
    error::{ApiError, FieldError},
};

impl ApiError {
    /// The request has no acceptable key.
    pub(crate) fn unauthorized() -> Self {
        Self::new(
            Code::Unauthorized,
            "The key is missing, unknown, revoked or expired. Send a valid key as `Authorization: \
             Bearer <key>`.",
        )
    }

    /// The authorization server's token has a fault.
    pub(crate) fn token_refused(fault: TokenFault) -> Self {
        Self::new(
            Code::Unauthorized,
            format!("The token {fault}. Sign in again."),
        )
    }

    pub(crate) fn unknown_tenant_of_token() -> Self {
        Self::new(
            Code::Unauthorized,
            "The token names a tenant that does not exist here. Ask the operators of the sign-in to correct it.",
        )
    }

    pub(crate) fn token_lacks_scope(scope: KeyScope) -> Self {
        let detail = format!("The token lacks the scope `{scope}`. Sign in again and allow it.");
        Self::new(Code::MissingScope, detail)
    }

    pub(crate) fn service_key_required() -> Self {
        Self::new(
            Code::ServiceKeyRequired,
            "A tenant key may not make this call. Make it with the service key.",
        )
    }

    /// The viewer key reads only.
    pub(crate) fn operator_key_required() -> Self {
        Self::new(
            Code::OperatorKeyRequired,
            "The viewer key reads and changes nothing. Make this call with the operator key.",
        )
    }

    pub(crate) fn missing_scope(scope: KeyScope) -> Self {
        let detail = format!("The key lacks the scope `{scope}`. Use a key that has it.");
        Self::new(Code::MissingScope, detail)
    }

    pub(crate) fn host_not_allowed() -> Self {
        Self::new(
            Code::HostNotAllowed,
            "The Host header names another host. Use the address of the API that you were given.",
        )
    }

    pub(crate) fn origin_not_allowed() -> Self {
        Self::new(
            Code::OriginNotAllowed,
            "Web pages of this origin may not call this path. Call it from a program.",
        )
    }

    pub(crate) fn tenant_not_allowed() -> Self {
        Self::new(
            Code::TenantNotAllowed,
            "A tenant key already names its tenant. Leave out the Pathbound-Tenant header.",
        )
    }

    pub(crate) fn tenant_required() -> Self {
        Self::new(
            Code::TenantRequired,
            "The service key acts for one tenant. Name it in the Pathbound-Tenant header.",
        )
    }

    pub(crate) fn tenant_not_found() -> Self {
        Self::new(
            Code::TenantNotFound,
            "The Pathbound-Tenant header names no tenant. Check the id.",
        )
    }

    /// Unknown and foreign ids give the same answer, byte for byte, so that an answer never shows
    /// whether another tenant has an object.
    pub(crate) fn not_found() -> Self {
        Self::new(
            Code::NotFound,
            "There is nothing here. Check the path and the id.",
        )
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new(
            Code::MethodNotAllowed,
            "This path does not support the method. The Allow header lists those that it does.",
        )
    }

    /// One field of the request is wrong. `detail` is a fragment that follows the field's name.
    pub(crate) fn invalid(field: &str, detail: impl Into<String>) -> Self {
        Self::invalid_all(vec![FieldError {
            field: field.to_owned(),
            detail: detail.into(),
        }])
    }

    pub(crate) fn invalid_all(errors: Vec<FieldError>) -> Self {
        let detail = match errors.len() {
            1 => "The request has a fault. `errors` names it.",
            _ => "The request has several faults. `errors` names each of them.",
        };
        Self::new(Code::InvalidRequest, detail).with_errors(errors)
    }

    /// The request is refused before a field of it was read.
    pub(crate) fn unreadable() -> Self {
        let detail = "The request cannot be read. Check its headers and its body.";
        Self::new(Code::InvalidRequest, detail)
    }

    /// Postgres cannot store a value of the request: text with a NUL, or a number out of range.
    pub(crate) fn cannot_be_stored() -> Self {
        Self::new(
            Code::InvalidRequest,
            "A value of the request cannot be stored. Remove NUL characters and very large numbers.",
        )
    }

    pub(crate) fn invalid_cursor() -> Self {
        Self::new(
            Code::InvalidCursor,
            "The cursor does not belong to this list with these filters. Start again without one.",
        )
    }

    pub(crate) fn unsupported_media_type() -> Self {
        Self::new(
            Code::UnsupportedMediaType,
            "The body is not JSON. Send it as application/json.",
        )
    }

    pub(crate) fn too_large() -> Self {
        Self::new(
            Code::PayloadTooLarge,
            "The body is too large. Send at most 8 MiB of records at once, and at most 256 KiB of anything else.",
        )
    }

    pub(crate) fn source_being_removed() -> Self {
        Self::new(
            Code::SourceBeingRemoved,
            "What this source sent before is still being deleted. Send the records again in some seconds.",
        )
        .retry_after(5)
    }

    pub(crate) fn idempotency_in_progress() -> Self {
        Self::new(
            Code::IdempotencyInProgress,
            "The first call with this Idempotency-Key has not finished. Try again in a second.",
        )
        .retry_after(1)
    }

    pub(crate) fn idempotency_key_reused() -> Self {
        Self::new(
            Code::IdempotencyKeyReused,
            "This Idempotency-Key was used for another body. Use a new key for a new call.",
        )
    }

    pub(crate) fn connection_not_active(state: ConnectionState) -> Self {
        // A workspace whose app Intercom suspended cannot be connected again until Intercom lifts
        // the suspension, so only the connection itself knows the next step.
        let next_step = match state {
            ConnectionState::Error => "The connection's `error` names the cause and the next step.",
            _ => "Connect the workspace again first.",
        };
        let detail = format!(
            "The connection does not sync, because its state is `{}`. {next_step}",
            state.as_str()
        );
        Self::new(Code::ConnectionNotActive, detail)
    }

    pub(crate) fn run_already_active() -> Self {
        Self::new(
            Code::RunAlreadyActive,
            "An equal run has not finished yet. `run` shows it.",
        )
    }

    /// `wait` is in seconds.
    pub(crate) fn rate_limited(wait: u64) -> Self {
        Self::new(
            Code::RateLimited,
            "The key has made too many requests. Wait as long as `Retry-After` says.",
        )
        .retry_after(wait)
    }

    pub(crate) fn internal() -> Self {
        Self::new(
            Code::Internal,
            "Something failed on our side. Try again, and quote `instance` if you report it.",
        )
    }

    pub(crate) fn unavailable() -> Self {
        Self::new(
            Code::Unavailable,
            "The service is busy or restarting. Try again in a second.",
        )
        .retry_after(1)
    }

    /// The problem for a response that a library made, such as an unknown route.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::not_found(),
            StatusCode::METHOD_NOT_ALLOWED => Self::method_not_allowed(),
            StatusCode::PAYLOAD_TOO_LARGE => Self::too_large(),
            status if status.is_server_error() => Self::internal(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::unsupported_media_type(),
            _ => Self::unreadable(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_reads_well() {
        let field = |name: &str| FieldError {
            field: name.to_owned(),
            detail: "must be 1 to 200".to_owned(),
        };
        let problems = [
            ApiError::unauthorized(),
            ApiError::token_refused(TokenFault::Expired),
            ApiError::unknown_tenant_of_token(),
            ApiError::token_lacks_scope(KeyScope::ProfilesRead),
            ApiError::service_key_required(),
            ApiError::missing_scope(KeyScope::ProfilesRead),
            ApiError::host_not_allowed(),
            ApiError::origin_not_allowed(),
            ApiError::tenant_not_allowed(),
            ApiError::tenant_required(),
            ApiError::tenant_not_found(),
            ApiError::not_found(),
            ApiError::method_not_allowed(),
            ApiError::invalid("limit", "must be 1 to 200"),
            ApiError::invalid_all(vec![field("limit"), field("count")]),
            ApiError::unreadable(),
            ApiError::cannot_be_stored(),
            ApiError::invalid_cursor(),
            ApiError::unsupported_media_type(),
            ApiError::too_large(),
            ApiError::idempotency_in_progress(),
            ApiError::idempotency_key_reused(),
            ApiError::connection_not_active(ConnectionState::ReauthRequired),
            ApiError::connection_not_active(ConnectionState::Error),
            ApiError::run_already_active(),
            ApiError::rate_limited(2),
            ApiError::internal(),
            ApiError::unavailable(),
        ];
        let lines = problems.map(|problem| {
            let problem = problem.into_problem();
            let status = problem.code.status().as_u16();
            format!("{status} {}\n    {}\n", problem.code, problem.detail)
        });
        insta::assert_snapshot!(lines.concat());
    }
}
