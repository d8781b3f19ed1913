//! Why a tenant is in its state: a summary first, then the whole answer of each connection.

use axum::{
    Json,
    extract::{Path, State},
};
use chrono::Utc;
use shared::{
    completeness,
    domain::TenantId,
    store::{ConnectionState, Pause},
};

use super::{
    bounded::bounded,
    operator::Operator,
    stages::{ConnectionWork, stages},
    tenant,
    views::{PauseView, WhyConnectionView, WhyView},
};
use crate::{error::ApiError, extract::id};

/// `GET /ops/tenants/{id}/why`
pub(super) async fn why(
    State(operator): State<Operator>,
    Path(tenant): Path<String>,
) -> Result<Json<WhyView>, ApiError> {
    let id = TenantId(id(&tenant)?);
    bounded(read(&operator, id)).await.map(Json)
}

async fn read(operator: &Operator, tenant: TenantId) -> Result<WhyView, ApiError> {
    if !operator.store.tenant_exists(tenant).await? {
        return Err(ApiError::not_found());
    }
    let mut tx = operator.store.inspect(tenant).await?;
    let paused = tx.pauses_over(&[tenant.0]).await?;
    let mut connections = Vec::new();
    let mut work = Vec::new();
    for connection in tx.connections().await? {
        let Some(facts) = tx.sync_facts(connection.id).await? else {
            continue;
        };
        let streams = tx.stream_work(connection.id).await?;
        work.push((connection.id, connection.state, streams));
        connections.push(WhyConnectionView {
            id: connection.id,
            workspace_id: connection.workspace_id,
            state: connection.state.as_str().to_owned(),
            sync: completeness::judge(&facts).into(),
        });
    }
    // Redis may be slow, and it must not keep a session of Postgres from other requests.
    drop(tx);
    let jobs = tenant::jobs_of(operator, tenant, work.iter().map(|(id, ..)| *id)).await;
    let work: Vec<_> = work
        .iter()
        .map(|(id, state, streams)| ConnectionWork {
            id: *id,
            state: *state,
            streams,
        })
        .collect();
    let stages = jobs.map(|jobs| stages(&work, &jobs, &paused, Utc::now()));
    let said: Vec<_> = connections
        .iter()
        .map(|connection| Said {
            state: &connection.state,
            complete: connection.sync.complete,
            sentence: &connection.sync.sentence,
        })
        .collect();
    Ok(WhyView {
        tenant_id: tenant,
        sentence: sentence(&paused, &said),
        paused: paused.into_iter().map(PauseView::from).collect(),
        connections,
        stages,
    })
}

/// What is said of one connection.
pub(super) struct Said<'a> {
    pub(super) state: &'a str,
    pub(super) complete: bool,
    pub(super) sentence: &'a str,
}

/// A pause explains everything behind it, so it comes first. Then follows the first connection that
/// is not complete.
pub(super) fn sentence(paused: &[Pause], connections: &[Said<'_>]) -> String {
    let status = connections
        .iter()
        .filter(|connection| connection.state != ConnectionState::Disconnected.as_str())
        .min_by_key(|connection| connection.complete)
        .or(connections.first())
        .map_or("No workspace is connected.", |connection| {
            connection.sentence
        });
    match paused.first() {
        Some(pause) => format!("{} {status}", pause_sentence(pause)),
        None => status.to_owned(),
    }
}

fn pause_sentence(pause: &Pause) -> String {
    let since = pause.paused_at.format("%Y-%m-%d %H:%M:%S UTC");
    let work = match pause.scope.as_str() {
        "fleet" => "no new work starts in the whole fleet".to_owned(),
        class @ ("fresh" | "backfill") => format!("no new {class} work starts for any tenant"),
        _ => "no new work starts for this tenant".to_owned(),
    };
    let reason = match &pause.reason {
        Some(reason) => format!("Reason: {}.", reason.trim_end_matches('.')),
        None => "No reason was given.".to_owned(),
    };
    let operator = pause.operator.as_deref().unwrap_or("an operator");
    format!("Paused by {operator} since {since}: {work}. {reason}")
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn every_pause_reads_well() {
        let sentences = [
            ("fleet", Some("Intercom is down."), Some("Ada")),
            ("backfill", Some("load test"), None),
            ("0190b5a8-0000-7000-8000-000000000000", None, None),
        ]
        .map(|(scope, reason, operator)| {
            let pause = Pause {
                scope: scope.to_owned(),
                reason: reason.map(str::to_owned),
                paused_at: DateTime::UNIX_EPOCH,
                operator: operator.map(str::to_owned),
            };
            sentence(&[pause], &[]) + "\n"
        });
        insta::assert_snapshot!(sentences.concat(), @r"
        Paused by Ada since 1970-01-01 00:00:00 UTC: no new work starts in the whole fleet. Reason: Intercom is down. No workspace is connected.
        Paused by an operator since 1970-01-01 00:00:00 UTC: no new backfill work starts for any tenant. Reason: load test. No workspace is connected.
        Paused by an operator since 1970-01-01 00:00:00 UTC: no new work starts for this tenant. No reason was given. No workspace is connected.
        ");
    }
}
