//! The API: REST under `/v1`, and the pages that connect a workspace.
//!
//! `router.rs` lists every route with the key that it needs. The gate before a route (`caller.rs`)
//! proves the tenant, `envelope.rs` gives every request its id, its span and its time limit, and every
//! error leaves in one form (`error.rs`).

mod caller;
mod envelope;
mod error;
mod extract;
mod idempotency;
mod oauth;
pub mod ops;
mod page;
mod problems;
mod purge;
mod router;
mod routes;
mod serve;
pub mod text;

use std::sync::Arc;

use shared::{
    config::Config,
    intercom::Intercom,
    pulse::Pulse,
    queue::{Queue, QueueError},
    shutdown::{self, Shutdown},
    store::{ApiStore, OauthStore, StoreError},
    sync::connect::ConnectContext,
    vault::{self, KeyRing, KeyRingError},
};
use tokio::net::TcpListener;

pub use error::{FieldError, Problem};

/// A larger body is refused before it is read.
const BODY_LIMIT: usize = 256 * 1024;

/// Database sessions for connecting. Even on a busy day only a few browsers connect at once.
const OAUTH_SESSIONS: u32 = 4;

/// What the handlers work with. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Api {
    config: Arc<Config>,
    vault: Arc<KeyRing>,
    store: ApiStore,
    connect: ConnectContext,
    queue: Queue,
    service_key_sha256: [u8; 32],
    /// Beats while connections are accepted.
    pulse: Pulse,
}

impl Api {
    /// The API over servers that the caller has opened.
    #[must_use]
    pub fn new(
        config: Arc<Config>,
        vault: Arc<KeyRing>,
        store: ApiStore,
        oauth_store: OauthStore,
        intercom: Intercom,
        queue: Queue,
    ) -> Self {
        let connect = ConnectContext {
            store: oauth_store,
            vault: Arc::clone(&vault),
            intercom,
            config: Arc::clone(&config),
        };
        let service_key_sha256 = vault::sha256(config.service_key.expose().as_bytes());
        Self {
            config,
            vault,
            store,
            connect,
            queue,
            service_key_sha256,
            pulse: Pulse::default(),
        }
    }

    /// Connects to the servers that the configuration names.
    ///
    /// # Errors
    /// If Postgres cannot be reached or a setting cannot be used. Redis may be away.
    pub async fn open(config: Arc<Config>) -> Result<Self, StartError> {
        let vault = Arc::new(KeyRing::parse(config.encryption_keys.expose())?);
        let store = ApiStore::connect(&config.database, config.database.connections).await?;
        let oauth_store = OauthStore::connect(&config.database, OAUTH_SESSIONS).await?;
        let intercom = Intercom::new(&config)?;
        let queue = Queue::connect(&config)?;
        Ok(Self::new(
            config,
            vault,
            store,
            oauth_store,
            intercom,
            queue,
        ))
    }

    /// The checks that make the API ready, and the gauges of its pool.
    #[must_use]
    pub fn ops(&self) -> ops::Ops {
        ops::Ops::new()
            .servers(self.store.clone(), self.queue.clone())
            .alive_while("the api", self.pulse.clone())
            .pool(self.store.clone())
    }

    /// Serves until `shutdown`, then finishes the requests under way, within the drain limit.
    ///
    /// # Errors
    /// If the listener fails.
    pub async fn serve(self, listener: TcpListener, shutdown: Shutdown) -> std::io::Result<()> {
        let (store, oauth_store) = (self.store.clone(), self.connect.store.clone());
        let purges = tokio::spawn(purge::rounds(store.clone(), shutdown.clone()));
        let (drain, pulse) = (self.config.drain_limit, self.pulse.clone());
        serve::serve(listener, self.router(), shutdown, drain, pulse).await;
        // The purges end with the same shutdown. An interrupted one stays pending in Postgres, so any
        // API process can finish it.
        let _ = purges.await;
        shutdown::close(store.close()).await;
        shutdown::close(oauth_store.close()).await;
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
    let api = Api::open(config).await?;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| StartError::Listen(address, error))?;
    let bound = listener
        .local_addr()
        .map_err(|error| StartError::Listen(address, error))?;
    eprintln!("api listening on http://{bound}");
    api.serve(listener, shutdown)
        .await
        .map_err(|error| StartError::Listen(address, error))
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
    #[error("the queue cannot be used, so check the redis url")]
    Queue(#[from] QueueError),
    #[error("could not listen on {0}")]
    Listen(std::net::SocketAddr, #[source] std::io::Error),
}
