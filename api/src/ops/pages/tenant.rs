//! One tenant, with the reason for its state first.

use axum::{
    extract::{Path, State},
    http::{HeaderMap, Uri},
    response::Response,
};
use maud::{Markup, html};
use shared::domain::TenantId;

use super::{
    OpsPage, foreign, form_token, lists, notice::Refused, or_dash, session::OpsVisitor, time,
};
use crate::{
    extract::id,
    ops::{
        fleet_views::{
            HeldObjectView, QuarantineView, StreamWorkView, TenantConnectionView, TenantStreamView,
            TenantView,
        },
        operator::Operator,
        tenant,
        views::{DeadLetterView, ReasonView, StageView},
    },
    pages::{number, shown, span},
};

/// In characters. The worker keeps about as much of an object.
const MASKED: usize = 5_000;

/// `GET /ops/tenants/{id}`
pub(super) async fn show(
    State(operator): State<Operator>,
    Path(tenant): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let visitor = OpsVisitor::of(&operator, &headers).ok_or(Refused::SignedOut)?;
    let tenant = TenantId(id(&tenant)?);
    let reader = operator.clone();
    let content = async move {
        let tenant = tenant::read(&reader, tenant).await?;
        Ok(content(&tenant, &visitor))
    };
    let page = OpsPage {
        at: "/ops/tenants",
        title: "Tenant",
        code: "ops_tenant",
        is_live: false,
    };
    page.answer(&operator, &uri, &headers, content).await
}

fn content(tenant: &TenantView, visitor: &OpsVisitor) -> Markup {
    let path = |action: &str| format!("/ops/tenants/{}/{action}", tenant.id);
    let is_paused = tenant
        .paused
        .iter()
        .any(|pause| pause.scope == tenant.id.to_string());
    html! {
        h1 { (foreign(&tenant.name)) }
        p class="dim" { code { (tenant.id) } ", created " (time(tenant.created_at)) ". " a href=(format!("/ops/actions?tenant_id={}", tenant.id)) { "What operators have done" } }
        h2 { "Why it is in its state" }
        p { (foreign(&tenant.sentence)) }
        (stages(tenant.stages.as_deref()))
        @if visitor.may_act() { div class="actions" {
            @if is_paused {
                form method="post" action=(path("resume")) { (form_token(visitor)) button type="submit" { "Resume this tenant" } }
            } @else {
                form method="post" action=(path("pause")) {
                    (form_token(visitor))
                    label for="reason" { "Reason" }
                    input id="reason" type="text" name="reason" maxlength="500";
                    button class="quiet" type="submit" { "Pause this tenant" }
                }
            }
        } }
        @for connection in &tenant.connections { (connection_section(connection)) }
        (letters(tenant.id, &tenant.dead_letters, visitor))
        h2 { "Tickets" }
        @match &tenant.jobs {
            Some(jobs) => { (lists::jobs_table(jobs)) }
            None => { p class="banner warn" { "Redis does not answer, so its tickets are not known." } }
        }
    }
}

/// Each stream is at one of them, so the counts add up.
pub(super) fn stages(stages: Option<&[StageView]>) -> Markup {
    html! {
        @match stages {
            None => { p { "Redis does not answer, so it is not known where its streams stand." } }
            Some([]) => {}
            Some(stages) => {
                dl { @for stage in stages {
                    dt { (stage.count) @if stage.count == 1 { " stream " } @else { " streams " } (stage.stage) }
                    dd { (foreign(&stage.sentence)) }
                } }
            }
        }
    }
}

fn connection_section(connection: &TenantConnectionView) -> Markup {
    html! {
        section class="card" {
            h3 { "Workspace " code { (foreign(&connection.workspace_id)) } }
            p class="sign" {
                strong class=(format!("badge {}", if connection.complete { "good" } else { "warn" })) { (connection.state) }
                " " (foreign(&connection.sentence))
            }
            p class="dim" { code { (connection.id) } ", connected " (time(connection.connected_at)) }
            (reasons("Why it is not complete", &connection.reasons))
            (reasons("Notes", &connection.notes))
            (streams(&connection.streams))
            (limits(connection))
            (runs(connection))
            (quarantine(&connection.quarantine))
        }
    }
}

fn reasons(title: &str, reasons: &[ReasonView]) -> Markup {
    html! {
        @if !reasons.is_empty() {
            p { strong { (title) } }
            ul { @for reason in reasons {
                li {
                    code { (reason.code) } " " (foreign(&reason.message)) " " (foreign(&reason.action))
                    @if let Some(until) = reason.until { " Next check: " (time(until)) "." }
                }
            } }
        }
    }
}

fn streams(streams: &[TenantStreamView]) -> Markup {
    html! {
        table {
            caption { "Streams" }
            thead { tr {
                th scope="col" { "Stream" } th scope="col" { "State" } th scope="col" { "Held" } th scope="col" { "Due" }
                th scope="col" { "Attempts" } th scope="col" { "Last read" }
            } }
            tbody { @for stream in streams { (stream_row(stream)) } }
        }
    }
}

