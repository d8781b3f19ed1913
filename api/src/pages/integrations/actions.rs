//! What the buttons of the page do: connect, connect again, and sync now.

use axum::{
    body::Bytes,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use serde::Deserialize;
use shared::{
    domain::{ConnectionId, Mode, Region, RunId, Stream},
    store::RunRequest,
};

use crate::{
    Api,
    extract::id,
    oauth,
    pages::{form, frame::see_other, notice::Refusal},
    routes::syncs,
};

/// The form that connects a workspace.
#[derive(Default, Deserialize)]
struct ConnectForm {
    #[serde(default)]
    region: String,
    /// The connection to be renewed. Empty if any workspace will do.
    #[serde(default)]
    renews: String,
}

/// The form that asks for a run.
#[derive(Default, Deserialize)]
struct ResyncForm {
    #[serde(default)]
    mode: String,
}

/// `POST /integrations/intercom/connect`: begins a flow in this browser, and leads to Intercom at once.
pub(crate) async fn connect(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let (visitor, form) = form::accepted::<ConnectForm>(&api, &headers, &body).await?;
    let tenant = visitor.session.tenant;
    let (region, renews) = if form.renews.is_empty() {
        let region: Region = form.region.parse().map_err(|_| Refusal::Choice)?;
        (region, None)
    } else {
        let renewed = ConnectionId(id(&form.renews)?);
        let connection = api.store.connection(tenant, renewed).await?;
        let connection = connection.ok_or(Refusal::NotFound)?;
        // A workspace stays in its region.
        (connection.region, Some(renewed))
    };
    oauth::begin_in_browser(&api, tenant, region, renews, visitor.actor())
        .await
        .map_err(|error| Refusal::Failed(error.into()))
}

/// `POST /integrations/intercom/{id}/resync`: asks for a run, and leads to it. If one like it is open, it leads to that one.
pub(crate) async fn resync(
    State(api): State<Api>,
    Path(connection): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let (visitor, form) = form::accepted::<ResyncForm>(&api, &headers, &body).await?;
    let tenant = visitor.session.tenant;
    let connection = ConnectionId(id(&connection)?);
    let mode: Mode = form.mode.parse().map_err(|_| Refusal::Choice)?;
    let mut tx = api.store.begin(tenant).await?;
    let run = match tx.request_run(connection, mode, Stream::ALL).await? {
        None => return Err(Refusal::NotFound),
        Some(RunRequest::NotActive(_)) => return Err(Refusal::NotSyncing),
        Some(RunRequest::Queued(run)) => {
            let event = syncs::sync_requested(visitor.actor(), connection, &run);
            tx.add_audit_event(event).await?;
            run
        }
        // Streams that had failed are due again.
        Some(RunRequest::AlreadyActive(run)) => run,
    };
    // The tickets follow the commit. A worker that is faster would find streams that are not due.
    tx.commit().await?;
    api.queue.push_due(tenant, connection, Stream::ALL).await;
    Ok(see_other(&run_path(run.id), &[]))
}

/// Where a run is on the page.
pub(super) fn run_path(run: RunId) -> String {
    format!("/integrations?run={run}#run-{run}")
}
