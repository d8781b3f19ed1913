//! Tenants by lag, by the state of their connections, or by name.

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use maud::{Markup, html};

use super::{OpsPage, foreign, next_page, notice::Refused, read_query};
use crate::{
    error::ApiError,
    ops::{
        fleet_views::{TenantRowView, TenantsView},
        operator::Operator,
        tenants::{self, TenantsQuery},
    },
    pages::{counted, number, span},
};

/// The states that the list can be narrowed to.
const STATES: [(&str, &str); 4] = [
    ("active", "Active"),
    ("reauth_required", "To be connected again"),
    ("error", "With an error"),
    ("disconnected", "Disconnected"),
];

/// `GET /ops/tenants`
pub(super) async fn show(
    State(operator): State<Operator>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let page = OpsPage {
        at: "/ops/tenants",
        title: "Tenants",
        code: "ops_tenants",
        is_live: false,
    };
    page.answer_query(&operator, &uri, &headers, content).await
}

async fn content(operator: Operator, query: String) -> Result<Markup, ApiError> {
    // A form sends its empty fields too.
    let fields: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let asked = |name: &str| {
        let field = fields.iter().find(|(field, _)| field == name);
        field.map_or("", |(_, value)| value.as_str())
    };
    let encoded = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(&fields)
        .finish();
    let query: TenantsQuery = read_query(&encoded)?;
    let found = tenants::read(&operator, &query).await?;
    Ok(html! {
        h1 { "Tenants" }
        (search(asked("q")))
        (filters(asked("state"), asked("sort")))
        (table(&found))
        @if let Some(cursor) = &found.next_cursor {
            (next_page("/ops/tenants", &["q", "state", "sort", "limit"].map(|name| (name, asked(name))), cursor))
        }
    })
}

fn search(text: &str) -> Markup {
    html! {
        form method="get" action="/ops/tenants" role="search" {
            label for="q" { "The beginning of a name, a tenant's id, or a workspace's id" }
            br;
            input id="q" type="text" name="q" value=(text) maxlength="200";
            " " button type="submit" { "Search" }
        }
    }
}

fn filters(state: &str, sort: &str) -> Markup {
    let is_by_lag = state.is_empty() && sort != "name";
    html! {
        p class="filters" {
            a href="/ops/tenants" aria-current=[is_by_lag.then_some("true")] { "Longest lag" }
            a href="/ops/tenants?sort=name" aria-current=[(sort == "name").then_some("true")] { "By name" }
            @for (name, label) in STATES {
                a href=(format!("/ops/tenants?state={name}")) aria-current=[(state == name).then_some("true")] { (label) }
            }
        }
    }
}

fn table(found: &TenantsView) -> Markup {
    html! {
        table {
            caption { (counted(found.items.len() as i64, "tenant", "tenants")) " on this page" }
            thead { tr {
                th scope="col" { "Tenant" } th scope="col" { "State" } th scope="col" { "Lag" } th scope="col" { "Backlog" }
                th scope="col" { "Share of the fleet" } th scope="col" { "Dead letters" }
            } }
            tbody {
                @if found.items.is_empty() { tr { td colspan="6" { "No tenant is in this list." } } }
                @for tenant in &found.items { (row(tenant)) }
            }
        }
    }
}

fn row(tenant: &TenantRowView) -> Markup {
    let tone = match tenant.state.as_str() {
        "running" | "waiting" | "idle" => "good",
        "not_connected" => "quiet",
        "stopped" | "dead_letter" => "bad",
        _ => "warn",
    };
    html! {
        tr {
            th scope="row" {
                a href=(format!("/ops/tenants/{}", tenant.id)) { (foreign(&tenant.name)) }
                span class="dim about" { code { (tenant.id) } }
            }
            td { strong class=(format!("badge {tone}")) { (tenant.state) } " " (foreign(&tenant.reason)) }
            td { @match tenant.lag_seconds { Some(lag) => { (span(lag)) } None => { "–" } } }
            td { (number(tenant.backlog)) }
            td { @match tenant.share { Some(share) => { (format!("{:.0} %", share * 100.0)) } None => { "–" } } }
            td { (number(tenant.dead_letters)) }
        }
    }
}
