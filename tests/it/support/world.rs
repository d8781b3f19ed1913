//! A world for one test: its own database, its own Redis prefix, its own simulator, and a fleet.
//!
//! Postgres and Redis are started once per run of this binary and shared. Nothing else is shared.

use std::sync::Arc;

use intercom_simulator::{Options, Simulator};
use shared::{
    config::{Config, Environment, ProcessRole},
    intercom::Intercom,
    queue::Queue,
    shutdown::Shutdown,
    store::{ApiStore, Database, OauthStore, WorkerStore},
    sync::{Context, connect::ConnectContext},
    vault::KeyRing,
};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::task::JoinHandle;

use super::{
    PATIENCE,
    database::{fresh_database, servers},
};

/// One test's world. Clones are the same world.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) simulator: Simulator,
    pub(crate) config: Arc<Config>,
    pub(crate) store: ApiStore,
    pub(crate) queue: Queue,
    /// Sessions of the database's superuser.
    pub(super) admin: PgPool,
    pub(super) oauth: ConnectContext,
    pub(super) environment: Vec<(String, String)>,
}

/// Scheduler and workers in this process, until dropped.
pub(crate) struct Fleet {
    shutdown: Shutdown,
    /// Whether each has ended well.
    processes: Vec<JoinHandle<bool>>,
}

