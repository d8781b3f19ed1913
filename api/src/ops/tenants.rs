//! Lists of tenants: by lag, by the state of their connections, or by name.

use std::collections::{HashMap, HashSet};

use axum::{Json, extract::State};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use shared::{
    domain::TenantId,
    store::{ConnectionState, LagPosition, NamePosition, TenantSummary},
};
use uuid::Uuid;

use super::{
    bounded::{bounded, promptly},
    fleet_views::{TenantConnectionsView, TenantRowView, TenantsView},
    operator::Operator,
    paging::{self, limit},
};
use crate::{error::ApiError, extract::Params};

const MAX_SEARCH_CHARACTERS: usize = 200;

/// The query of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TenantsQuery {
    #[serde(default)]
    pub(super) sort: TenantSort,
    /// Only tenants with a connection in this state, in the order of their ids.
    pub(super) state: Option<StateFilter>,
    /// The beginning of a name, a tenant's id, or a workspace's id.
    pub(super) q: Option<String>,
    pub(super) cursor: Option<String>,
    pub(super) limit: Option<i32>,
}

/// The order of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum TenantSort {
    /// The longest lag first. Tenants without a stream to be polled are not in it.
    #[default]
    Lag,
    Name,
}

/// The state of a connection, as a query names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StateFilter {
    Active,
    ReauthRequired,
    Error,
    Disconnected,
}

/// The end of a page. It is no secret, because an operator sees all tenants.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum TenantCursor {
    Lag(DateTime<Utc>, Uuid),
    State(Uuid),
    Name(String, Uuid),
}

/// `GET /ops/tenants`
pub(super) async fn list(
    State(operator): State<Operator>,
    Params(query): Params<TenantsQuery>,
) -> Result<Json<TenantsView>, ApiError> {
    read(&operator, &query).await.map(Json)
}

/// A page of tenants.
///
/// # Errors
/// If the query has a fault, or Postgres does not answer.
pub(super) async fn read(
    operator: &Operator,
    query: &TenantsQuery,
) -> Result<TenantsView, ApiError> {
    bounded(async {
        let (ids, next) = page(operator, query).await?;
        Ok(TenantsView {
            items: describe(operator, &ids).await?,
            next_cursor: next.map(|cursor| cursor.encoded()),
        })
    })
    .await
}

async fn page(
    operator: &Operator,
    query: &TenantsQuery,
) -> Result<(Vec<Uuid>, Option<TenantCursor>), ApiError> {
    let limit = limit(query.limit)?;
    let cursor = query.cursor.as_deref().map(TenantCursor::of).transpose()?;
    let text = query.q.as_deref().unwrap_or_default().trim();
    if text.chars().count() > MAX_SEARCH_CHARACTERS {
        let detail = format!("must have at most {MAX_SEARCH_CHARACTERS} characters");
        return Err(ApiError::invalid("q", detail));
    }
    if text.contains('\0') {
        return Err(ApiError::invalid("q", "must not contain a NUL character"));
    }
    match query.state {
        Some(_) if !text.is_empty() => {
            Err(ApiError::invalid("q", "cannot be combined with `state`"))
        }
        Some(state) => by_state(operator, state, cursor, limit).await,
        None if !text.is_empty() || query.sort == TenantSort::Name => {
            by_name(operator, text, cursor, limit).await
        }
        None => by_lag(operator, cursor, limit).await,
    }
}

async fn by_lag(
    operator: &Operator,
    cursor: Option<TenantCursor>,
    limit: i32,
) -> Result<(Vec<Uuid>, Option<TenantCursor>), ApiError> {
    let after = match cursor {
        None => LagPosition::FIRST,
        Some(TenantCursor::Lag(read_at, tenant)) => LagPosition { read_at, tenant },
        Some(_) => return Err(paging::foreign_cursor()),
    };
    let found = operator.store.tenants_by_lag(after, limit).await?;
    let last = found.last().filter(|_| found.len() == limit as usize);
    let next = last.map(|last| TenantCursor::Lag(last.read_at, last.tenant));
    Ok((found.into_iter().map(|found| found.tenant).collect(), next))
}

