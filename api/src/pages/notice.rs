//! Pages that say one thing: what happened, and what to do.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use shared::store::{LinkFate, StoreError};

use super::{frame::Page, origin::WrongOrigin, visitor::Visitor};
use crate::error::ApiError;

/// Why a page was not shown, or a form not carried out.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The browser has no session, or one that has ended.
    SignedOut,
    /// The link that a browser has brought. `None` if it is unknown.
    Link(Option<LinkFate>),
    Origin(WrongOrigin),
    /// The form does not carry the token of the browser's session.
    Form,
    NotFound,
    /// The cursor is not of the list that the page shows.
    Cursor,
    /// The form lacks a choice that its page offers.
    Choice,
    /// The connection is stopped, so no run can be asked for.
    NotSyncing,
    Failed(ApiError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        if error.is_not_found() {
            Self::NotFound
        } else {
            Self::Failed(error)
        }
    }
}

/// A page's words.
struct Notice {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    text: Markup,
}

impl Notice {
    fn new(status: StatusCode, code: &'static str, title: &'static str, text: Markup) -> Self {
        Self {
            status,
            code,
            title,
            text,
        }
    }

    fn of(refusal: Refusal) -> Self {
        match refusal {
            Refusal::SignedOut => Self::new(
                StatusCode::UNAUTHORIZED,
                "sign_in_required",
                "You are not signed in here",
                html! {
                    p { "This page has no password of its own. Open it from the product that you use, which signs you in." }
                    p { "A sign-in lasts for twelve hours. If this page worked before, yours has ended." }
                },
            ),
            Refusal::Link(fate) => Self::of_link(fate),
            Refusal::Origin(WrongOrigin {
                header,
                expected,
                got,
            }) => Self::new(
                StatusCode::FORBIDDEN,
                "wrong_origin",
                "This form came from another address",
                html! {
                    p { "Nothing was done, because only pages of this service may send its forms." }
                    dl {
                        dt { code { (header) } " should be" } dd { code { (expected) } }
                        dt { "and was" } dd { code { bdi { (got) } } }
                    }
                    p { "Open the page at the address that this service is configured with, and try again. Its operators set the \
                         address with " code { "PATHBOUND_PUBLIC_URL" } "." }
                },
            ),
            Refusal::Form => Self::new(
                StatusCode::FORBIDDEN,
                "stale_form",
                "This form is out of date",
                html! {
                    p { "Nothing was done. You may have signed in again since the page was opened." }
                    p { a class="button" href="/integrations" { "Open the page again" } }
                },
            ),
            Refusal::NotFound => Self::new(
                StatusCode::NOT_FOUND,
                "not_found",
                "There is nothing here",
                html! {
                    p { "The address is not complete, or what was here is gone." }
                    p {
                        a class="button" href="/contacts" { "Go to the contacts" } " "
                        a class="button quiet" href="/integrations" { "Go to the integrations" }
                    }
                },
            ),
            Refusal::Cursor => Self::new(
                StatusCode::BAD_REQUEST,
                "cursor_unknown",
                "This part of the list is not known",
                html! {
                    p { "The address is not complete, or it is of another list. Begin at the first page." }
                    p { a class="button" href="/contacts" { "Go to the contacts" } }
                },
            ),
            Refusal::Choice => Self::new(
                StatusCode::BAD_REQUEST,
                "choice_missing",
                "A choice is missing",
                html! {
                    p { "Nothing was done, because the form did not say what you chose." }
                    p { a class="button" href="/integrations" { "Open the page again" } }
                },
            ),
            Refusal::NotSyncing => Self::new(
                StatusCode::CONFLICT,
                "not_syncing",
                "This workspace is not syncing",
                html! {
                    p { "It was disconnected, or it has to be connected again first." }
                    p { a class="button" href="/integrations" { "See what to do" } }
                },
            ),
            Refusal::Failed(error) => Self::of_failure(error),
        }
    }

    fn of_link(fate: Option<LinkFate>) -> Self {
        let (code, title, what) = match fate {
            Some(LinkFate::Used) => (
                "sign_in_link_used",
                "This link was already used",
                "Each link signs in once.",
            ),
            Some(LinkFate::Expired) => (
                "sign_in_link_expired",
                "This link has expired",
                "Each link works for ten minutes.",
            ),
            // An open one could have been used.
            None | Some(LinkFate::Open) => (
                "sign_in_link_unknown",
                "This link does not work",
                "It may have been cut off when it was copied.",
            ),
        };
        Self::new(
            StatusCode::BAD_REQUEST,
            code,
            title,
            html! { p { (what) " Go back to the product that you came from, and open the page there again." } },
        )
    }

    fn of_failure(error: ApiError) -> Self {
        let status = error.into_problem().code.status();
        let (code, title) = if status == StatusCode::SERVICE_UNAVAILABLE {
            ("unavailable", "We are busy at the moment")
        } else {
            ("internal", "Something went wrong on our side")
        };
        Self::new(
            if status.is_server_error() {
                status
            } else {
                StatusCode::INTERNAL_SERVER_ERROR
            },
            code,
            title,
            html! { p { "Nothing is lost. Try again in a minute." } },
        )
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let notice = Notice::of(self);
        page(notice.status, notice.code, notice.title, None, &notice.text)
    }
}

/// A page with one heading.
pub(crate) fn page(
    status: StatusCode,
    code: &str,
    title: &str,
    visitor: Option<&Visitor>,
    text: &Markup,
) -> Response {
    Page {
        status,
        title,
        code,
        visitor,
        form_targets: &[],
        is_live: false,
        content: html! { div class="notice" { h1 { (title) } (text) } },
    }
    .into_response()
}
