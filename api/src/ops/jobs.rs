//! Live tickets: which worker's, which next, and which wait for a time.

use axum::{
    Json,
    extract::{Path, State},
};
use chrono::{SubsecRound, Utc};
use serde::Deserialize;
use shared::{
    domain::{Stream, TenantId},
    queue::{LiveTicket, QueueError, Ticket, TicketState},
};

use super::{
    bounded::bounded,
    fleet_views::{JobView, JobsView, StreamWorkView},
    operator::Operator,
    paging::limit,
    tenant_names::name_tenants,
};
use crate::{error::ApiError, extract::Params};

/// A list of live tickets moves while it is read, so a page is found by its rank. A higher one is a slip of the pen.
const MAX_RANK: u32 = 10_000_000;

/// The query of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JobsQuery {
    #[serde(default)]
    pub(super) state: JobState,
    /// All live tickets of this tenant, in any state.
    pub(super) tenant_id: Option<TenantId>,
    /// The rank of the first ticket.
    pub(super) cursor: Option<u32>,
    pub(super) limit: Option<i32>,
}

/// The state of a ticket, as a query names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum JobState {
    #[default]
    Leased,
    Ready,
    Parked,
}

impl JobState {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Leased => "leased",
            Self::Ready => "ready",
            Self::Parked => "parked",
        }
    }
}

impl From<JobState> for TicketState {
    fn from(state: JobState) -> Self {
        match state {
            JobState::Leased => Self::Leased,
            JobState::Ready => Self::Ready,
            JobState::Parked => Self::Parked,
        }
    }
}

/// `GET /ops/jobs`: leased tickets by the end of their lease, parked ones by the time at which they become ready, or the next
/// ready one of each tenant in the order in which they are served.
pub(super) async fn list(
    State(operator): State<Operator>,
    Params(query): Params<JobsQuery>,
) -> Result<Json<JobsView>, ApiError> {
    read(&operator, &query).await.map(Json)
}

/// A page of tickets.
///
/// # Errors
/// If the query has a fault, or a server does not answer.
pub(super) async fn read(operator: &Operator, query: &JobsQuery) -> Result<JobsView, ApiError> {
    bounded(async {
        let limit = limit(query.limit)? as u32;
        let offset = query.cursor.unwrap_or_default();
        if offset > MAX_RANK {
            let detail = format!("must be 0 to {MAX_RANK}");
            return Err(ApiError::invalid("cursor", detail));
        }
        if let Some(tenant) = query.tenant_id {
            return of_tenant(operator, tenant).await;
        }
        let found = operator.queue.tickets(query.state.into(), offset, limit);
        let found = found.await.map_err(|error| away(&error))?;
        let is_full = found.len() == limit as usize;
        let mut items: Vec<_> = found.iter().map(view).collect();
        name_tenants(&operator.store, &mut items).await;
        Ok(JobsView {
            items,
            next_cursor: is_full.then_some(offset + limit),
        })
    })
    .await
}

/// A tenant has one ticket for each stream of its connections at most, so its tickets are found by their names.
async fn of_tenant(operator: &Operator, tenant: TenantId) -> Result<JobsView, ApiError> {
    let mut tx = operator.store.inspect(tenant).await?;
    let (name, _) = tx.tenant_name().await?.ok_or_else(ApiError::not_found)?;
    let connections = tx.connections().await?;
    drop(tx);
    let mut tickets = Vec::new();
    for connection in connections {
        tickets.extend(
            Stream::ALL
                .iter()
                .map(|stream| Ticket::new(tenant, connection.id, *stream)),
        );
    }
    let found = operator.queue.find_tickets(&tickets).await;
    Ok(JobsView {
        items: found
            .map_err(|error| away(&error))?
            .iter()
            .map(|live| JobView {
                tenant_name: Some(name.clone()),
                ..view(live)
            })
            .collect(),
        next_cursor: None,
    })
}

/// `GET /ops/jobs/{ticket}`: one live ticket, with the work that it names.
pub(super) async fn show(
    State(operator): State<Operator>,
    Path(ticket): Path<String>,
) -> Result<Json<JobView>, ApiError> {
    let ticket: Ticket = ticket.parse().map_err(|_| ApiError::not_found())?;
    bounded(async {
        let found = operator.queue.find_tickets(&[ticket]).await;
        let found = found.map_err(|error| away(&error))?;
        let live = found.first().ok_or_else(ApiError::not_found)?;
        let mut tx = operator.store.inspect(ticket.tenant).await?;
        let tenant_name = tx.tenant_name().await?.map(|(name, _)| name);
        let work = tx.stream_work(ticket.connection).await?;
        let work = work
            .iter()
            .find(|work| work.stream == ticket.stream.as_str());
        Ok(Json(JobView {
            tenant_name,
            work: work.map(StreamWorkView::from),
            ..view(live)
        }))
    })
    .await
}

pub(super) fn view(live: &LiveTicket) -> JobView {
    let ticket = live.ticket;
    let now = Utc::now();
    JobView {
        id: ticket.to_string(),
        state: live.state.as_str().to_owned(),
        tenant_id: ticket.tenant,
        tenant_name: None,
        connection_id: ticket.connection,
        stream: ticket.stream.to_string(),
        class: ticket.class().to_string(),
        ready_since: live.ready_for.map(|ago| (now - ago).trunc_subsecs(3)),
        until: live.left.map(|left| (now + left).trunc_subsecs(3)),
        fence: live.fence,
        crashes: live.crashes,
        behind: live.behind,
        work: None,
    }
}

fn away(error: &QueueError) -> ApiError {
    tracing::warn!(%error, "tickets could not be read from redis");
    ApiError::unavailable()
}
