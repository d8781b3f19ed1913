//! Postgres, which is the truth. No other layer has SQL.
//!
//! A tenant's rows are reached through a [`Tx`] only. The transaction carries the tenant, so that
//! row-level security holds, and each of its statements says `tenant_id = $1` as well. Its type names
//! the database role, so that a method which the role has no grant for does not compile (see
//! [`roles`]). No bare connection leaves this module.

mod absences;
mod access_tokens;
mod api_keys;
mod audit_events;
mod audits;
mod batch;
mod browser_sessions;
mod bulk_actions;
mod bulk_work;
mod changes;
mod companies;
mod company_conversations;
mod company_fetches;
mod connecting;
mod connection_lifecycle;
mod connections;
mod contact_links;
mod contacts;
mod conversations;
mod database;
mod dead_letters;
mod erasures;
mod error;
mod events;
mod fleet_facts;
mod fleet_view;
mod grants;
mod idempotency;
mod identities;
mod merge_rules;
mod migrate;
mod neighbours;
mod noted_changes;
mod noted_neighbours;
mod oauth_flows;
mod operator_actions;
mod operator_events;
mod participants;
mod parts;
mod pauses;
mod pooled;
mod postgres_fault;
mod purge;
mod quarantine;
pub mod raw;
mod readiness;
pub mod reads;
mod reference_items;
mod retention;
pub mod roles;
mod runs;
mod scheduled;
mod sealing_keys;
mod search;
mod server_facts;
mod session;
mod sessions;
mod set_aside;
mod shares;
mod sources;
mod splits;
mod statistics;
mod streams;
mod tenant_view;
mod tenants;
mod thread_counts;
mod threads;
mod tls_fault;
mod tombstones;
mod tx;
mod versions;

use std::marker::PhantomData;

pub use api_keys::{ApiKey, KeyHolder};
pub use audit_events::{AuditEvent, AuditEventFilter};
pub use audits::{AuditResult, HeldPart, SampledThread};
pub use batch::WriteSummary;
pub use browser_sessions::{BrowserSession, LinkFate, SignInLink, StartedSession};
pub use bulk_actions::{BulkAction, BulkKind, BulkStatus};
pub use bulk_work::BulkStep;
pub use company_fetches::CompanyFetches;
pub use connection_lifecycle::AfterDisconnect;
pub use connections::{Connection, ConnectionError, ConnectionState};
pub use conversations::Seen;
pub use database::{Database, login_is_unbound};
pub use dead_letters::{DeadLetter, DeadLetterCause, DeadLetterFilter};
pub use erasures::Erasure;
pub use error::StoreError;
pub use events::WrittenEvents;
pub use fleet_facts::FleetFacts;
pub use fleet_view::{FleetCounts, LagPosition, NamePosition, TenantSummary};
pub use grants::{GrantOutcome, grant_roles};
pub use idempotency::Claim;
pub use identities::{BlockedChange, PartedContact, RecordIdentities, SplitFault};
pub use migrate::{check, migrate, schema};
pub use oauth_flows::{BurntFlow, FlowFate, FlowOrigin, NewFlow, NewWorkspace, StartPage};
pub use operator_actions::{
    ActionOrigin, ActionSubject, OperatorAction, OperatorActionKind, OperatorChannel,
};
pub use operator_events::OperatorEvent;
pub use pauses::Pause;
pub use postgres_fault::{MigrationFault, PostgresFault};
pub use quarantine::QuarantinedObject;
pub use readiness::NotReady;
pub use retention::{EndedKind, Removal};
use roles::{DbRole, RoleName};
pub use runs::RunRequest;
pub use scheduled::{SchedulePosition, ScheduledStream};
pub use sealing_keys::SealingKey;
pub use search::{FoundDocument, SearchCandidate, SearchDocument, SearchProgress, WordQuery};
pub use server_facts::{PostgresFacts, postgres_facts};
pub use set_aside::{DueRetry, Retry, SetAside};
pub use sources::ConnectedSource;
pub use splits::StoredSplit;
pub use streams::{
    ClaimedStream, CursorAfterFailure, Due, ProofDelta, SliceKey, StreamClaim, StreamRefusals,
    WalkEnd,
};
pub use tenant_view::{HeldObject, StreamWork};
pub use tenants::CreatedTenant;
pub use threads::{DueThreads, FailedThread, FetchedThread, PendingThread, ThreadBacklog};
pub use tx::Tx;

use sessions::Sessions;
use shares::Share;
use sqlx::postgres::PgRow;

use crate::{config::DatabaseConfig, domain::TenantId};

/// Sessions whose transactions have role `R`. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store<R> {
    sessions: Sessions,
    role: PhantomData<R>,
}

pub type ApiStore = Store<roles::Api>;
pub type OauthStore = Store<roles::Oauth>;
pub type WorkerStore = Store<roles::Worker>;
pub type SchedulerStore = Store<roles::Scheduler>;
pub type OperatorStore = Store<roles::Operator>;
pub type SourcesStore = Store<roles::Sources>;

pub type ApiTx = Tx<roles::Api>;
pub type OauthTx = Tx<roles::Oauth>;
pub type WorkerTx = Tx<roles::Worker>;
pub type OperatorTx = Tx<roles::Operator>;
pub type SourcesTx = Tx<roles::Sources>;

impl<R: DbRole> Store<R> {
    /// Opens a pool of its own, for a program that is no process of the fleet (see [`Database`]). Connects once, so that
    /// a wrong DSN is known at start.
    ///
    /// # Errors
    /// When Postgres cannot be reached.
    #[tracing::instrument(name = "db.connect", level = "debug", skip_all)]
    pub async fn connect(config: &DatabaseConfig, connections: u32) -> Result<Self, StoreError> {
        let connections = connections as usize;
        let sessions = Sessions::new(config, connections, Share::whole(connections))?;
        sessions.probe().await?;
        Ok(Self::of(sessions))
    }

    const fn of(sessions: Sessions) -> Self {
        Self {
            sessions,
            role: PhantomData,
        }
    }

    /// A transaction that sees and writes this tenant's rows and no other's.
    ///
    /// # Errors
    /// When no session can be had, or the login may not take the role.
    #[tracing::instrument(name = "db.begin", level = "debug", skip_all)]
    pub async fn begin(&self, tenant: TenantId) -> Result<Tx<R>, StoreError> {
        Tx::begin(&self.sessions, Some(tenant)).await
    }

    /// A transaction for what belongs to no tenant. It sees no tenant's rows.
    async fn begin_for_all(&self) -> Result<Tx<R>, StoreError> {
        Tx::begin(&self.sessions, None).await
    }

    /// What a statement answers that belongs to no tenant, by one round trip.
    async fn ask(&self, statement: &str) -> Result<Vec<PgRow>, StoreError> {
        Ok(self.sessions.ask(RoleName::of::<R>(), statement).await?)
    }

    /// Whether Postgres answers.
    ///
    /// # Errors
    /// When it does not.
    #[tracing::instrument(name = "db.ping", level = "debug", skip_all)]
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.begin_for_all().await.map(drop)
    }

    /// Sessions open and idle.
    #[must_use]
    pub fn pool_use(&self) -> (u32, usize) {
        self.sessions.usage()
    }

    /// Closes the sessions after the work that holds them.
    #[tracing::instrument(name = "db.close", level = "debug", skip_all)]
    pub async fn close(&self) {
        self.sessions.close().await;
    }
}
