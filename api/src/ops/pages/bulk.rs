//! A bulk action with its progress, and the list of the last ones.

use axum::{
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, Uri},
    response::Response,
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    OpsPage, by, foreign, form_token, live_region, notice::Refused, or_dash, session::OpsVisitor,
    tenant_name, time,
};
use crate::{
    error::ApiError,
    ops::{
        bulk::{self, BulksQuery},
        operator::Operator,
        views::BulkView,
    },
    pages::{counted, fragment, number, see_other},
};

/// Bulk actions that the page of dead letters lists.
const LISTED: i32 = 10;

#[derive(Default, Deserialize)]
struct NoFields {}

/// The page of a bulk action.
pub(super) fn path(action: &BulkView) -> String {
    format!("/ops/dead/bulk/{}", action.id)
}

/// `GET /ops/dead/bulk/{id}`
pub(super) async fn show(
    State(operator): State<Operator>,
    Path(action): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let visitor = OpsVisitor::of(&operator, &headers).ok_or(Refused::SignedOut)?;
    let reader = operator.clone();
    let content = async move {
        let action = bulk::find(&reader, &action).await?;
        Ok(html! {
            h1 { (title(&action)) " " (counted(action.total, "dead letter", "dead letters")) }
            (live_region(&format!("{}/live", path(&action)), None, &render(&action, &visitor)))
            p { a href="/ops/dead" { "All dead letters" } }
        })
    };
    let page = OpsPage {
        at: "/ops/dead",
        title: "Bulk action",
        code: "ops_bulk",
        is_live: true,
    };
    page.answer(&operator, &uri, &headers, content).await
}

/// `GET /ops/dead/bulk/{id}/live`: the part that changes by itself.
pub(super) async fn live(
    State(operator): State<Operator>,
    Path(action): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let visitor = OpsVisitor::of(&operator, &headers).ok_or(Refused::SignedOut)?;
    let action = bulk::find(&operator, &action).await?;
    Ok(fragment(&headers, render(&action, &visitor).into_string()))
}

/// `POST /ops/dead/bulk/{id}/cancel`
pub(super) async fn cancel(
    State(operator): State<Operator>,
    Path(action): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let (visitor, _) = OpsVisitor::sent_form::<NoFields>(&operator, &headers, &body)?;
    let ended = bulk::end(&operator, visitor.origin(), &action).await?;
    Ok(see_other(&path(&ended), &[]))
}

/// The last bulk actions, for the page of dead letters.
///
/// # Errors
/// If Postgres does not answer.
pub(super) async fn recent(operator: &Operator) -> Result<Markup, ApiError> {
    let query = BulksQuery {
        cursor: None,
        limit: Some(LISTED),
    };
    let found = bulk::read(operator, &query).await?;
    Ok(html! {
        @if !found.items.is_empty() {
            table {
                caption { "Retries and drops, the last one first" }
                thead { tr {
                    th scope="col" { "What" } th scope="col" { "State" } th scope="col" { "Progress" } th scope="col" { "Asked for" }
                } }
                tbody { @for action in &found.items { (row(action)) } }
            }
        }
    })
}

fn row(action: &BulkView) -> Markup {
    html! {
        tr {
            th scope="row" { a href=(path(action)) { (title(action)) } " " (filter(action)) }
            td { strong class=(format!("badge {}", tone(action))) { (action.status) } }
            td { (progress(action)) }
            td { (time(action.requested_at)) }
        }
    }
}

fn render(action: &BulkView, visitor: &OpsVisitor) -> Markup {
    html! {
        section class="card" id="bulk" data-state=(action.status) {
            h2 { (title(action)) " " (filter(action)) }
            div data-live="bulk-state" {
                p class="sign" { strong class=(format!("badge {}", tone(action))) { (action.status) } " " (sentence(action)) }
                progress max=(action.total.max(1)) value=(reached(action)) aria-label="Progress" { (progress(action)) }
                dl {
                    dt { "Done" } dd { (progress(action)) }
                    dt { "Skipped" } dd { (number(action.skipped)) }
                    dt { "Asked for" } dd { (time(action.requested_at)) " by " (by(action.operator.as_deref(), &action.requested_by, action.session_id)) }
                    dt { "Begun" } dd { (or_dash(action.started_at)) }
                    dt { "Ended" } dd { (or_dash(action.finished_at)) }
                }
            }
            div data-live="bulk-cancel" {
                @if action.finished_at.is_none() && visitor.may_act() {
                    p { "What was done stays done when it is cancelled." }
                    form method="post" action=(format!("{}/cancel", path(action))) {
                        (form_token(visitor))
                        button class="quiet" type="submit" { "Cancel it" }
                    }
                }
            }
        }
    }
}

/// What happens now, for somebody who waits for it.
fn sentence(action: &BulkView) -> Markup {
    let is_queued = action.status == "queued";
    html! {
        @match action.status.as_str() {
            "finished" if action.skipped == 0 => { "Every letter was changed." }
            "finished" => { "Letters were skipped that needed no change any more: closed, due already, or of a connection that has ended." }
            "cancelled" => { "An operator has ended it. What was done stays done." }
            _ if action.waiting > 0 => {
                (counted(action.waiting, "stream", "streams")) " of the last batch " (if action.waiting == 1 { "waits" } else { "wait" })
                " for a worker. Then the next batch follows."
            }
            _ if is_queued => { "A scheduler begins within a second, unless all work is paused." }
            _ => { "A scheduler works through the letters." }
        }
    }
}

fn title(action: &BulkView) -> &'static str {
    if action.action == "retry" {
        "Retry"
    } else {
        "Drop"
    }
}

fn tone(action: &BulkView) -> &'static str {
    match action.status.as_str() {
        "finished" if action.skipped == 0 => "good",
        "queued" | "running" => "quiet",
        _ => "warn",
    }
}

/// Letters whose turn has come.
fn reached(action: &BulkView) -> i64 {
    (action.done + action.skipped).min(action.total)
}

fn progress(action: &BulkView) -> Markup {
    html! { (number(action.done)) " of " (number(action.total)) }
}

fn filter(action: &BulkView) -> Markup {
    let filter = &action.filter;
    let is_all = filter.tenant_id.is_none() && filter.stream.is_none() && filter.cause.is_none();
    html! {
        @if is_all { "all" }
        @if let Some(cause) = &filter.cause { "cause " (foreign(cause.strip_prefix('=').unwrap_or(cause))) " " }
        @if let Some(stream) = &filter.stream { "stream " (stream) " " }
        @if let Some(tenant) = filter.tenant_id { "tenant " (tenant_name(tenant, action.tenant_name.as_deref())) }
    }
}
