//! The shapes of the operators' calls. The handlers write them and the command line reads them, so a
//! member that changes its name fails to compile on both sides.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::{
    domain::{ConnectionId, TenantId},
    queue::{QueueStats, TicketCounts},
    store::{BulkAction, DeadLetter, OperatorEvent, Pause},
};
use uuid::Uuid;

use super::snapshot::PAUSES;

pub use crate::routes::sync_status::{
    AuditView, BlockedView, RateView, ReasonView, StreamStatusView, SyncStatusView,
    ThreadCountsView,
};

/// A page of dead letters, oldest first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DeadLettersView {
    /// How many open dead letters match the filter in all.
    pub count: i64,
    pub items: Vec<DeadLetterView>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<Uuid>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DeadLetterView {
    pub id: Uuid,
    #[schemars(with = "Uuid")]
    pub tenant_id: TenantId,
    /// `None` if it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_name: Option<String>,
    #[schemars(with = "Uuid")]
    pub connection_id: ConnectionId,
    pub stream: String,
    pub cause: String,
    pub attempts: i32,
    pub died_at: DateTime<Utc>,
    /// When the stream is retried on its own.
    pub next_attempt_at: Option<DateTime<Utc>>,
}

/// How many dead letters a retry or a drop changed, or would change. A call for one letter gives no `count` and no
/// `dry_run`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ChangedView {
    /// How many matched the filter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retried: Option<i64>,
}

/// A retry or a drop of all dead letters that match a filter, which the schedulers work through.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BulkView {
    pub id: Uuid,
    /// `retry` or `drop`.
    pub action: String,
    pub filter: BulkFilterView,
    /// Of the tenant that the filter names. `None` if it names none, or if it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_name: Option<String>,
    /// `queued`, `running`, `finished` or `cancelled`.
    pub status: String,
    /// Letters that were open when it was asked for. Once it is finished, those that were changed or skipped.
    pub total: i64,
    /// Letters that were changed.
    pub done: i64,
    /// Letters that needed no change any more: closed, due already, or of a connection that has ended.
    pub skipped: i64,
    /// Streams of the last batch that wait for a worker. The next batch begins when there are none.
    pub waiting: i64,
    /// `key` or `browser`.
    pub requested_by: String,
    /// The browser's session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<Uuid>,
    /// What the operator called itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    pub requested_at: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<DateTime<Utc>>,
}

/// Which letters a bulk action is about. Without a member: all open ones.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct BulkFilterView {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Uuid>")]
    pub tenant_id: Option<TenantId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// A bulk action that was asked for, with the members that a dry run has too.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BulkStartedView {
    #[serde(flatten)]
    pub action: BulkView,
    /// As `total`.
    pub count: i64,
    pub dry_run: bool,
}

/// A page of bulk actions, newest first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BulksView {
    pub items: Vec<BulkView>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<Uuid>,
}

/// A page of events, newest first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct EventsView {
    pub items: Vec<EventView>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<Uuid>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct EventView {
    pub id: Uuid,
    /// `workspace_shared`.
    pub code: String,
    pub message: String,
    #[schemars(with = "Uuid")]
    pub tenant_id: TenantId,
    /// `None` if it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_name: Option<String>,
    #[schemars(with = "Option<Uuid>")]
    pub connection_id: Option<ConnectionId>,
    pub workspace_id: Option<String>,
    pub happened_at: DateTime<Utc>,
}

/// Queue depth and age, and the pauses in force.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct QueuesView {
    pub classes: ClassesView,
    /// Those of the fleet and of classes, and then the newest 100 of tenants.
    pub paused: Vec<PauseView>,
    /// More tenants are paused.
    #[serde(default)]
    pub paused_more: bool,
    pub tickets: u64,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ClassesView {
    pub backfill: ClassView,
    pub fresh: ClassView,
}

/// Tickets of one class, by state.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ClassView {
    pub leased: u64,
    /// `None` if no ticket is ready.
    pub oldest_ready_age_seconds: Option<f64>,
    pub parked: u64,
    pub ready: u64,
    pub tenants: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PauseView {
    /// `fleet`, a class, or a tenant's id.
    pub scope: String,
    /// Of the tenant that is paused. `None` if it is none, or if it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_name: Option<String>,
    pub reason: Option<String>,
    pub paused_at: DateTime<Utc>,
    /// What the operator called itself.
    #[serde(default)]
    pub operator: Option<String>,
}

