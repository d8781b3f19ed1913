//! The shapes of the calls about the whole fleet, its tenants and its tickets.

use std::fmt;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::domain::{ConnectionId, RunId, TenantId};
use uuid::Uuid;

use super::views::{
    ClassesView, DeadLetterView, PauseView, RateView, ReasonView, StageView, StreamStatusView,
    ThreadCountsView,
};

/// A number that was counted up to a cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CountView {
    pub count: i64,
    /// There are more than these.
    pub more: bool,
}

impl fmt::Display for CountView {
    /// `7`, and `10000+` if there are more.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.count, if self.more { "+" } else { "" })
    }
}

/// The fleet at a glance. Both parts are read once a second at most, and all callers of a process share them.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct OverviewView {
    /// `running`, `idle`, `paused`, `stalled` or `unknown`.
    pub state: String,
    pub sentence: String,
    /// From Redis.
    pub queue: PartView<QueuePartView>,
    /// From Postgres.
    pub fleet: PartView<FleetPartView>,
    /// From Redis, and good for ten seconds.
    pub rate: PartView<RatePartView>,
}

/// How much of all its rate budgets the fleet uses.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RatePartView {
    /// The last windows whose ends have passed, the last one first.
    pub windows: Vec<RateWindowView>,
    /// Budgets that had no call left in the last of them, the largest first, 20 at most.
    pub at_limit: Vec<BudgetView>,
    /// How many they are in all.
    pub at_limit_count: u64,
}

/// The windows of all budgets that ended within the same ten seconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RateWindowView {
    pub ends_at: DateTime<Utc>,
    /// Budgets that the fleet has called with.
    pub budgets: u64,
    /// Calls of the fleet.
    pub calls: u64,
    /// Calls that the fleet was allowed.
    pub allowed: u64,
}

/// The use of one rate budget.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BudgetView {
    /// The workspace's id, or `(app:REGION)`.
    pub budget: String,
    /// Calls of the fleet.
    pub calls: u64,
    /// Calls that Intercom counted, those of other apps included.
    pub used: u64,
    /// The fleet's share of the limit.
    pub allowed: u64,
}

/// What was last read from one server.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PartView<T> {
    /// `None` if it was never read.
    pub read_at: Option<DateTime<Utc>>,
    pub age_seconds: Option<f64>,
    /// Why the last attempt failed. `data` is then what was read before.
    pub fault: Option<String>,
    pub data: Option<T>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct QueuePartView {
    pub tickets: u64,
    pub classes: ClassesView,
    /// Those that have reported within a minute.
    pub workers: Vec<WorkerView>,
    /// The last 60 minutes, the oldest first. The last one is not over yet.
    #[serde(default)]
    pub minutes: Vec<MinuteView>,
    /// How many workers each pool should have, as one scheduler has measured last. Empty until it has measured for half a
    /// minute.
    #[serde(default)]
    pub pools: Vec<PoolView>,
}

/// How many workers a pool should have.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PoolView {
    /// `all` for workers that take both classes, `fresh` or `backfill`.
    pub pool: String,
    pub desired_workers: u32,
    /// What keeps the number where it is: `work`, `rate_budgets`, `minimum` or `maximum`.
    pub bound: String,
    /// The same for people.
    pub sentence: String,
    /// Slots that the due work needs.
    pub needed_slots: f64,
    /// Slots that rate budgets can feed at once.
    pub fed_slots: f64,
}

