//! The fleet at a glance.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use maud::{Markup, html};

use super::{
    OpsPage, charts, foreign, form_token, live_region, notice::Refused, session::OpsVisitor,
    tenant_link, time,
};
use crate::{
    ops::{
        fleet_views::{
            CountView, FleetPartView, OverviewView, PartView, PoolView, QueuePartView, WorkerView,
        },
        operator::Operator,
        overview,
        views::{ClassView, PauseView},
    },
    pages::{fragment, number},
};

/// `GET /ops/`
pub(super) async fn show(
    State(operator): State<Operator>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let visitor = OpsVisitor::of(&operator, &headers).ok_or(Refused::SignedOut)?;
    let view = overview::read(&operator).await;
    let content = html! {
        h1 { "Operations" }
        (live_region("/ops/live", Some("/ops/live/stream"), &render(&view)))
        @if visitor.may_act() { (pauses(&visitor)) }
    };
    let page = OpsPage {
        at: "/ops/",
        title: "Operations",
        code: "ops_overview",
        is_live: true,
    };
    Ok(page.of(&visitor, StatusCode::OK, &content))
}

/// `GET /ops/live`: the part of the overview that changes by itself.
pub(super) async fn live(
    State(operator): State<Operator>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    OpsVisitor::of(&operator, &headers).ok_or(Refused::SignedOut)?;
    Ok(fragment(&headers, part(&operator).await))
}

/// The part of the overview that changes by itself. It holds nothing of a session, so that a browser's tabs share it.
pub(super) async fn part(operator: &Operator) -> String {
    render(&overview::read(operator).await).into_string()
}

fn render(view: &OverviewView) -> Markup {
    let tone = match view.state.as_str() {
        "running" | "idle" => "good",
        "paused" => "warn",
        _ => "bad",
    };
    html! {
        section class="card" id="fleet" data-state=(view.state) {
            h2 { "The fleet" }
            div data-live="fleet-state" {
                p class="sign" { strong class=(format!("badge {tone}")) { (view.state) } " " (foreign(&view.sentence)) }
                (age("Redis", &view.queue))
                (age("Postgres", &view.fleet))
            }
        }
        div data-live="queue" { @if let Some(queue) = &view.queue.data { (classes(queue)) (workers(&queue.workers)) (pools(&queue.pools)) } }
        div data-live="charts" { @if let Some(queue) = &view.queue.data { (charts::render(&queue.minutes)) } }
        div data-live="rate" { @if let Some(rate) = &view.rate.data { (charts::rate(rate)) } }
        div data-live="counts" { @if let Some(fleet) = &view.fleet.data { (counts(fleet)) } }
    }
}

/// How old the numbers of a server are, if it does not answer. A number that ticks would make every look news.
fn age<T>(server: &str, part: &PartView<T>) -> Markup {
    html! {
        @if let Some(fault) = &part.fault {
            p class="banner bad" {
                (server) " does not answer: " (foreign(fault)) ". "
                @match part.age_seconds {
                    Some(age) => { "Its numbers are " (format!("{age:.0}")) " seconds old." }
                    None => { "Its numbers were never read." }
                }
            }
        }
    }
}

fn classes(queue: &QueuePartView) -> Markup {
    let row = |name: &str, class: ClassView| {
        html! {
            tr {
                th scope="row" { (name) }
                td { a href="/ops/jobs?state=ready" { (number(class.ready as i64)) " ready" } }
                td { a href="/ops/jobs?state=leased" { (number(class.leased as i64)) " running" } }
                td { a href="/ops/jobs?state=parked" { (number(class.parked as i64)) " parked" } }
                td { @match class.oldest_ready_age_seconds { Some(age) => { (format!("{age:.0}")) " s" } None => { "–" } } }
            }
        }
    };
    html! {
        table {
            caption { "Tickets" }
            thead { tr {
                th scope="col" { "Class" } th scope="col" { "Ready" } th scope="col" { "Running" } th scope="col" { "Parked" }
                th scope="col" { "Oldest ready" }
            } }
            tbody { (row("fresh", queue.classes.fresh)) (row("backfill", queue.classes.backfill)) }
        }
    }
}

