//! Why a tenant is where it is: one sentence first, then each connection's whole answer.

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Serialize;
use shared::{
    completeness,
    domain::{ConnectionId, TenantId},
    store::{ConnectionState, Pause},
};

use super::operator::Operator;
use crate::{error::ApiError, extract::id, routes::sync_status::SyncStatusView};

#[derive(Debug, Serialize)]
pub(super) struct Why {
    tenant_id: TenantId,
    /// The most telling of it all.
    sentence: String,
    /// Pauses that hold this tenant's work back: its own, a class's, the fleet's.
    paused: Vec<Pause>,
    connections: Vec<WhyConnection>,
}

#[derive(Debug, Serialize)]
struct WhyConnection {
    id: ConnectionId,
    workspace_id: String,
    state: &'static str,
    #[serde(flatten)]
    sync: SyncStatusView,
}

/// `GET /ops/tenants/{id}/why`
pub(super) async fn why(
    State(operator): State<Operator>,
    Path(tenant): Path<String>,
) -> Result<Json<Why>, ApiError> {
    let tenant = TenantId(id(&tenant)?);
    if !operator.store.tenant_exists(tenant).await? {
        return Err(ApiError::not_found());
    }
    let mut paused = operator.store.pauses().await?;
    paused.retain(|pause| {
        pause.scope.parse::<uuid::Uuid>().is_err() || pause.scope == tenant.to_string()
    });
    let mut tx = operator.store.begin(tenant).await?;
    let mut connections = Vec::new();
    for connection in tx.connections().await? {
        let Some(facts) = tx.sync_facts(connection.id).await? else {
            continue;
        };
        connections.push(WhyConnection {
            id: connection.id,
            workspace_id: connection.workspace_id,
            state: connection.state.as_str(),
            sync: completeness::judge(&facts).into(),
        });
    }
    let sentence = sentence(&paused, &connections);
    Ok(Json(Why {
        tenant_id: tenant,
        sentence,
        paused,
        connections,
    }))
}

/// A pause explains everything behind it; then the first connection that is not complete speaks.
fn sentence(paused: &[Pause], connections: &[WhyConnection]) -> String {
    let told = connections
        .iter()
        .filter(|connection| connection.state != ConnectionState::Disconnected.as_str())
        .min_by_key(|connection| connection.sync.complete)
        .or(connections.first())
        .map_or("No workspace is connected.", |connection| {
            connection.sync.sentence.as_str()
        });
    match paused.first() {
        None => told.to_owned(),
        Some(pause) => {
            let reason = pause.reason.as_deref().unwrap_or("no reason given");
            format!(
                "Paused ({}) by an operator since {}: {reason}. {told}",
                pause.scope,
                pause.paused_at.format("%Y-%m-%d %H:%M:%S UTC")
            )
        }
    }
}