async fn by_state(
    operator: &Operator,
    state: StateFilter,
    cursor: Option<TenantCursor>,
    limit: i32,
) -> Result<(Vec<Uuid>, Option<TenantCursor>), ApiError> {
    let state = match state {
        StateFilter::Active => ConnectionState::Active,
        StateFilter::ReauthRequired => ConnectionState::ReauthRequired,
        StateFilter::Error => ConnectionState::Error,
        StateFilter::Disconnected => ConnectionState::Disconnected,
    };
    let after = match cursor {
        None => Uuid::nil(),
        Some(TenantCursor::State(after)) => after,
        Some(_) => return Err(paging::foreign_cursor()),
    };
    let found = operator.store.tenants_in_state(state, after, limit).await?;
    let last = found.last().filter(|_| found.len() == limit as usize);
    let next = last.copied().map(TenantCursor::State);
    Ok((found, next))
}

/// Tenants that the text names exactly come first, on the first page.
async fn by_name(
    operator: &Operator,
    text: &str,
    cursor: Option<TenantCursor>,
    limit: i32,
) -> Result<(Vec<Uuid>, Option<TenantCursor>), ApiError> {
    let prefix = text.to_lowercase();
    let (mut ids, after) = match cursor {
        None if text.is_empty() => (Vec::new(), NamePosition::first(&prefix)),
        None => {
            let exact = operator.store.tenants_named(text, limit).await?;
            (exact, NamePosition::first(&prefix))
        }
        Some(TenantCursor::Name(name, tenant)) => (Vec::new(), NamePosition { name, tenant }),
        Some(_) => return Err(paging::foreign_cursor()),
    };
    let store = &operator.store;
    let found = store.tenants_by_name(&prefix, &after, limit).await?;
    let last = found.last().filter(|_| found.len() == limit as usize);
    let next = last.map(|last| TenantCursor::Name(last.name.clone(), last.tenant));
    for tenant in found.into_iter().map(|found| found.tenant) {
        if !ids.contains(&tenant) {
            ids.push(tenant);
        }
    }
    Ok((ids, next))
}

async fn describe(operator: &Operator, ids: &[Uuid]) -> Result<Vec<TenantRowView>, ApiError> {
    let summaries = operator.store.describe_tenants(ids).await?;
    let pauses = operator.store.pauses_over(ids).await?;
    let paused: HashSet<&str> = pauses.iter().map(|pause| pause.scope.as_str()).collect();
    let leases = leases(operator, ids).await;
    let now = Utc::now();
    let mut by_id: HashMap<Uuid, TenantRowView> = summaries
        .into_iter()
        .map(|summary| {
            let leases = leases.as_ref().map(|(of_tenants, all)| {
                let own = of_tenants.get(&summary.id).copied().unwrap_or_default();
                (own, *all)
            });
            let is_paused = paused.contains(summary.id.to_string().as_str());
            (summary.id, row(summary, is_paused, leases, now))
        })
        .collect();
    Ok(ids.iter().filter_map(|id| by_id.remove(id)).collect())
}

/// The leases of these tenants, and of all. `None` if Redis is away.
async fn leases(operator: &Operator, ids: &[Uuid]) -> Option<(HashMap<Uuid, u64>, u64)> {
    let reading = operator.snapshot.queue(&operator.queue).await;
    let (queue, _) = reading.value.filter(|_| reading.fault.is_none())?;
    let tenants: Vec<TenantId> = ids.iter().copied().map(TenantId).collect();
    let counts = promptly(operator.queue.leases_of(&tenants)).await?.ok()?;
    Some((
        ids.iter().copied().zip(counts).collect(),
        queue.stats.leased,
    ))
}

