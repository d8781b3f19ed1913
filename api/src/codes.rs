//! The codes of problems: a closed set. Each has one status and a page of its own under `/docs/problems/`.
//!
//! Clients decide by a code, so none is renamed or given another status.

use std::fmt;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

/// Where the page of a problem is. A problem's `type` is this path with its code.
pub(crate) const PAGES: &str = "/docs/problems";

/// Declares the codes with their meanings.
macro_rules! codes {
    ($($name:ident = $text:literal, $status:ident: $happened:literal, $next_step:literal;)+) => {
        /// What kind of problem it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Code {
            $(#[doc = $happened] #[serde(rename = $text)] $name,)+
        }

        impl Code {
            /// Every code, in the order of the statuses.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The code as it is sent.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }

            /// The status of every problem with this code.
            pub(crate) const fn status(self) -> StatusCode {
                match self {
                    $(Self::$name => StatusCode::$status,)+
                }
            }

            /// What happened, for the problem's page.
            pub(crate) const fn happened(self) -> &'static str {
                match self {
                    $(Self::$name => $happened,)+
                }
            }

            /// What to do, for the problem's page.
            pub(crate) const fn next_step(self) -> &'static str {
                match self {
                    $(Self::$name => $next_step,)+
                }
            }
        }
    };
}

