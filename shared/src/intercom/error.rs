//! How a call can fail, and what each refusal means here.

use std::time::Instant;

use super::wire;

/// Why a call gave no usable response.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No call was made, because our share of the window is spent or the workspace's circuit breaker is
    /// open. Or a call was made, and other responses took all the memory that this process has for them.
    #[error("the rate budget is spent until the window resets")]
    Exhausted { until: Instant },
    /// 429: Intercom asks us to wait. Costs no attempt.
    #[error("intercom asked us to wait")]
    Throttled { until: Instant },
    /// 5xx, a time-out, a cut connection, or a response that is not what the endpoint gives. That
    /// includes every status without Intercom's error list, because a proxy or a firewall sent it. A
    /// later try helps. It is never taken for data or for the end of data.
    #[error("intercom is unavailable: {0}")]
    Unavailable(String),
    /// The response is larger than this many bytes, and nothing of it is kept. A page of fewer records
    /// fits. The same page does not fit later either.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// Intercom understood the call and said no, with its own error list.
    #[error("intercom refused the call of {endpoint}: {refusal:?} ({status} {code})")]
    Refused {
        status: u16,
        code: String,
        refusal: Refusal,
        /// The operation's name, as metrics have it.
        endpoint: &'static str,
    },
    /// The [`Gate`](super::Gate) is closed, so the call was not made.
    #[error("the connection has ended, or another worker has the slice: no call was made")]
    Closed,
    /// The id is not one of Intercom's, so it must not become part of a path.
    #[error("{0:?} is not an id of intercom's")]
    BadId(String),
}

/// What a refusal means here, by the error code table and the HTTP pages of Intercom's reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 401: the token is revoked, expired or unknown. `/me` must confirm it before it is believed.
    Unauthorized,
    /// 401 `token_blocked`, `token_suspended`: the whole app is stopped.
    AppSuspended,
    /// 401 `token_unauthorized`, 403 `forbidden`, `action_forbidden`: this app may not read this.
    MissingScope,
    /// 402, 403 `api_plan_restricted`: the workspace's plan has no such data.
    PlanRestricted,
    /// 404: no such object. At some endpoints a dead cursor.
    NotFound,
    /// 410 `contact_merged`: the contact was merged into this one.
    Merged { into: Option<String> },
    /// 400 `scroll_exists`: another app, or another scroll of ours, reads this workspace's companies.
    ScrollExists,
    /// 400 `intercom_version_invalid`: the pinned version has no such endpoint.
    NotInVersion,
    /// Any other 4xx: our call is wrong, and a repetition does not help.
    BadRequest,
}

impl Error {
    /// The error of a non-2xx response of an endpoint. `link` is the `Link` header, which names the
    /// contact that a merged one became part of.
    pub(super) fn from_response(
        status: u16,
        body: &[u8],
        link: Option<&str>,
        endpoint: &'static str,
    ) -> Self {
        // 429 asks to wait, so it is no refusal either.
        if !(400..500).contains(&status) || matches!(status, 408 | 429) {
            return Self::Unavailable(format!("status {status}"));
        }
        match wire::error_code(body) {
            Some(code) => Self::refused(status, code, link, endpoint),
            None => Self::not_intercoms(status),
        }
    }

    /// A response between Intercom and us. It says nothing about the workspace, whatever its status.
    pub(super) fn not_intercoms(status: u16) -> Self {
        Self::Unavailable(format!(
            "status {status} without intercom's error list, so a proxy may have sent it"
        ))
    }

    /// What a code of Intercom's means.
    pub(super) fn refused(
        status: u16,
        code: String,
        link: Option<&str>,
        endpoint: &'static str,
    ) -> Self {
        let refusal = match (status, code.as_str()) {
            (401, "token_unauthorized") | (403, _) if code != "api_plan_restricted" => {
                Refusal::MissingScope
            }
            (401, "token_blocked" | "token_suspended") => Refusal::AppSuspended,
            (401, _) => Refusal::Unauthorized,
            (402, _) | (403, "api_plan_restricted") => Refusal::PlanRestricted,
            (404, _) => Refusal::NotFound,
            (410, _) => Refusal::Merged {
                into: link.and_then(wire::survivor),
            },
            (400, "scroll_exists") => Refusal::ScrollExists,
            (400, "intercom_version_invalid") => Refusal::NotInVersion,
            _ => Refusal::BadRequest,
        };
        Self::Refused {
            status,
            code,
            refusal,
            endpoint,
        }
    }

    /// The refusal, if it is one.
    #[must_use]
    pub const fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal),
            _ => None,
        }
    }

    /// Whether Intercom says that the object is deleted, or merged into another.
    #[must_use]
    pub const fn is_gone(&self) -> bool {
        matches!(
            self.refusal(),
            Some(Refusal::NotFound | Refusal::Merged { .. })
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, code: &str) -> Refusal {
        let body =
            format!(r#"{{"type":"error.list","errors":[{{"code":"{code}","message":"m"}}]}}"#);
        match Error::from_response(status, body.as_bytes(), None, "me") {
            Error::Refused { refusal, .. } => refusal,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_scope_is_not_a_dead_token_and_a_plan_is_not_a_scope() {
        assert_eq!(refusal(401, "token_unauthorized"), Refusal::MissingScope);
        assert_eq!(refusal(401, "unauthorized"), Refusal::Unauthorized);
        assert_eq!(refusal(401, "token_revoked"), Refusal::Unauthorized);
        assert_eq!(refusal(401, "token_suspended"), Refusal::AppSuspended);
        assert_eq!(refusal(403, "forbidden"), Refusal::MissingScope);
        assert_eq!(refusal(403, "api_plan_restricted"), Refusal::PlanRestricted);
        assert_eq!(refusal(402, "anything"), Refusal::PlanRestricted);
        assert_eq!(refusal(400, "scroll_exists"), Refusal::ScrollExists);
        assert_eq!(refusal(422, "parameter_invalid"), Refusal::BadRequest);
    }

    #[test]
    fn a_server_error_is_never_a_refusal_whatever_its_body() {
        let list = br#"{"type":"error.list","errors":[{"code":"token_revoked"}]}"#;
        for status in [301, 302, 408, 429, 500, 502, 503, 504] {
            assert!(matches!(
                Error::from_response(status, list, None, "me"),
                Error::Unavailable(_)
            ));
        }
    }

    #[test]
    fn a_page_of_a_proxy_is_an_outage_whatever_its_status() {
        let bodies: [&[u8]; 4] = [b"<html>", b"", b"{}", br#"{"error":"forbidden"}"#];
        for status in [302, 400, 401, 402, 403, 404, 407, 410, 418, 422, 451, 503] {
            for body in bodies {
                let error = Error::from_response(status, body, None, "me");
                assert!(
                    matches!(error, Error::Unavailable(_)) && !error.is_gone(),
                    "{status}"
                );
            }
        }
    }

    #[test]
    fn a_merged_contact_names_its_survivor() {
        let error = Error::from_response(
            410,
            br#"{"type":"error.list","errors":[{"code":"contact_merged"}]}"#,
            Some("</contacts/6762f0dd>; rel=\"canonical\""),
            "contact",
        );
        assert_eq!(
            error.refusal(),
            Some(&Refusal::Merged {
                into: Some("6762f0dd".to_owned())
            })
        );
    }
}