fn workers(workers: &[WorkerView]) -> Markup {
    html! {
        table {
            caption { "Workers" }
            thead { tr {
                th scope="col" { "Worker" } th scope="col" { "Slots" } th scope="col" { "State" } th scope="col" { "Version" }
            } }
            tbody {
                @if workers.is_empty() { tr { td colspan="4" { "No worker has reported within a minute." } } }
                @for worker in workers {
                    tr {
                        th scope="row" { (foreign(&worker.name)) span class="dim about" { (foreign(&worker.host)) " process " (worker.process) } }
                        td { (worker.busy) " of " (worker.slots) }
                        td class=[(worker.draining || is_silent(worker)).then_some("warn")] {
                            @if is_silent(worker) { "silent" } @else if worker.draining { "draining" } @else { "working" }
                            @if matches!(worker.pool.as_str(), "fresh" | "backfill") { span class="dim about" { "takes " (worker.pool) } }
                        }
                        td { (foreign(&worker.version)) }
                    }
                }
            }
        }
    }
}

/// How many workers each pool should have. A pool that does not exist is listed as well, because nobody here knows.
fn pools(pools: &[PoolView]) -> Markup {
    html! {
        @if !pools.is_empty() {
            table {
                caption { "Workers that each pool should have" }
                thead { tr { th scope="col" { "Pool" } th scope="col" { "Workers" } th scope="col" { "Why" } } }
                tbody {
                    @for pool in pools {
                        tr {
                            th scope="row" { (foreign(&pool.pool)) }
                            td { (pool.desired_workers) }
                            td class=[(pool.bound == "maximum").then_some("warn")] { (foreign(&pool.sentence)) }
                        }
                    }
                }
            }
        }
    }
}

/// Three reports in a row are missing.
fn is_silent(worker: &WorkerView) -> bool {
    worker.silence_seconds > 12.0
}

fn counts(fleet: &FleetPartView) -> Markup {
    let connections = fleet.connections;
    html! {
        dl {
            dt { "Tenants" } dd { a href="/ops/tenants?sort=name" { (count(fleet.tenants)) } }
            dt { "Active connections" } dd { a href="/ops/tenants?state=active" { (count(connections.active)) } }
            dt { "To be connected again" } dd { a href="/ops/tenants?state=reauth_required" { (count(connections.reauth_required)) } }
            dt { "With an error" } dd { a href="/ops/tenants?state=error" { (count(connections.error)) } }
            dt { "Disconnected" } dd { a href="/ops/tenants?state=disconnected" { (count(connections.disconnected)) } }
            dt { "Dead letters" } dd { a href="/ops/dead" { (count(fleet.dead_letters)) } }
            dt { "Due without a ticket" } dd { (count(fleet.unticketed)) }
            @if let Some(furthest) = &fleet.furthest_behind {
                dt { "Furthest behind" }
                dd {
                    (tenant_link(furthest.tenant_id, furthest.tenant_name.as_deref())) " "
                    @match furthest.last_read_at { Some(at) => { "last read " (time(at)) } None => { "never read to the end" } }
                }
            }
        }
        @if !fleet.paused.is_empty() {
            h2 { "Paused now" }
            ul { @for pause in &fleet.paused {
                li {
                    (scope(pause)) " by " @match &pause.operator { Some(name) => { (foreign(name)) } None => { "an operator" } }
                    " since " (time(pause.paused_at)) ". "
                    @match &pause.reason { Some(reason) => { (foreign(reason)) } None => { "No reason was given." } }
                }
            } }
            @if fleet.paused_more { p { "More tenants are paused, which are listed under " a href="/ops/tenants" { "Tenants" } "." } }
        }
    }
}

/// What is paused. A tenant is a link to its page.
fn scope(pause: &PauseView) -> Markup {
    match pause.scope.parse() {
        Ok(tenant) => tenant_link(tenant, pause.tenant_name.as_deref()),
        Err(_) => html! { code { (foreign(&pause.scope)) } },
    }
}

fn count(of: CountView) -> Markup {
    html! { (number(of.count)) @if of.more { "+" } }
}

/// The buttons that pause the fleet or a class.
fn pauses(visitor: &OpsVisitor) -> Markup {
    html! {
        h2 { "Pause and resume" }
        p { "Work in progress finishes, and no new work starts. Nothing is lost." }
        @for (scope, name) in [("fleet", "the whole fleet"), ("fresh", "the class fresh"), ("backfill", "the class backfill")] {
            div class="actions" {
                form method="post" action=(format!("/ops/queues/{scope}/pause")) {
                    (form_token(visitor))
                    label for=(format!("reason-{scope}")) { "Reason" }
                    input id=(format!("reason-{scope}")) type="text" name="reason" maxlength="500";
                    button class="quiet" type="submit" { "Pause " (name) }
                }
                form method="post" action=(format!("/ops/queues/{scope}/resume")) {
                    (form_token(visitor))
                    button class="quiet" type="submit" { "Resume " (name) }
                }
            }
        }
    }
}
