//! Tickets, events, and what operators have done.

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use maud::{Markup, html};

use super::{
    OpsPage, by, foreign, next_page, notice::Refused, or_dash, read_query, tenant_link, time,
};
use crate::{
    error::ApiError,
    ops::{
        actions, events,
        fleet_views::{ActionView, JobView},
        jobs,
        operator::Operator,
        views::EventView,
    },
    pages::counted,
};

/// `GET /ops/jobs`
pub(super) async fn jobs(
    State(operator): State<Operator>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let page = OpsPage {
        at: "/ops/jobs",
        title: "Tickets",
        code: "ops_jobs",
        is_live: false,
    };
    page.answer_query(&operator, &uri, &headers, jobs_content)
        .await
}

async fn jobs_content(operator: Operator, query: String) -> Result<Markup, ApiError> {
    let asked: jobs::JobsQuery = read_query(&query)?;
    let found = jobs::read(&operator, &asked).await?;
    let state = asked.state.as_str();
    Ok(html! {
        h1 { "Tickets" }
        p class="filters" {
            @for (name, label) in [("leased", "A worker has them"), ("ready", "Next of each tenant"), ("parked", "Wait for a time")] {
                a href=(format!("/ops/jobs?state={name}")) aria-current=[(name == state).then_some("true")] { (label) }
            }
        }
        (jobs_table(&found.items))
        @if let Some(cursor) = found.next_cursor { (next_page("/ops/jobs", &[("state", state)], &cursor.to_string())) }
    })
}

pub(super) fn jobs_table(jobs: &[JobView]) -> Markup {
    html! {
        table {
            caption { (counted(jobs.len() as i64, "ticket", "tickets")) }
            thead { tr {
                th scope="col" { "Tenant" } th scope="col" { "Stream" } th scope="col" { "State" } th scope="col" { "Ready since" }
                th scope="col" { "Until" } th scope="col" { "Behind it" }
            } }
            tbody {
                @if jobs.is_empty() { tr { td colspan="6" { "There is no such ticket at the moment." } } }
                @for job in jobs {
                    tr {
                        th scope="row" { (tenant_link(job.tenant_id, job.tenant_name.as_deref())) }
                        td { (job.stream) " (" (job.class) ")" }
                        td { (job.state) @if let Some(crashes) = job.crashes.filter(|crashes| *crashes > 0) { ", " (crashes) " crashes" } }
                        td { (or_dash(job.ready_since)) }
                        td { (or_dash(job.until)) }
                        td { @match job.behind { Some(behind) => { (behind) } None => { "–" } } }
                    }
                }
            }
        }
    }
}

/// `GET /ops/events`
pub(super) async fn events(
    State(operator): State<Operator>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let page = OpsPage {
        at: "/ops/events",
        title: "Events",
        code: "ops_events",
        is_live: false,
    };
    page.answer_query(&operator, &uri, &headers, events_content)
        .await
}

async fn events_content(operator: Operator, query: String) -> Result<Markup, ApiError> {
    let found = events::read(&operator, &read_query(&query)?).await?;
    Ok(html! {
        h1 { "Events" }
        ul { @for event in &found.items { (event_item(event)) } }
        @if found.items.is_empty() { p { "Nothing has happened that operators should know of." } }
        @if let Some(cursor) = found.next_cursor { (next_page("/ops/events", &[], &cursor.to_string())) }
    })
}

fn event_item(event: &EventView) -> Markup {
    html! {
        li {
            (time(event.happened_at)) ": "
            (tenant_link(event.tenant_id, event.tenant_name.as_deref())) " " (foreign(&event.message))
        }
    }
}

/// `GET /ops/actions`
pub(super) async fn actions(
    State(operator): State<Operator>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let page = OpsPage {
        at: "/ops/actions",
        title: "Actions",
        code: "ops_actions",
        is_live: false,
    };
    page.answer_query(&operator, &uri, &headers, actions_content)
        .await
}

async fn actions_content(operator: Operator, query: String) -> Result<Markup, ApiError> {
    let asked: actions::ActionsQuery = read_query(&query)?;
    let found = actions::read(&operator, &asked).await?;
    let tenant = asked.tenant_id.map(|tenant| tenant.to_string());
    let name = found
        .items
        .first()
        .and_then(|action| action.tenant_name.as_deref());
    Ok(html! {
        h1 { "Actions" }
        @if let Some(tenant) = asked.tenant_id {
            p { "Only those about the tenant " (tenant_link(tenant, name)) ". " a href="/ops/actions" { "Show all" } "." }
        }
        table {
            caption { "What operators have done, newest first" }
            thead { tr {
                th scope="col" { "When" } th scope="col" { "Action" } th scope="col" { "About" } th scope="col" { "By" }
                th scope="col" { "Reason" }
            } }
            tbody {
                @if found.items.is_empty() { tr { td colspan="5" { "No operator has done anything yet." } } }
                @for action in &found.items { (action_row(action)) }
            }
        }
        @if let Some(cursor) = found.next_cursor { (next_page("/ops/actions", &[("tenant_id", tenant.as_deref().unwrap_or_default())], &cursor.to_string())) }
    })
}

fn action_row(action: &ActionView) -> Markup {
    html! {
        tr {
            th scope="row" { (time(action.at)) }
            td { code { (action.action) } " (" (action.changed) " changed)" }
            td {
                (foreign(&action.subject))
                @if let Some(tenant) = action.tenant_id { " " (tenant_link(tenant, action.tenant_name.as_deref())) }
            }
            td { (by(action.operator.as_deref(), &action.channel, action.session_id)) }
            td { @match &action.reason { Some(reason) => { (foreign(reason)) } None => { "–" } } }
        }
    }
}
