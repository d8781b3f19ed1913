//! Postgres: the truth. The only place with SQL.
//!
//! A tenant's rows are reached through a [`Tx`] only. The transaction carries the tenant, so that
//! row-level security holds, and each of its statements says `tenant_id = $1` as well. Its type names
//! the database role, so that a method which the role has no grant for does not compile (see
//! [`roles`]). No bare connection leaves this module.

mod api_keys;
mod audits;
mod companies;
mod connections;
mod contacts;
mod conversations;
mod disconnect;
mod error;
mod idempotency;
mod migrate;
mod oauth_flows;
mod operations;
mod outcomes;
mod planning;
mod quarantine;
pub mod reads;
mod replays;
pub mod roles;
mod run_requests;
mod slices;
mod sweeps;
mod tenants;
mod threads;
mod tx;
mod walks;
mod written;

use std::{marker::PhantomData, time::Duration};

use sqlx::{
    AssertSqlSafe, Connection as _, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

pub use api_keys::{ApiKey, KeyHolder};
pub use audits::{Audit, HeldPart, SampledThread};
pub use companies::Wants;
pub use connections::{Connection, ConnectionError, ConnectionState};
pub use conversations::Seen;
pub use disconnect::AfterDisconnect;
pub use error::StoreError;
pub use idempotency::Claim;
pub use migrate::{SCHEMA, check, migrate};
pub use oauth_flows::{BurntFlow, FlowFate, NewWorkspace};
pub use operations::{DeadFilter, DeadLetter, Pause};
pub use outcomes::{Failed, Tally};
pub use planning::Due;
pub use replays::Quarantined;
use roles::DbRole;
pub use run_requests::RunRequest;
pub use slices::{Begun, SliceKey, StreamState};
pub use tenants::Tenant;
pub use threads::{FetchedThread, PendingThread, ThreadBacklog, ThreadFate};
pub use tx::Tx;
pub use walks::WalkEnd;
pub use written::Written;
use written::{last_of_each, to_json};

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
    pub async fn begin(&self, tenant: TenantId) -> Result<Tx<R>, StoreError> {
        Tx::begin(&self.pool, tenant).await
    }

    /// Whether Postgres answers.
    ///
    /// # Errors
    /// When it does not.
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
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Whether this DSN's login bypasses row-level security. `SET ROLE` narrows such a login, but one
/// `RESET ROLE` would undo that.
///
/// # Errors
/// When Postgres cannot be reached.
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
