//! The pages that a browser sees if a connection could not be made.

use std::fmt;

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use shared::sync::connect::ConnectError;

/// The style of every page.
pub(super) const STYLE: &str =
    "body{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:15vh auto;padding:0 1rem}";

/// The page for an error: what happened in our words, and the code for programs.
pub(super) fn error_page(error: &ConnectError) -> Response {
    let (status, page) = ErrorPage::of(error);
    if status.is_server_error() {
        tracing::error!(
            error = error as &dyn std::error::Error,
            code = page.code,
            "connecting failed"
        );
    } else {
        tracing::info!(code = page.code, "connecting failed");
    }
    html(status, "'none'", page.to_string())
}

/// Sends HTML that may load, frame and refer to nothing, so that the code and the state go no further than this page.
/// Its forms may lead to `form_action` only.
pub(super) fn html(status: StatusCode, form_action: &str, html: String) -> Response {
    let policy = format!(
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action {form_action}; frame-ancestors 'none'"
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    (status, headers, html).into_response()
}

struct ErrorPage {
    code: &'static str,
    title: &'static str,
    text: &'static str,
}

impl ErrorPage {
    fn of(error: &ConnectError) -> (StatusCode, Self) {
        let (title, text) = sentences(error);
        let code = error.code();
        (status(error), Self { code, title, text })
    }
}

const fn status(error: &ConnectError) -> StatusCode {
    match error {
        ConnectError::StartUnknown
        | ConnectError::StateUnknown
        | ConnectError::StateUsed
        | ConnectError::StateExpired
        | ConnectError::Denied => StatusCode::BAD_REQUEST,
        ConnectError::SessionMismatch => StatusCode::FORBIDDEN,
        ConnectError::ExchangeFailed(_) | ConnectError::TokenRefused(_) => StatusCode::BAD_GATEWAY,
        ConnectError::PurgeUnderWay | ConnectError::Unavailable(_) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        ConnectError::Store(_) | ConnectError::Seal(_) | ConnectError::Random => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

/// The title and the text of the page.
const fn sentences(error: &ConnectError) -> (&'static str, &'static str) {
    match error {
        ConnectError::StartUnknown => (
            "This link no longer works",
            "It was already used, or it is older than ten minutes.",
        ),
        // A customer can do the same about both: start again.
        ConnectError::StateUnknown | ConnectError::StateUsed => (
            "This step was already done",
            "An attempt to connect can be finished only once.",
        ),
        ConnectError::StateExpired => (
            "This took too long",
            "An attempt to connect is valid for ten minutes.",
        ),
        ConnectError::SessionMismatch => (
            "This browser did not start the connection",
            "Start and finish in the same browser, with cookies allowed. Nothing was connected.",
        ),
        ConnectError::Denied => (
            "Intercom was not connected",
            "Intercom did not give us access. Nothing was changed.",
        ),
        ConnectError::ExchangeFailed(_) => (
            "Intercom did not accept the connection",
            "Its approval was no longer valid.",
        ),
        ConnectError::TokenRefused(_) => (
            "Intercom did not tell us which workspace this is",
            "Our app may lack the permission to read admins.",
        ),
        ConnectError::PurgeUnderWay => (
            "This workspace is still being disconnected",
            "Its earlier data is being deleted. Try again in a few minutes.",
        ),
        ConnectError::Unavailable(_) => {
            ("Intercom cannot be reached", "Try again in a few minutes.")
        }
        ConnectError::Store(_) | ConnectError::Seal(_) | ConnectError::Random => (
            "Something went wrong on our side",
            "Try again in a few minutes.",
        ),
    }
}

impl fmt::Display for ErrorPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, title, text } = self;
        write!(
            f,
            r#"<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>{STYLE}</style></head>
<body data-code="{code}">
<h1>{title}</h1>
<p>{text}</p>
<p>Go back to where you started and connect Intercom again.</p>
</body>
</html>
"#
        )
    }
}

#[cfg(test)]
mod tests {
    use shared::intercom::Error;

    use super::*;

    #[test]
    fn every_page_reads_well() {
        let cause = || Error::Unavailable("status 503".to_owned());
        let errors = [
            ConnectError::StartUnknown,
            ConnectError::StateUnknown,
            ConnectError::StateUsed,
            ConnectError::StateExpired,
            ConnectError::SessionMismatch,
            ConnectError::Denied,
            ConnectError::ExchangeFailed(cause()),
            ConnectError::TokenRefused(cause()),
            ConnectError::PurgeUnderWay,
            ConnectError::Unavailable(cause()),
            ConnectError::Random,
        ];
        let lines = errors.map(|error| {
            let (status, page) = ErrorPage::of(&error);
            let ErrorPage { code, title, text } = page;
            format!("{} {code}\n    {title}\n    {text}\n", status.as_u16())
        });
        let (_, page) = ErrorPage::of(&ConnectError::Denied);
        insta::assert_snapshot!(format!("{}\n{page}", lines.concat()));
    }
}
