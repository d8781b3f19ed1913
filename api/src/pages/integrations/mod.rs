//! The page of integrations.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use maud::html;

use super::{frame::Page, notice::Refusal, visitor::Visitor};
use crate::Api;

/// `GET /integrations`
pub(super) async fn show(State(api): State<Api>, headers: HeaderMap) -> Result<Response, Refusal> {
    let visitor = Visitor::of(&api, &headers).await?;
    let visitor = visitor.ok_or(Refusal::SignedOut)?;
    let page = Page {
        status: StatusCode::OK,
        title: "Integrations",
        code: "integrations",
        visitor: Some(&visitor),
        form_targets: &[],
        content: html! { h1 { "Integrations" } },
    };
    Ok(page.into_response())
}
