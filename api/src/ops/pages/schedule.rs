//! What becomes due when.

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use maud::{Markup, html};

use super::{OpsPage, foreign, next_page, notice::Refused, read_query, tenant_link, time};
use crate::{
    error::ApiError,
    ops::{
        fleet_views::ScheduledView,
        operator::Operator,
        schedule::{self, ScheduleQuery},
    },
};

/// `GET /ops/schedule`
pub(super) async fn show(
    State(operator): State<Operator>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let page = OpsPage {
        at: "/ops/schedule",
        title: "Schedule",
        code: "ops_schedule",
        is_live: false,
    };
    page.answer_query(&operator, &uri, &headers, content).await
}

async fn content(operator: Operator, query: String) -> Result<Markup, ApiError> {
    let asked: ScheduleQuery = read_query(&query)?;
    let found = schedule::read(&operator, &asked).await?;
    let from = asked.from.unwrap_or_default();
    Ok(html! {
        h1 { "Schedule" }
        p { "What becomes due, soonest first. What is due already has a ticket: see " a href="/ops/jobs" { "Tickets" } "." }
        form method="get" action="/ops/schedule" role="search" {
            label for="from" { "From a time such as 14:00 (UTC)" }
            br;
            input id="from" type="text" name="from" value=(from) maxlength="40";
            " " button type="submit" { "Show" }
        }
        table {
            caption { "From " (time(found.from)) }
            thead { tr {
                th scope="col" { "When" } th scope="col" { "What" } th scope="col" { "Tenant" }
            } }
            tbody {
                @if found.items.is_empty() { tr { td colspan="3" { "Nothing becomes due from then on." } } }
                @for item in &found.items { (row(item)) }
            }
        }
        @if let Some(cursor) = found.next_cursor { (next_page("/ops/schedule", &[("from", &from)], &cursor)) }
    })
}

fn row(item: &ScheduledView) -> Markup {
    html! {
        tr {
            th scope="row" { (time(item.due_at)) }
            td {
                (foreign(&item.sentence)) @if item.paused { " It is paused, so that it waits." }
                @if let Some(error) = &item.last_error { span class="about" { "Last error: " (foreign(error)) } }
            }
            td { (tenant_link(item.tenant_id, item.tenant_name.as_deref())) }
        }
    }
}
