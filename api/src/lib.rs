//! The API: REST under `/v1`, and the pages that connect a workspace.
//!
//! `router.rs` lists every route with the key that it needs. The gate before a route (`caller.rs`)
//! proves the tenant, `envelope.rs` gives every request its id, its span and its time limit, and every
//! error leaves in one form (`error.rs`).

mod caller;
mod codes;
mod conditional;
mod cookie;
mod cors;
mod docs;
mod envelope;
mod erasure;
mod error;
mod extract;
mod idempotency;
mod limits;
mod mcp;
mod oauth;
pub mod openapi;
pub mod ops;
mod page;
mod pages;
mod pending;
mod problems;
mod purge;
mod router;
mod routes;
mod serve;

use std::sync::Arc;

use shared::{
    authorization::{AuthorizationServer, NoClient},
    config::{Config, ProcessRole},
    intercom::Intercom,
    pacing::PacingError,
    pulse::Pulse,
    queue::{Queue, QueueError},
    shutdown::{self, Shutdown},
    store::{ApiStore, Database, OauthStore, SourcesStore, StoreError},
    sync::connect::ConnectContext,
    vault::{self, KeyRing, KeyRingError},
};
use tokio::net::TcpListener;

use erasure::Erasing;
use limits::Limits;
use purge::Purge;

pub use codes::Code;
pub use error::{FieldError, Problem};

/// What the handlers work with. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Api {
    config: Arc<Config>,
    vault: Arc<KeyRing>,
    store: ApiStore,
    sources_store: SourcesStore,
    connect: ConnectContext,
    queue: Queue,
    service_key_sha256: [u8; 32],
    limits: Arc<Limits>,
    /// Whose tokens the tools take beside keys.
    authorization: Option<AuthorizationServer>,
    /// Beats while connections are accepted.
    pulse: Pulse,
}

impl Api {
    /// The API over servers that the caller has opened. Its tools take keys only.
    #[must_use]
    pub fn new(
        config: Arc<Config>,
        vault: Arc<KeyRing>,
        store: ApiStore,
        oauth_store: OauthStore,
        sources_store: SourcesStore,
        intercom: Intercom,
        queue: Queue,
    ) -> Self {
        let connect = ConnectContext {
            store: oauth_store,
            vault: Arc::clone(&vault),
            intercom,
            config: Arc::clone(&config),
        };
        let limits = Arc::new(Limits::new(&config.rest));
        let service_key_sha256 = vault::sha256(config.service_key.expose().as_bytes());
        Self {
            config,
            vault,
            store,
            sources_store,
            connect,
            queue,
            service_key_sha256,
            limits,
            authorization: None,
            pulse: Pulse::default(),
        }
    }

    /// The API of a process that has this database.
    ///
    /// # Errors
    /// If a setting cannot be used. Redis may be away.
    pub fn open(config: Arc<Config>, database: &Database) -> Result<Self, StartError> {
        let vault = Arc::new(KeyRing::parse(config.encryption_keys.expose())?);
        let (store, oauth_store) = (database.store(), database.store());
        let intercom = Intercom::new(&config)?;
        let queue = Queue::connect(&config)?;
        let authorization = AuthorizationServer::of(&config)?;
        let api = Self::new(
            config,
            vault,
            store,
            oauth_store,
            database.store(),
            intercom,
            queue,
        );
        Ok(Self {
            authorization,
            ..api
        })
    }

    /// Beats while connections are accepted.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// Serves until `shutdown`, then finishes the requests under way, within the drain limit.
    ///
    /// # Errors
    /// If the listener fails.
    pub async fn serve(self, listener: TcpListener, shutdown: Shutdown) -> std::io::Result<()> {
        let purges = tokio::spawn(pending::rounds::<Purge>(
            self.store.clone(),
            shutdown.clone(),
        ));
        let erasures = tokio::spawn(pending::rounds::<Erasing>(
            self.store.clone(),
            shutdown.clone(),
        ));
        let (drain, pulse) = (self.config.drain_limit, self.pulse.clone());
        serve::serve(listener, self.router(), shutdown, drain, pulse).await;
        let _ = erasures.await;
        // The purges and erasures end with the same shutdown. An interrupted one stays pending in Postgres, so any
        // API process can finish it.
        let _ = purges.await;
        Ok(())
    }
}

/// Runs the API alone: opens it, listens on `config.listen`, serves until `shutdown`.
/// The address that was bound is printed to stderr, because port 0 picks any.
///
/// # Errors
/// See [`StartError`].
pub async fn run(config: Arc<Config>, shutdown: Shutdown) -> Result<(), StartError> {
    let address = config.listen;
    let database = Database::open(&config, ProcessRole::Api).await?;
    let api = Api::open(config, &database)?;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| StartError::Listen(address, error))?;
    let bound = listener
        .local_addr()
        .map_err(|error| StartError::Listen(address, error))?;
    eprintln!("api listening on http://{bound}");
    let served = api.serve(listener, shutdown).await;
    shutdown::close(database.close_all()).await;
    served.map_err(|error| StartError::Listen(address, error))
}

/// The API could not start, or it ended.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the encryption keys cannot be used")]
    Keys(#[from] KeyRingError),
    #[error("the database cannot be used, so check that it is reachable and migrated")]
    Store(#[from] StoreError),
    #[error("the intercom client could not be made")]
    Intercom(#[from] shared::intercom::Error),
    #[error(transparent)]
    AuthorizationServer(#[from] NoClient),
    #[error("the queue cannot be used, so check the redis url")]
    Queue(#[from] QueueError),
    #[error("the rate ledger cannot be used, so check the redis url")]
    Pacing(#[from] PacingError),
    #[error("could not listen on {0}")]
    Listen(std::net::SocketAddr, #[source] std::io::Error),
}