/// What the fleet did in one minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MinuteView {
    /// When it began, by Redis' clock.
    pub at: DateTime<Utc>,
    /// Slices that ended.
    pub slices: u64,
    /// Those of them whose work could not be done.
    pub failures: u64,
    /// Calls to Intercom that they have sent.
    pub calls: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct WorkerView {
    pub name: String,
    pub host: String,
    pub process: u32,
    pub version: String,
    /// The class that it takes tickets of, `fresh` or `backfill`, or `all`.
    #[serde(default)]
    pub pool: String,
    pub slots: usize,
    pub busy: usize,
    /// It takes no more work, and finishes what it has.
    pub draining: bool,
    pub uptime_seconds: u64,
    /// Since its last report, which comes every four seconds.
    pub silence_seconds: f64,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FleetPartView {
    pub tenants: CountView,
    pub connections: ConnectionCountsView,
    /// Open ones.
    pub dead_letters: CountView,
    /// Streams that are due and have no ticket yet. More than a few mean that no scheduler works.
    pub unticketed: CountView,
    pub oldest_unticketed_at: Option<DateTime<Utc>>,
    /// The tenant whose contacts or conversations were read longest ago.
    pub furthest_behind: Option<FurthestView>,
    /// Those of the fleet and of classes, and then the newest 100 of tenants.
    pub paused: Vec<PauseView>,
    /// More tenants are paused.
    #[serde(default)]
    pub paused_more: bool,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionCountsView {
    pub active: CountView,
    pub reauth_required: CountView,
    pub error: CountView,
    pub disconnected: CountView,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FurthestView {
    #[schemars(with = "Uuid")]
    pub tenant_id: TenantId,
    /// `None` if it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_name: Option<String>,
    /// `None` if it was never read to the end.
    pub last_read_at: Option<DateTime<Utc>>,
}

/// A page of tenants.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TenantsView {
    pub items: Vec<TenantRowView>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// One tenant of a list.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TenantRowView {
    #[schemars(with = "Uuid")]
    pub id: TenantId,
    pub name: String,
    pub created_at: DateTime<Utc>,
    /// `paused`, `not_connected`, `stopped`, `blocked`, `dead_letter`, `retrying`, `running`, `waiting` or `idle`.
    pub state: String,
    /// Why it waits, or what it does.
    pub reason: String,
    pub connections: TenantConnectionsView,
    /// Since its contacts and conversations were read to the end, by the one that is further behind. `None` if one never was.
    pub lag_seconds: Option<i64>,
    /// Threads to be fetched.
    pub backlog: i64,
    /// Streams that are due now.
    pub due: i64,
    /// Streams whose last attempt failed.
    pub failing: i64,
    pub dead_letters: i64,
    /// Slices that run now. `None` if Redis is away.
    pub leases: Option<u64>,
    /// Its part of all slices that run now.
    pub share: Option<f64>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TenantConnectionsView {
    pub active: i64,
    /// They stand still until the customer or an operator acts.
    pub stopped: i64,
    pub ended: i64,
}

/// One tenant.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TenantView {
    #[schemars(with = "Uuid")]
    pub id: TenantId,
    pub name: String,
    pub created_at: DateTime<Utc>,
    /// As `why` says it.
    pub sentence: String,
    /// The pauses that apply to the tenant.
    pub paused: Vec<PauseView>,
    pub connections: Vec<TenantConnectionView>,
    /// Open ones, oldest first, 50 at most.
    pub dead_letters: Vec<DeadLetterView>,
    /// Its tickets that are live now. `None` if Redis is away.
    pub jobs: Option<Vec<JobView>>,
    /// Where each of its streams stands. `None` if Redis is away.
    #[serde(default)]
    pub stages: Option<Vec<StageView>>,
}

/// A connection of a tenant.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TenantConnectionView {
    #[schemars(with = "Uuid")]
    pub id: ConnectionId,
    pub workspace_id: String,
    pub state: String,
    pub connected_at: DateTime<Utc>,
    pub complete: bool,
    pub sentence: String,
    pub reasons: Vec<ReasonView>,
    pub notes: Vec<ReasonView>,
    pub streams: Vec<TenantStreamView>,
    pub threads: ThreadCountsView,
    pub eta_seconds: Option<u64>,
    pub rate: Option<RateView>,
    /// The newest runs, newest first.
    pub runs: Vec<TenantRunView>,
    pub quarantine: QuarantineView,
}

/// A stream of a connection.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TenantStreamView {
    /// Where it stands on its way from due to done, as `stages` names it. `None` if Redis is away or its connection has ended.
    #[serde(default)]
    pub stage: Option<String>,
    #[serde(flatten)]
    pub status: StreamStatusView,
    pub work: Option<StreamWorkView>,
}

/// The work of a stream, as Postgres has it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct StreamWorkView {
    pub due_at: Option<DateTime<Utc>>,
    pub ticketed_at: Option<DateTime<Utc>>,
    pub fence: i64,
    /// Attempts in a row that failed.
    pub attempts: i32,
    pub restarts: i32,
    /// The mode that the next walk has to have.
    pub next_mode: String,
    /// When it last stored an object.
    pub progress_at: Option<DateTime<Utc>>,
    pub last_error: Option<String>,
    /// When the first of these attempts failed, and the last.
    #[serde(default)]
    pub failing_since: Option<DateTime<Utc>>,
    #[serde(default)]
    pub failed_at: Option<DateTime<Utc>>,
}