fn stream_row(stream: &TenantStreamView) -> Markup {
    let (status, work) = (&stream.status, stream.work.as_ref());
    html! {
        tr {
            th scope="row" { (status.stream) }
            td {
                (stream.state())
                @if let Some(blocked) = &status.blocked { span class="about" { (foreign(&blocked.message)) } }
                @if let Some(error) = work.and_then(|work| work.last_error.as_deref()) {
                    span class="about" { "Last error: " (foreign(error)) (failing(work)) }
                }
            }
            td { (number(status.held)) @if let Some(expected) = status.expected { " of " (number(expected)) } }
            td { (or_dash(work.and_then(|work| work.due_at))) }
            td { @match work { Some(work) => { (work.attempts) } None => { "–" } } }
            td { (or_dash(status.last_ok_at)) }
        }
    }
}

/// Since when a stream fails, and when it failed last.
fn failing(work: Option<&StreamWorkView>) -> Markup {
    let times = work.and_then(|work| Some((work.failing_since?, work.failed_at?)));
    html! { @if let Some((since, last)) = times { " (first at " (time(since)) ", last at " (time(last)) ")" } }
}

fn limits(connection: &TenantConnectionView) -> Markup {
    let threads = connection.threads;
    html! {
        dl {
            dt { "Threads" }
            dd {
                (number(threads.pending)) " pending, " (number(threads.complete)) " complete, " (number(threads.truncated))
                " truncated, " (number(threads.gone)) " gone, " (number(threads.blocked)) " blocked"
            }
            @if let Some(eta) = connection.eta_seconds { dt { "Threads are here in" } dd { (span(eta as i64)) } }
            dt { "Rate limit" }
            dd {
                @match &connection.rate {
                    Some(rate) => {
                        (number(i64::from(rate.used))) " of " (number(i64::from(rate.limit))) " calls in " (rate.window_seconds) " s, " (number(i64::from(rate.calls_left))) " left of our share"
                    }
                    None => { "not known at the moment" }
                }
            }
        }
    }
}

fn runs(connection: &TenantConnectionView) -> Markup {
    html! {
        details {
            summary { "Recent runs" }
            ul class="runs" {
                @for run in &connection.runs {
                    li {
                        strong { (run.status) } " " (run.mode) ", asked for at " (time(run.requested_at))
                        @if let Some(finished) = run.finished_at { ", ended at " (time(finished)) }
                        @if let Some(error) = &run.error { ". " (foreign(error)) }
                    }
                }
            }
        }
    }
}

fn quarantine(quarantine: &QuarantineView) -> Markup {
    html! {
        @if !quarantine.unreadable.is_empty() || !quarantine.set_aside.is_empty() {
            details {
                summary { "Quarantine" }
                ul {
                    @for of_kind in &quarantine.unreadable { li { (number(of_kind.count)) " " (of_kind.kind) " could not be read" } }
                    @for of_kind in &quarantine.set_aside { li { (number(of_kind.count)) " " (of_kind.kind) " were not given" } }
                }
                table {
                    caption { "Some of them. Letters and digits of values are covered" }
                    thead { tr {
                        th scope="col" { "Object" } th scope="col" { "Last seen" } th scope="col" { "Why" } th scope="col" { "Next try" }
                    } }
                    tbody { @for object in &quarantine.examples {
                        tr {
                            th scope="row" { (object.kind) " " code { (foreign(&object.source_id)) } }
                            td { (time(object.last_seen_at)) }
                            td { (why_held(object)) }
                            td { (or_dash(object.next_try_at)) }
                        }
                    } }
                }
            }
        }
    }
}

fn why_held(object: &HeldObjectView) -> Markup {
    html! {
        @match object.trouble.as_ref().or(object.masked_reason.as_ref()) {
            Some(why) => { (foreign(why)) }
            None => { "could not be read" }
        }
        @if let Some(json) = &object.masked_raw {
            details {
                summary { "What came" }
                p class="body" { code { bdi { (shown(json, MASKED)) } } }
            }
        }
    }
}

fn letters(tenant: TenantId, letters: &[DeadLetterView], visitor: &OpsVisitor) -> Markup {
    html! {
        @if !letters.is_empty() {
            h2 { "Dead letters" }
            ul { @for letter in letters {
                li { (letter.stream) ", " (letter.attempts) " attempts, last at " (time(letter.died_at)) ": " (foreign(&letter.cause)) }
            } }
            @if visitor.may_act() { div class="actions" {
                form method="post" action="/ops/dead/retry" {
                    (form_token(visitor))
                    input type="hidden" name="tenant_id" value=(tenant);
                    button type="submit" { "Retry them now" }
                }
                a class="button quiet" href=(format!("/ops/dead/drop?tenant_id={tenant}")) { "Drop them" }
            } }
        }
    }
}
