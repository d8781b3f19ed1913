//! The page of integrations: what is connected, how it is, and what to do.
//!
//! | file | step |
//! |---|---|
//! | `facts.rs` | what is read |
//! | `health.rs` | the two signs of a connection |
//! | `streams.rs`, `runs.rs` | the rows of a connection |
//! | `view.rs` | what is shown: a pure function of the facts and the time |
//! | `render.rs` | the same as HTML |
//! | `actions.rs`, `disconnect.rs` | what its buttons do |

mod actions;
mod disconnect;
mod facts;
mod health;
mod render;
mod runs;
mod streams;
mod view;

use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use chrono::{TimeDelta, Utc};
use serde::Deserialize;

pub(super) use self::{
    actions::{connect, resync},
    disconnect::{end as disconnect, show as confirm},
};
use self::{render::News, view::PageView};
use super::{form, fragment, frame::Page, notice::Refusal, visitor::Visitor};
use crate::{Api, oauth};

/// A longer interval is never waited for.
const LONGEST: TimeDelta = TimeDelta::days(365);

/// The query of the page. Whatever else it has is not read.
#[derive(Default, Deserialize)]
struct IntegrationsQuery {
    #[serde(default)]
    intercom: String,
}

/// `GET /integrations`
pub(super) async fn show(
    State(api): State<Api>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let visitor = Visitor::of(&api, &headers).await?;
    let visitor = visitor.ok_or(Refusal::SignedOut)?;
    let query: IntegrationsQuery = form::fields(query.unwrap_or_default().as_bytes());
    let news = News::named(&query.intercom);
    let view = view_of(&api, &visitor).await?;
    let page = Page {
        status: StatusCode::OK,
        title: "Integrations",
        code: "integrations",
        visitor: Some(&visitor),
        form_targets: &oauth::intercom_origins(&api),
        is_live: true,
        content: render::page(&view, news, &visitor),
    };
    Ok(page.into_response())
}

/// `GET /integrations/live`: the part of the page that changes by itself. It has an `ETag`, so that a look without news is
/// an empty answer.
pub(super) async fn live(State(api): State<Api>, headers: HeaderMap) -> Result<Response, Refusal> {
    let visitor = Visitor::of(&api, &headers).await?;
    let visitor = visitor.ok_or(Refusal::SignedOut)?;
    let view = view_of(&api, &visitor).await?;
    let html = render::live(&view, &visitor).into_string();
    Ok(fragment(&headers, html))
}

async fn view_of(api: &Api, visitor: &Visitor) -> Result<PageView, Refusal> {
    let facts = facts::read(api, visitor.session.tenant).await?;
    let interval = TimeDelta::from_std(api.config.intervals.sync)
        .unwrap_or(LONGEST)
        .min(LONGEST);
    Ok(view::page(&facts, Utc::now(), interval))
}

#[cfg(test)]
mod tests;
