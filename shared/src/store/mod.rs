//! Postgres, which is the truth. No other layer has SQL.
//!
//! A tenant's rows are reached through a [`Tx`] only. The transaction carries the tenant, so that
//! row-level security holds, and each of its statements says `tenant_id = $1` as well. Its type names
//! the database role, so that a method which the role has no grant for does not compile (see
//! [`roles`]). No bare connection leaves this module.

mod absences;
mod access_tokens;
mod api_keys;
mod audits;
mod batch;
mod changes;
mod companies;
mod company_fetches;
mod connection_lifecycle;
mod connections;
mod contact_links;
mod contacts;
mod conversations;
mod dead_letters;
mod error;
mod idempotency;
mod migrate;
mod oauth_flows;
mod operator_events;
mod participants;
mod parts;
mod pauses;
mod purge;
mod quarantine;
mod readiness;
pub mod reads;
mod reference_items;
pub mod roles;
mod runs;
mod set_aside;
mod streams;
mod tenants;
mod threads;
mod tombstones;
mod tx;

use std::{marker::PhantomData, time::Duration};

use sqlx::{
    AssertSqlSafe, Connection as _, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

pub use api_keys::{ApiKey, KeyHolder};
pub use audits::{AuditResult, HeldPart, SampledThread};
pub use batch::WriteSummary;
pub use company_fetches::CompanyFetches;
pub use connection_lifecycle::AfterDisconnect;
pub use connections::{Connection, ConnectionError, ConnectionState};
pub use conversations::Seen;
pub use dead_letters::{DeadLetter, DeadLetterFilter};
pub use error::StoreError;
pub use idempotency::Claim;
pub use migrate::{check, migrate, schema};
pub use oauth_flows::{BurntFlow, FlowFate, NewWorkspace, StartPage};
pub use operator_events::OperatorEvent;
pub use pauses::Pause;
pub use quarantine::QuarantinedObject;
pub use readiness::NotReady;
use roles::DbRole;
pub use runs::RunRequest;
pub use set_aside::{DueRetry, Retry, SetAside};
pub use streams::{
    ClaimedStream, CursorAfterFailure, Due, ProofDelta, SliceKey, StreamClaim, StreamRefusals,
    WalkEnd,
};
pub use tenants::CreatedTenant;
pub use threads::{DueThreads, FailedThread, FetchedThread, PendingThread, ThreadBacklog};
pub use tx::Tx;

use crate::domain::{Secret, TenantId};

/// A pool of sessions that all have role `R`. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store<R> {
    pool: PgPool,
    role: PhantomData<R>,
}

pub type ApiStore = Store<roles::Api>;
pub type OauthStore = Store<roles::Oauth>;
pub type WorkerStore = Store<roles::Worker>;
pub type SchedulerStore = Store<roles::Scheduler>;
pub type OperatorStore = Store<roles::Operator>;

pub type ApiTx = Tx<roles::Api>;
pub type OauthTx = Tx<roles::Oauth>;
pub type WorkerTx = Tx<roles::Worker>;
pub type OperatorTx = Tx<roles::Operator>;

impl<R: DbRole> Store<R> {
    /// Opens a pool whose sessions take role `R`. Connects once, so a wrong DSN is known at start.
    ///
    /// # Errors
    /// When Postgres cannot be reached or the login may not take the role (not migrated yet).
    #[tracing::instrument(name = "db.connect", level = "debug", skip_all)]
    pub async fn connect(url: &Secret, connections: u32) -> Result<Self, StoreError> {
        let options: PgConnectOptions = url.expose().parse()?;
        let options = options.application_name(R::NAME);
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(Duration::from_secs(10))
            .after_connect(move |session, _| {
                Box::pin(async move {
                    // Every statement names its tenant and is prepared once: the generic plan is the right one, and
                    // planning again costs more than it finds. A page is too small for parallel workers.
                    let statement = format!(
                        "SET ROLE {}; SET plan_cache_mode = force_generic_plan; SET max_parallel_workers_per_gather = 0",
                        R::NAME
                    );
                    sqlx::raw_sql(AssertSqlSafe(statement)).execute(session).await?;
                    Ok(())
                })
            })
            .connect_with(options)
            .await?;
        Ok(Self {
            pool,
            role: PhantomData,
        })
    }

    /// A transaction that sees and writes this tenant's rows and no other's.
    ///
    /// # Errors
    /// When no session can be had.
    #[tracing::instrument(name = "db.begin", level = "debug", skip_all)]
    pub async fn begin(&self, tenant: TenantId) -> Result<Tx<R>, StoreError> {
        Tx::begin(&self.pool, tenant).await
    }

    /// A transaction for what belongs to no tenant. It sees no tenant's rows.
    async fn begin_for_all(&self) -> Result<Tx<R>, StoreError> {
        Tx::begin(&self.pool, TenantId(uuid::Uuid::nil())).await
    }

    /// Whether Postgres answers.
    ///
    /// # Errors
    /// When it does not.
    #[tracing::instrument(name = "db.ping", level = "debug", skip_all)]
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }

    /// Sessions open and idle, for `pathbound_db_pool_connections`.
    #[must_use]
    pub fn pool_use(&self) -> (u32, usize) {
        (self.pool.size(), self.pool.num_idle())
    }

    /// Closes the sessions after the work that holds them.
    #[tracing::instrument(name = "db.close", level = "debug", skip_all)]
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Whether this DSN's login bypasses row-level security. `SET ROLE` narrows such a login, but one
/// `RESET ROLE` would undo that.
///
/// # Errors
/// When Postgres cannot be reached.
#[tracing::instrument(name = "db.login_is_unbound", level = "debug", skip_all)]
pub async fn login_is_unbound(url: &Secret) -> Result<bool, StoreError> {
    let options: PgConnectOptions = url.expose().parse()?;
    let mut session = sqlx::PgConnection::connect_with(&options).await?;
    let unbound = sqlx::query_scalar(
        "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = session_user",
    )
    .fetch_one(&mut session)
    .await?;
    session.close().await?;
    Ok(unbound)
}
