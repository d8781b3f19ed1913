//! Pages that say why something was not done.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use shared::domain::BadOperatorName;

use crate::{error::ApiError, pages::notice_page};

/// Why a page was not shown, or a form not carried out.
#[derive(Debug)]
pub(super) enum Refused {
    SignedOut,
    /// The key that was typed is not the operator key.
    WrongKey,
    /// The name that was typed is none.
    Name(BadOperatorName),
    /// Too many keys were tried within a minute.
    TooManyKeys,
    Origin {
        header: &'static str,
        expected: String,
        got: String,
    },
    /// The form does not carry the token of the browser's session.
    Form,
    /// The browser is signed in with the viewer key, and the form would change something.
    Viewer,
    Failed(ApiError),
}

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        Self::Failed(error)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::SignedOut => sign_in(StatusCode::UNAUTHORIZED, "sign_in_required", None),
            Self::WrongKey => {
                let sentence = "This is not a key of this listener. Nothing was done.";
                sign_in(StatusCode::FORBIDDEN, "wrong_key", Some(sentence))
            }
            Self::Name(fault) => {
                let sentence = format!("Your name {fault}. Nothing was done.");
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                sign_in(status, "wrong_name", Some(&sentence))
            }
            Self::TooManyKeys => {
                let sentence = "Too many keys were tried. Wait a minute, and try again.";
                sign_in(
                    StatusCode::TOO_MANY_REQUESTS,
                    "too_many_keys",
                    Some(sentence),
                )
            }
            Self::Origin {
                header,
                expected,
                got,
            } => notice(
                StatusCode::FORBIDDEN,
                "wrong_origin",
                "This form came from another address",
                &html! {
                    p { "Nothing was done, because only pages of this listener may send its forms." }
                    dl {
                        dt { code { (header) } " should be of" } dd { code { bdi { (expected) } } }
                        dt { "and was" } dd { code { bdi { (got) } } }
                    }
                    p { "A proxy in front of this listener must pass the header " code { "Host" } " on as it is." }
                },
            ),
            Self::Form => notice(
                StatusCode::FORBIDDEN,
                "stale_form",
                "This form is out of date",
                &html! {
                    p { "Nothing was done. You may have signed in again since the page was opened." }
                    p { a class="button" href="/ops/" { "Open the overview" } }
                },
            ),
            Self::Viewer => notice(
                StatusCode::FORBIDDEN,
                "viewer",
                "A viewer changes nothing",
                &html! {
                    p { "Nothing was done. You are signed in with the viewer key, which reads everything and changes nothing. Sign out, and \
                         sign in with the operator key." }
                    p { a class="button" href="/ops/" { "Open the overview" } }
                },
            ),
            Self::Failed(error) => failed(error),
        }
    }
}

/// The form that signs a browser in, with what went wrong before.
fn sign_in(status: StatusCode, code: &str, fault: Option<&str>) -> Response {
    let text = html! {
        @if let Some(fault) = fault { p class="banner bad" role="alert" { (fault) } }
        p { "These pages show and change the whole fleet. The key is the value of " code { "PATHBOUND_OPERATOR_KEY" } ", or that of "
            code { "PATHBOUND_VIEWER_KEY" } " to look only." }
        form method="post" action="/ops/sign-in" {
            p {
                label for="key" { "Key" }
                br;
                input id="key" type="password" name="key" autocomplete="current-password" required;
            }
            p {
                label for="operator" { "Your name" }
                br;
                input id="operator" name="operator" autocomplete="username" maxlength="80" aria-describedby="why-name";
                br;
                span id="why-name" class="dim" { "The list of actions shows it, so that others know whom to ask. A viewer needs none." }
            }
            button type="submit" { "Sign in" }
        }
        p class="dim" { "A sign-in lasts for twelve hours, or until the key changes." }
    };
    notice(status, code, "Operations", &text)
}

fn failed(error: ApiError) -> Response {
    let problem = error.into_problem();
    let status = problem.code.status();
    let (code, title) = match status {
        StatusCode::NOT_FOUND => ("not_found", "There is nothing here"),
        StatusCode::SERVICE_UNAVAILABLE => ("unavailable", "A server does not answer"),
        status if status.is_client_error() => ("refused", "This cannot be done"),
        _ => ("internal", "Something went wrong"),
    };
    let text = html! {
        p { (problem.detail) }
        @for error in &problem.errors { p { code { (error.field) } " " (error.detail) } }
        p { a class="button" href="/ops/" { "Open the overview" } }
    };
    notice(status, code, title, &text)
}

pub(super) fn notice(status: StatusCode, code: &str, title: &str, text: &Markup) -> Response {
    notice_page(status, code, title, None, text)
}
