//! The API: REST under `/v1`, and the browser's side of connecting a workspace.
//!
//! [`Api::router`] is the whole of it on one screen. Each `/v1` route says who may call it; the gate
//! before it (`caller.rs`) proves the tenant, and every error leaves in one form (`error.rs`).

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
mod routes;
pub mod text;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::{from_fn, from_fn_with_state},
    routing::{MethodRouter, delete, get, post},
};
use shared::{
    config::Config,
    intercom::Intercom,
    queue::{Queue, QueueError},
    shutdown::Shutdown,
    store::{ApiStore, OauthStore, StoreError},
    sync::connect::ConnectContext,
    vault::{self, KeyRing, KeyRingError},
};
use tokio::net::TcpListener;

pub use caller::Scope;
use caller::{
    Access::{self, Service, ServiceForTenant},
    Scope::{ConnectionsRead, ConnectionsWrite, ConversationsRead, ProfilesRead},
    gate,
};
pub use error::{FieldError, Problem};
use routes::{api_keys, companies, connections, contacts, conversations, syncs, tenants};

/// A larger body is refused before it is read.
const BODY_LIMIT: usize = 256 * 1024;

/// Sessions for the OAuth path: a handful of browsers at once is a busy day.
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
}

impl Api {
    /// Puts the API together.
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
        }
    }

    /// Connects to the servers that the configuration names.
    ///
    /// # Errors
    /// When Postgres cannot be reached or a setting cannot be used. Redis may be away.
    pub async fn open(config: Arc<Config>) -> Result<Self, StartError> {
        let vault = Arc::new(KeyRing::parse(config.encryption_keys.expose())?);
        let store = ApiStore::connect(&config.database_url, config.database_connections).await?;
        let oauth_store = OauthStore::connect(&config.database_url, OAUTH_SESSIONS).await?;
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

    /// Every route, and who may call it.
    pub fn router(self) -> Router {
        let is = |access: Access, methods: MethodRouter<Self>| {
            methods.route_layer(from_fn_with_state((self.clone(), access), gate))
        };
        let may = |scope: Scope, methods: MethodRouter<Self>| is(Access::Scope(scope), methods);

        Router::new()
            .route("/v1/tenants", is(Service, post(tenants::create)))
            .route(
                "/v1/api_keys",
                is(ServiceForTenant, post(api_keys::create).get(api_keys::list)),
            )
            .route(
                "/v1/api_keys/{id}",
                is(ServiceForTenant, delete(api_keys::revoke)),
            )
            .route(
                "/v1/integrations/intercom/connect",
                may(ConnectionsWrite, post(connections::connect)),
            )
            .route(
                "/v1/connections",
                may(ConnectionsRead, get(connections::list)),
            )
            .route(
                "/v1/connections/{id}",
                may(ConnectionsRead, get(connections::show))
                    .merge(may(ConnectionsWrite, delete(connections::end))),
            )
            .route(
                "/v1/connections/{id}/sync",
                may(ConnectionsRead, get(syncs::status)),
            )
            .route(
                "/v1/connections/{id}/syncs",
                may(ConnectionsRead, get(syncs::list))
                    .merge(may(ConnectionsWrite, post(syncs::create))),
            )
            .route(
                "/v1/connections/{id}/syncs/{run}",
                may(ConnectionsRead, get(syncs::show)),
            )
            .route("/v1/contacts", may(ProfilesRead, get(contacts::list)))
            .route("/v1/contacts/{id}", may(ProfilesRead, get(contacts::show)))
            .route(
                "/v1/contacts/{id}/conversations",
                may(ConversationsRead, get(contacts::conversations)),
            )
            .route("/v1/companies", may(ProfilesRead, get(companies::list)))
            .route(
                "/v1/companies/{id}",
                may(ProfilesRead, get(companies::show)),
            )
            .route(
                "/v1/conversations",
                may(ConversationsRead, get(conversations::list)),
            )
            .route(
                "/v1/conversations/{id}",
                may(ConversationsRead, get(conversations::show)),
            )
            .route(
                "/v1/conversations/{id}/parts",
                may(ConversationsRead, get(conversations::parts)),
            )
            .route("/oauth/intercom/start", get(oauth::start))
            .route("/oauth/intercom/callback", get(oauth::callback))
            .layer(DefaultBodyLimit::max(BODY_LIMIT))
            .layer(from_fn(envelope::envelope))
            .with_state(self)
    }

    /// What the API needs to be ready, and its pools' gauges.
    #[must_use]
    pub fn ops(&self) -> ops::Ops {
        let (store, queue, pool) = (self.store.clone(), self.queue.clone(), self.store.clone());
        ops::Ops::new()
            .check("postgres", move || {
                let store = store.clone();
                async move { store.ping().await }
            })
            .check("redis", move || {
                let queue = queue.clone();
                async move { queue.ping().await }
            })
            .sample(move || {
                let (open, idle) = pool.pool_use();
                metrics::gauge!("pathbound_db_pool_connections", "state" => "open")
                    .set(f64::from(open));
                metrics::gauge!("pathbound_db_pool_connections", "state" => "idle")
                    .set(idle as f64);
            })
    }

    /// Serves until `shutdown`, then finishes the requests under way.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(self, listener: TcpListener, shutdown: Shutdown) -> std::io::Result<()> {
        let (store, oauth_store) = (self.store.clone(), self.connect.store.clone());
        let purges = tokio::spawn(purge::rounds(store.clone(), shutdown.clone()));
        axum::serve(listener, self.router())
            .with_graceful_shutdown(async move { shutdown.cancelled().await })
            .await?;
        // Ends with the same shutdown; a purge that it interrupts stays owed.
        let _ = purges.await;
        store.close().await;
        oauth_store.close().await;
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

/// Why the API could not start or go on.
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