codes! {
    InvalidRequest = "invalid_request", BAD_REQUEST:
        "A parameter, a header or the body of the request is not as the description has it.",
        "Look at `errors`. Each entry names a field and what it must be. Correct them all and send the request again.";
    InvalidCursor = "invalid_cursor", BAD_REQUEST:
        "The cursor was made for another list, other filters or another tenant, or it was changed.",
        "Read the list from its start, without a cursor, and send each `next_cursor` back as it came.";
    TenantRequired = "tenant_required", BAD_REQUEST:
        "The service key acts for any tenant, and the request names none.",
        "Send the tenant's id in the header `Pathbound-Tenant`.";
    TenantNotAllowed = "tenant_not_allowed", BAD_REQUEST:
        "A tenant key belongs to one tenant, and the request names a tenant as well.",
        "Leave out the header `Pathbound-Tenant`.";
    Unauthorized = "unauthorized", UNAUTHORIZED:
        "The request has no key, or one that is unknown, revoked or expired. At `/mcp` it may also have a token that is not accepted.",
        "Send a valid key as `Authorization: Bearer <key>`. A lost key cannot be shown again, so make a new one. In place of a token, sign in again.";
    MissingScope = "missing_scope", FORBIDDEN:
        "The tenant key or token is valid, and its scopes do not include the one that this call needs.",
        "Make a key with the scope that `detail` names. The scopes of a key cannot be changed. With a token, sign in again and allow the scope.";
    ServiceKeyRequired = "service_key_required", FORBIDDEN:
        "Only the product backend may make this call, and the request has a tenant key.",
        "Make the call with the service key.";
    OperatorKeyRequired = "operator_key_required", FORBIDDEN:
        "The call to the ops listener changes something, and it has the viewer key, which only reads.",
        "Make the call with the operator key.";
    HostNotAllowed = "host_not_allowed", FORBIDDEN:
        "The header `Host` names a host that is not the server's, so a web page may have sent the request under a name of its own.",
        "Use the address of the API that you were given, or ask its operators to add the host that you use to `mcp_hosts`.";
    OriginNotAllowed = "origin_not_allowed", FORBIDDEN:
        "A web page sent the request, and its origin may not call this path.",
        "Call it from a program, or ask the operators to add the origin to `cors_origins`.";
    NotFound = "not_found", NOT_FOUND:
        "The path is not one of the API, or the tenant has no object with this id.",
        "Check the path and the id. An id of another tenant looks like one that was never given out.";
    TenantNotFound = "tenant_not_found", NOT_FOUND:
        "The header `Pathbound-Tenant` names no tenant.",
        "Check the id. `POST /v1/tenants` gives it when it creates a tenant.";
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED:
        "The path exists, and it does not support the method of the request.",
        "Use one of the methods in the header `Allow`.";
    RunAlreadyActive = "run_already_active", CONFLICT:
        "A run with the same mode and streams has not finished, so no second one was queued.",
        "Follow the run that `run` shows. It does what was asked for.";
    ConnectionNotActive = "connection_not_active", CONFLICT:
        "The connection does not sync, so no run can be requested.",
        "Read the connection. Its `state` and `error` say why, and what the customer has to do.";
    SourceBeingRemoved = "source_being_removed", CONFLICT:
        "What the source has sent is being deleted, so it takes no records.",
        "Wait as long as `Retry-After` says and send the same request again. `GET /v1/sources` shows when it is done.";
    IdempotencyInProgress = "idempotency_in_progress", CONFLICT:
        "An earlier request with the same `Idempotency-Key` has not been answered yet.",
        "Wait as long as `Retry-After` says and send the same request again. It gets the first answer.";
    PayloadTooLarge = "payload_too_large", PAYLOAD_TOO_LARGE:
        "The body of the request is larger than 256 KiB, or than 8 MiB if it has records.",
        "Send less at once.";
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE:
        "The `Content-Type` of the request says that its body is not JSON.",
        "Send JSON, with `Content-Type: application/json`.";
    IdempotencyKeyReused = "idempotency_key_reused", UNPROCESSABLE_ENTITY:
        "The `Idempotency-Key` was used within the last day for a request with another body.",
        "Use a new key for a new request, and the same body for a repeat.";
    RateLimited = "rate_limited", TOO_MANY_REQUESTS:
        "The key has made more requests than its limit allows. The header `RateLimit-Policy` names the limit.",
        "Wait as long as `Retry-After` says. Requests that are answered with 304 do not count, so send `If-None-Match`.";
    Internal = "internal", INTERNAL_SERVER_ERROR:
        "Something failed on our side, and the same request may fail again.",
        "Try again once. If it fails again, report it and quote `instance`, by which the logs are searched.";
    Unavailable = "unavailable", SERVICE_UNAVAILABLE:
        "The service is busy or restarting, or a server behind it does not answer.",
        "Wait as long as `Retry-After` says and send the same request again. With an `Idempotency-Key` a POST is carried out at most once.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Code {
    /// The code with this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == name)
    }

    /// `invalid_request` → `Invalid request`: the same for every occurrence of a code.
    pub(crate) fn title(self) -> String {
        let mut words = self.as_str().replace('_', " ");
        if let Some(first) = words.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        words
    }

    /// Every code as a table of Markdown, for `deploy/reference/problems.md`.
    #[must_use]
    pub fn table() -> String {
        let mut table =
            "| status | code | what happened | what to do |\n|---|---|---|---|\n".to_owned();
        for code in Self::ALL {
            let (status, happened, next) = (code.status(), code.happened(), code.next_step());
            table += &format!("| {} | `{code}` | {happened} | {next} |\n", status.as_u16());
        }
        table
    }

    /// The URI of its page, which identifies it.
    pub(crate) fn page(self) -> String {
        format!("{PAGES}/{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_status_of_its_own_kind_and_reads_back() {
        assert!(Code::ALL.is_sorted_by_key(|code| code.status()));
        for code in Code::ALL {
            let status = code.status();
            assert!(
                status.is_client_error() || status.is_server_error(),
                "{code}"
            );
            assert_eq!(Code::named(code.as_str()), Some(*code));
            assert_eq!(
                serde_json::to_value(code).unwrap(),
                serde_json::json!(code.as_str())
            );
        }
        assert_eq!(Code::named("no_such_code"), None);
    }

    #[test]
    fn every_page_reads_well() {
        let pages: Vec<String> = Code::ALL
            .iter()
            .map(|code| {
                format!(
                    "{} {}\n    {}\n    {}\n",
                    code.status().as_u16(),
                    code.title(),
                    code.happened(),
                    code.next_step()
                )
            })
            .collect();
        insta::assert_snapshot!(pages.concat());
    }
}