/// The answer to a pause or a resume.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PausedView {
    pub paused: bool,
    pub scope: String,
}

/// Why a tenant is in its state.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct WhyView {
    #[schemars(with = "Uuid")]
    pub tenant_id: TenantId,
    /// The most important part of the answer.
    pub sentence: String,
    /// The pauses that apply to the tenant: its own, a class's, the fleet's.
    pub paused: Vec<PauseView>,
    pub connections: Vec<WhyConnectionView>,
    /// Where each of its streams stands, the first thing to look at first. `None` if Redis is away.
    #[serde(default)]
    pub stages: Option<Vec<StageView>>,
}

/// A place in the way of work at which some streams of a tenant stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StageView {
    /// `stopped`, `blocked`, `paused`, `unticketed`, `ready`, `parked`, `retrying`, `running`, `scheduled` or `idle`.
    pub stage: String,
    /// How many streams.
    pub count: usize,
    pub sentence: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct WhyConnectionView {
    #[schemars(with = "Uuid")]
    pub id: ConnectionId,
    pub workspace_id: String,
    /// As REST names it.
    pub state: String,
    #[serde(flatten)]
    pub sync: SyncStatusView,
}

impl From<DeadLetter> for DeadLetterView {
    fn from(letter: DeadLetter) -> Self {
        Self {
            id: letter.id,
            tenant_id: TenantId(letter.tenant_id),
            tenant_name: None,
            connection_id: ConnectionId(letter.connection_id),
            stream: letter.stream,
            cause: letter.cause,
            attempts: letter.attempts,
            died_at: letter.died_at,
            next_attempt_at: letter.next_attempt_at,
        }
    }
}

impl PauseView {
    /// The pauses that a list shows, and whether there are more.
    pub(super) fn listed(pauses: &[Pause]) -> (Vec<Self>, bool) {
        let (mut listed, mut of_tenants) = (Vec::new(), 0);
        for pause in pauses {
            of_tenants += i64::from(Uuid::try_parse(&pause.scope).is_ok());
            if of_tenants > PAUSES {
                return (listed, true);
            }
            listed.push(Self::from(pause.clone()));
        }
        (listed, false)
    }
}

impl From<BulkAction> for BulkView {
    fn from(action: BulkAction) -> Self {
        Self {
            status: action.status().as_str().to_owned(),
            filter: BulkFilterView {
                tenant_id: action.tenant(),
                stream: action.stream,
                cause: action.cause,
            },
            tenant_name: None,
            id: action.id,
            action: action.action,
            total: action.total,
            done: action.done,
            skipped: action.skipped,
            waiting: action.waiting,
            requested_by: action.channel,
            session_id: action.session_id,
            operator: action.operator,
            requested_at: action.requested_at,
            started_at: action.started_at,
            finished_at: action.finished_at,
        }
    }
}

impl From<Pause> for PauseView {
    fn from(pause: Pause) -> Self {
        Self {
            scope: pause.scope,
            tenant_name: None,
            reason: pause.reason,
            paused_at: pause.paused_at,
            operator: pause.operator,
        }
    }
}

impl From<&QueueStats> for ClassesView {
    fn from(stats: &QueueStats) -> Self {
        let class =
            |counts: TicketCounts, tenants, oldest: Option<std::time::Duration>| ClassView {
                leased: counts.leased,
                oldest_ready_age_seconds: oldest.map(|age| age.as_secs_f64()),
                parked: counts.parked,
                ready: counts.ready,
                tenants,
            };
        Self {
            backfill: class(
                stats.backfill,
                stats.backfill_tenants,
                stats.oldest_backfill,
            ),
            fresh: class(stats.fresh, stats.fresh_tenants, stats.oldest_fresh),
        }
    }
}

impl From<OperatorEvent> for EventView {
    fn from(event: OperatorEvent) -> Self {
        let workspace = event.workspace_id.as_deref().unwrap_or("?");
        let others = match event.others {
            1 => "1 other tenant has".to_owned(),
            n => format!("{n} other tenants have"),
        };
        Self {
            message: format!(
                "connected workspace {workspace}, which {others} connected as well: check that this tenant may read it"
            ),
            id: event.id,
            code: event.code,
            tenant_id: TenantId(event.tenant_id),
            tenant_name: None,
            connection_id: event.connection_id.map(ConnectionId),
            workspace_id: event.workspace_id,
            happened_at: event.happened_at,
        }
    }
}
