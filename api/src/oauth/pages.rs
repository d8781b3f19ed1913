//! The pages that a browser sees if a connection could not be made.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use shared::{
    domain::{ConnectionId, Region},
    sync::connect::{ConnectError, OtherWorkspace},
};

use crate::{
    Api,
    pages::{Page, Visitor, connect_form, shown},
};

/// As much of a workspace's name as a page repeats.
const NAME: usize = 100;

/// The page for an error: what happened in our words, the code for programs, and a button that starts again if the browser
/// is signed in.
pub(super) fn error_page(
    api: &Api,
    visitor: Option<&Visitor>,
    region: Region,
    error: &ConnectError,
) -> Response {
    let (status, code) = (status(error), error.code());
    if status.is_server_error() {
        let error = error as &dyn std::error::Error;
        tracing::error!(error, code, "connecting failed");
    } else {
        tracing::info!(code, "connecting failed");
    }
    let (title, text) = sentences(error);
    let again = match (visitor, error) {
        (None, _) => html! { p { "Go back to where you started and connect Intercom again." } },
        (Some(visitor), ConnectError::OtherWorkspace(other)) => choices(visitor, other),
        (Some(visitor), _) => start_again(
            visitor,
            Some(region),
            None,
            &html! { button type="submit" { "Connect Intercom again" } },
        ),
    };
    Page {
        status,
        title,
        code,
        visitor,
        form_targets: &super::intercom_origins(api),
        is_live: false,
        content: html! { div class="notice" { h1 { (title) } (text) (again) } },
    }
    .into_response()
}

/// A connection that is renewed has its region.
fn start_again(
    visitor: &Visitor,
    region: Option<Region>,
    renews: Option<ConnectionId>,
    button: &Markup,
) -> Markup {
    connect_form(
        visitor,
        &html! {
            @if let Some(region) = region { input type="hidden" name="region" value=(region.as_str()); }
            @if let Some(renews) = renews { input type="hidden" name="renews" value=(renews); }
            (button)
        },
    )
}

/// Another workspace was chosen than the connection's.
fn choices(visitor: &Visitor, other: &OtherWorkspace) -> Markup {
    let (connected, chosen) = (shown(&other.connected, NAME), shown(&other.chosen, NAME));
    html! {
        p { "The connection is to " strong { bdi { (connected) } } ". In Intercom, you chose " strong { bdi { (chosen) } } "." }
        p { "Intercom takes the workspace that you are signed in to in this browser. Switch it there first." }
        div class="actions" {
            (start_again(visitor, None, Some(other.connection), &html! { button type="submit" { "Choose the same workspace" } }))
            (start_again(visitor, Some(other.region), None, &html! { button class="quiet" type="submit" { "Connect the other one as well" } }))
        }
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
        ConnectError::OtherWorkspace(_) => StatusCode::CONFLICT,
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
fn sentences(error: &ConnectError) -> (&'static str, Markup) {
    let (title, text) = match error {
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
        ConnectError::OtherWorkspace(_) => (
            "This is another workspace",
            "Nothing was changed, so that the data of two workspaces is not mixed.",
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
    };
    (title, html! { p { (text) } })
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
            ConnectError::OtherWorkspace(Box::new(OtherWorkspace {
                connection: ConnectionId::new(),
                connected: "A".to_owned(),
                chosen: "B".to_owned(),
                region: Region::Us,
            })),
            ConnectError::PurgeUnderWay,
            ConnectError::Unavailable(cause()),
            ConnectError::Random,
        ];
        let lines = errors.map(|error| {
            let (title, text) = sentences(&error);
            format!(
                "{} {}\n    {title}\n    {}\n",
                status(&error).as_u16(),
                error.code(),
                text.into_string()
            )
        });
        insta::assert_snapshot!(lines.concat());
    }
}