/// A run that was asked for.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TenantRunView {
    #[schemars(with = "Uuid")]
    pub id: RunId,
    pub mode: String,
    pub streams: Vec<String>,
    pub status: String,
    pub requested_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    /// Why it did not succeed.
    pub error: Option<String>,
}

/// Objects in quarantine.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct QuarantineView {
    /// Objects that could not be read, by kind.
    pub unreadable: Vec<KindCountView>,
    /// Records that Intercom did not give, by kind.
    pub set_aside: Vec<KindCountView>,
    /// Some of them, with their values covered.
    pub examples: Vec<HeldObjectView>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct KindCountView {
    pub kind: String,
    pub count: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct HeldObjectView {
    pub kind: String,
    pub source_id: String,
    pub last_seen_at: DateTime<Utc>,
    pub set_aside: bool,
    pub trouble: Option<String>,
    pub next_try_at: Option<DateTime<Utc>>,
    /// Why it could not be read. What the reason quotes is covered.
    #[serde(default)]
    pub masked_reason: Option<String>,
    /// The JSON that was received. Letters of values are `x`, digits are `0`.
    #[serde(default)]
    pub masked_raw: Option<String>,
}

/// A page of streams that become due, soonest first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ScheduleView {
    /// The time from which the page shows.
    pub from: DateTime<Utc>,
    pub items: Vec<ScheduledView>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// A stream that becomes due.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ScheduledView {
    pub due_at: DateTime<Utc>,
    #[schemars(with = "Uuid")]
    pub tenant_id: TenantId,
    /// `None` if it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_name: Option<String>,
    #[schemars(with = "Uuid")]
    pub connection_id: ConnectionId,
    pub stream: String,
    /// `first_sync`, `poll`, `full`, `reconcile`, `continue`, `retry`, `recheck` or `probe`.
    pub what: String,
    pub sentence: String,
    /// A pause is in force, so it only gets its ticket.
    #[serde(default)]
    pub paused: bool,
    /// Attempts in a row that failed.
    pub attempts: i32,
    pub last_error: Option<String>,
}

/// A page of tickets.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct JobsView {
    pub items: Vec<JobView>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<u32>,
}

/// A live ticket.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct JobView {
    /// The ticket, which is its id.
    pub id: String,
    /// `ready`, `leased` or `parked`.
    pub state: String,
    #[schemars(with = "Uuid")]
    pub tenant_id: TenantId,
    /// `None` if it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_name: Option<String>,
    #[schemars(with = "Uuid")]
    pub connection_id: ConnectionId,
    pub stream: String,
    pub class: String,
    /// When it became ready.
    pub ready_since: Option<DateTime<Utc>>,
    /// When its lease ends, or when it becomes ready.
    pub until: Option<DateTime<Utc>>,
    pub fence: Option<i64>,
    /// How many leases in a row expired.
    pub crashes: Option<u32>,
    /// Ready tickets of the tenant behind this one.
    pub behind: Option<u64>,
    /// In an answer about one ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work: Option<StreamWorkView>,
}

/// Open dead letters by their cause, the most frequent first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CausesView {
    pub items: Vec<CauseView>,
}

/// Open dead letters with one cause.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CauseView {
    pub cause: String,
    pub letters: i64,
    pub tenants: i64,
    pub first_died_at: DateTime<Utc>,
    pub last_died_at: DateTime<Utc>,
}

/// A page of what operators have done, newest first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ActionsView {
    pub items: Vec<ActionView>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<Uuid>,
}

/// Something that an operator has done.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ActionView {
    pub id: Uuid,
    pub at: DateTime<Utc>,
    pub action: String,
    /// `key` or `browser`.
    pub channel: String,
    /// The browser's session.
    pub session_id: Option<Uuid>,
    /// What the operator called itself.
    #[serde(default)]
    pub operator: Option<String>,
    #[schemars(with = "Option<Uuid>")]
    pub tenant_id: Option<TenantId>,
    /// `None` if it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_name: Option<String>,
    pub subject: String,
    pub reason: Option<String>,
    /// How many rows it changed.
    pub changed: i64,
}

impl TenantStreamView {
    /// The state in a word. What should run and waits says for what.
    #[must_use]
    pub fn state(&self) -> &str {
        match (self.status.status.as_str(), &self.stage) {
            ("running", Some(stage)) => stage,
            (status, _) => status,
        }
    }
}