impl Fleet {
    /// Stops it, and waits until the last slice has ended.
    pub(crate) async fn stop(mut self) {
        self.shutdown.cancel();
        for process in std::mem::take(&mut self.processes) {
            assert!(process.await.expect("no panic"), "it ended well");
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    /// A world whose configuration differs in some variables.
    pub(crate) async fn with(variables: &[(&str, &str)]) -> Self {
        Self::before(Options::default(), variables).await
    }

    /// A world whose simulator has these options.
    pub(crate) async fn before(options: Options, variables: &[(&str, &str)]) -> Self {
        let simulator = start_simulator(options).await;
        let database_url = fresh_database().await;
        let mut environment = prefixed(&[
            ("PROFILE", "development"),
            ("DATABASE_URL", &database_url),
            ("REDIS_URL", &servers().redis_url()),
            ("PUBLIC_URL", "http://127.0.0.1:1"),
            ("LISTEN", "127.0.0.1:0"),
            ("OPS_LISTEN", "127.0.0.1:0"),
            ("DATABASE_CONNECTIONS", "8"),
            ("INTERCOM_CLIENT_ID", "simulator-client-id"),
            ("INTERCOM_CLIENT_SECRET", "simulator-client-secret"),
            // Tests ask for their runs, so nothing comes by itself.
            ("SYNC_INTERVAL", "1h"),
            // A call that a fault holds, or that a busy machine delays, is not given up and made again.
            ("REQUEST_TIMEOUT", "60s"),
            // Minutes in production.
            ("REFUSAL_CONFIRMATION", "1s"),
            ("DELETION_CONFIRMATION", "1s"),
            ("THREAD_RETRY_INTERVAL", "500ms"),
        ]);
        environment.extend(own_addresses(&simulator));
        environment.extend(prefixed(variables));
        let config = load(&environment);
        // Small pools, because many worlds share one Postgres.
        let store = ApiStore::connect(&config.database, 4)
            .await
            .expect("postgres answers");
        let admin = PgPoolOptions::new()
            .max_connections(4)
            // Tests on a busy machine ask for more sessions at once than there are.
            .acquire_timeout(PATIENCE)
            .connect(config.database.url.expose())
            .await
            .expect("postgres answers");
        let oauth = ConnectContext {
            store: OauthStore::connect(&config.database, 2)
                .await
                .expect("postgres answers"),
            vault: Arc::new(KeyRing::parse(config.encryption_keys.expose()).expect("keys")),
            intercom: Intercom::new(&config).expect("an http client"),
            config: config.clone(),
        };
        let queue = Queue::connect(&config).expect("a redis url");
        Self {
            simulator,
            config,
            store,
            queue,
            admin,
            oauth,
            environment,
        }
    }

    /// The same servers beside an Intercom of its own, so that clock and faults are not shared.
    pub(crate) async fn beside(&self, variables: &[(&str, &str)]) -> Self {
        let simulator = start_simulator(Options::default()).await;
        let mut environment = self.environment.clone();
        // The last one of a name counts.
        environment.extend(own_addresses(&simulator));
        environment.extend(prefixed(variables));
        let config = load(&environment);
        let oauth = ConnectContext {
            intercom: Intercom::new(&config).expect("an http client"),
            config: config.clone(),
            ..self.oauth.clone()
        };
        let queue = Queue::connect(&config).expect("a redis url");
        Self {
            simulator,
            queue,
            oauth,
            config,
            environment,
            ..self.clone()
        }
    }

    /// The same world, whose processes are configured otherwise.
    pub(crate) fn otherwise(&self, variables: &[(&str, &str)]) -> Self {
        let mut environment = self.environment.clone();
        environment.extend(prefixed(variables));
        Self {
            config: load(&environment),
            environment,
            ..self.clone()
        }
    }

    /// The same world, whose processes have a configuration that may be refused.
    pub(crate) fn otherwise_unchecked(&self, variables: &[(&str, &str)]) -> Self {
        let mut environment = self.environment.clone();
        environment.extend(prefixed(variables));
        Self {
            environment,
            ..self.clone()
        }
    }

    /// The same world, whose fleet reaches Postgres through a relay. The test looks at the database directly.
    pub(crate) fn through(&self, relay: &servers::Relay) -> Self {
        let url = relay.of_url(self.config.database.url.expose());
        self.otherwise(&[("DATABASE_URL", &url)])
    }

    /// The same world, which looks at the database at another URL, after its server has moved there.
    pub(crate) async fn looking_at(&self, url: &str) -> Self {
        let moved = self.otherwise(&[("DATABASE_URL", url)]);
        let store = ApiStore::connect(&moved.config.database, 4).await;
        let admin = PgPoolOptions::new().max_connections(4).connect(url).await;
        Self {
            store: store.expect("postgres answers"),
            admin: admin.expect("postgres answers"),
            ..moved
        }
    }

    /// Serves the API on a free port until the runtime ends, and returns its address.
    pub(crate) async fn api(&self) -> String {
        self.api_with(&[]).await
    }

    /// The same with other settings. A public URL may be that of a proxy in front of it.
    pub(crate) async fn api_with(&self, variables: &[(&str, &str)]) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let mut environment = self.environment.clone();
        environment.extend(prefixed(&[("PUBLIC_URL", &base)]));
        environment.extend(prefixed(variables));
        let config = load(&environment);
        let database = Database::open(&config, ProcessRole::Api)
            .await
            .expect("postgres answers");
        let api = api::Api::open(config, &database).expect("the settings fit");
        tokio::spawn(api.serve(listener, Shutdown::new()));
        base
    }

    /// Starts a scheduler and workers in this process.
    pub(crate) fn fleet(&self, workers: usize) -> Fleet {
        // Logs of a failed test are shown with it.
        let _ = shared::telemetry::start_logs(
            &std::env::var("PATHBOUND_LOG").unwrap_or_else(|_| "error".to_owned()),
            false,
        );
        let shutdown = Shutdown::new();
        let scheduler = scheduler::run(self.config.clone(), shutdown.clone());
        let mut processes = vec![tokio::spawn(async { scheduler.await.is_ok() })];
        for _ in 0..workers {
            let worker = worker::run(self.config.clone(), shutdown.clone());
            processes.push(tokio::spawn(async { worker.await.is_ok() }));
        }
        Fleet {
            shutdown,
            processes,
        }
    }

    /// A worker's own sessions, for a test that takes its steps one by one.
    pub(crate) async fn worker_store(&self, connections: u32) -> WorkerStore {
        WorkerStore::connect(&self.config.database, connections)
            .await
            .expect("postgres answers")
    }

    /// What a worker gives to its jobs.
    pub(crate) async fn job_context(&self, connections: u32) -> Context {
        Context {
            store: self.worker_store(connections).await,
            vault: self.oauth.vault.clone(),
            intercom: Intercom::new(&self.config).expect("an http client"),
            config: self.config.clone(),
            stopping: Shutdown::new(),
            failures: Arc::default(),
        }
    }
}

async fn start_simulator(options: Options) -> Simulator {
    Simulator::start(options)
        .await
        .expect("the simulator starts")
}

/// What must not be shared: the address of an Intercom, and a prefix of keys.
fn own_addresses(simulator: &Simulator) -> Vec<(String, String)> {
    let unique = uuid::Uuid::now_v7().simple().to_string();
    prefixed(&[
        ("INTERCOM_API_URL", &simulator.url()),
        ("INTERCOM_APP_URL", &simulator.url()),
        ("REDIS_PREFIX", &unique),
    ])
}

fn prefixed(variables: &[(&str, &str)]) -> Vec<(String, String)> {
    variables
        .iter()
        .map(|(name, value)| (format!("PATHBOUND_{name}"), (*value).to_owned()))
        .collect()
}

fn load(environment: &[(String, String)]) -> Arc<Config> {
    let environment: Environment = environment.iter().cloned().collect();
    Arc::new(Config::load(None, &environment, ProcessRole::All).expect("a good configuration"))
}