fn row(
    tenant: TenantSummary,
    is_paused: bool,
    leases: Option<(u64, u64)>,
    now: DateTime<Utc>,
) -> TenantRowView {
    let own = leases.map(|(own, _)| own);
    let (state, reason) = state_of(&tenant, is_paused, own.unwrap_or_default());
    let lag = tenant.read_at.filter(|_| !tenant.is_unread);
    TenantRowView {
        id: TenantId(tenant.id),
        created_at: tenant.created_at,
        state: state.to_owned(),
        reason,
        connections: TenantConnectionsView {
            active: tenant.active,
            stopped: tenant.stopped,
            ended: tenant.ended,
        },
        lag_seconds: lag.map(|at| (now - at).max(TimeDelta::zero()).num_seconds()),
        backlog: tenant.pending,
        due: tenant.due,
        failing: tenant.failing,
        dead_letters: tenant.dead_letters,
        leases: own,
        share: leases
            .filter(|(_, all)| *all > 0)
            .map(|(own, all)| (own as f64 / all as f64).min(1.0)),
        name: tenant.name,
    }
}

/// One word for a tenant, and why it waits. What keeps all of its work comes first.
fn state_of(tenant: &TenantSummary, is_paused: bool, leases: u64) -> (&'static str, String) {
    let said = |state, reason: &str| (state, reason.to_owned());
    if is_paused {
        return said("paused", "An operator has paused it.");
    }
    if tenant.active == 0 && tenant.stopped == 0 {
        return said("not_connected", "No workspace is connected.");
    }
    if tenant.stopped > 0 {
        return said("stopped", "A workspace has to be connected again.");
    }
    if let Some(code) = &tenant.blocked_code {
        let until = tenant.blocked_until;
        let until = until.map(|at| format!(" It is checked again at {}.", at.format("%H:%M UTC")));
        let reason = format!("Intercom refuses a stream: {code}.");
        return ("blocked", reason + until.as_deref().unwrap_or_default());
    }
    if tenant.dead_letters > 0 {
        return said(
            "dead_letter",
            "A stream failed too often and is retried rarely.",
        );
    }
    if tenant.failing > 0 {
        return said("retrying", "The last attempt failed, and another follows.");
    }
    match (leases, tenant.due) {
        (1.., _) => said("running", "A worker has it."),
        (0, 1..) => said("waiting", "It waits for its turn or for its rate limit."),
        _ => said("idle", "Nothing is due."),
    }
}

impl TenantCursor {
    fn encoded(&self) -> String {
        paging::encoded(self)
    }

    fn of(text: &str) -> Result<Self, ApiError> {
        paging::decoded(text, Self::is_storable)
    }

    /// Whether Postgres can compare it with what it has.
    fn is_storable(&self) -> bool {
        match self {
            Self::Lag(at, _) => {
                (DateTime::UNIX_EPOCH..=Utc::now() + TimeDelta::days(1)).contains(at)
            }
            Self::State(_) => true,
            Self::Name(name, _) => !name.contains('\0'),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_garbage_is_refused() {
        let tenant = Uuid::from_u128(7);
        for cursor in [
            TenantCursor::Lag(DateTime::UNIX_EPOCH, tenant),
            TenantCursor::State(tenant),
            TenantCursor::Name("acmé \"x\"".to_owned(), tenant),
        ] {
            let text = cursor.encoded();
            let read = TenantCursor::of(&text).unwrap();
            assert_eq!(format!("{read:?}"), format!("{cursor:?}"));
        }
        let far = TenantCursor::Lag(DateTime::<Utc>::MAX_UTC, tenant).encoded();
        let unstorable = TenantCursor::Name("a\0".to_owned(), tenant).encoded();
        for text in ["", "e30", "%", "bm90IGpzb24", &far, &unstorable] {
            assert!(TenantCursor::of(text).is_err(), "{text}");
        }
    }
}
