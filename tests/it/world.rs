//! A world for one test: its own database, its own Redis prefix, its own simulator, and a fleet.
//!
//! Postgres and Redis are started once per run of this binary and shared; nothing else is.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use intercom_simulator::{Options, Simulator, TruthLine, Workspace, WorkspaceSpec};
use pathbound::exact::compare;
use servers::Servers;
use shared::{
    config::{Config, Environment, Needs},
    domain::{ConnectionId, Mode, Region, Stream, TenantId},
    intercom::Intercom,
    queue::{Queue, Ticket},
    shutdown::Shutdown,
    store::{ConnectionState, Role, RunRequest, Store, reads::SyncStatus},
    sync::{Context, connect},
    vault::KeyRing,
};
use sqlx::{Connection, Executor, PgConnection};

/// Longer than anything here should take; a test that waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// One test's world.
pub(crate) struct World {
    pub(crate) simulator: Simulator,
    pub(crate) config: Arc<Config>,
    pub(crate) store: Store,
    pub(crate) queue: Queue,
    oauth: Context,
    environment: Vec<(String, String)>,
}

/// A connected workspace of a tenant.
#[derive(Clone)]
pub(crate) struct Connected {
    pub(crate) tenant: TenantId,
    pub(crate) connection: ConnectionId,
    pub(crate) workspace: Workspace,
}

/// Scheduler and workers in this process, until dropped.
pub(crate) struct Fleet {
    shutdown: Shutdown,
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// A process of the product; killed when dropped.
pub(crate) struct Process(std::process::Child);

impl Process {
    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.0.kill().expect("it was running");
        self.0.wait().expect("it ends");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The servers that all worlds share.
pub(crate) fn servers() -> &'static Servers {
    static SERVERS: OnceLock<Servers> = OnceLock::new();
    SERVERS.get_or_init(|| Servers::start(servers::Options::default()).expect("postgres and redis start"))
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    /// A world whose configuration differs in some variables.
    pub(crate) async fn with(variables: &[(&str, &str)]) -> Self {
        let simulator = Simulator::start(Options::default()).await.expect("the simulator starts");
        let database_url = fresh_database().await;
        let unique = uuid::Uuid::now_v7().simple().to_string();
        let mut environment: Vec<(String, String)> = [
            ("PROFILE", "development"),
            ("DATABASE_URL", &database_url),
            ("REDIS_URL", &servers().redis_url()),
            ("REDIS_PREFIX", &unique),
            ("PUBLIC_URL", "http://127.0.0.1:1"),
            ("LISTEN", "127.0.0.1:0"),
            ("OPS_LISTEN", "127.0.0.1:0"),
            ("DATABASE_CONNECTIONS", "8"),
            ("INTERCOM_CLIENT_ID", "simulator-client-id"),
            ("INTERCOM_CLIENT_SECRET", "simulator-client-secret"),
            ("INTERCOM_API_URL", &simulator.url()),
            ("INTERCOM_APP_URL", &simulator.url()),
            // Tests ask for their runs; nothing comes by itself.
            ("SYNC_INTERVAL", "1h"),
        ]
        .into_iter()
        .map(|(name, value)| (format!("PATHBOUND_{name}"), value.to_owned()))
        .collect();
        environment.extend(variables.iter().map(|(name, value)| (format!("PATHBOUND_{name}"), (*value).to_owned())));
        let config = Arc::new(
            Config::load(None, &environment.iter().cloned().collect::<Environment>(), Needs::All)
                .expect("a good configuration"),
        );
        let context = |store| Context {
            store,
            vault: Arc::new(KeyRing::parse(config.encryption_keys.expose()).expect("keys")),
            intercom: Intercom::new(&config).expect("an http client"),
            config: config.clone(),
        };
        let store = Store::connect(&config.database_url, Role::Api, 4).await.expect("postgres answers");
        let oauth = context(Store::connect(&config.database_url, Role::Oauth, 2).await.expect("postgres answers"));
        let queue = Queue::connect(&config).expect("a redis url");
        Self { simulator, config, store, queue, oauth, environment }
    }

    /// Makes a tenant and connects a workspace made to this recipe, as a browser would.
    pub(crate) async fn connect(&self, spec: WorkspaceSpec) -> Connected {
        let workspace = self.simulator.add_workspace(spec);
        let tenant = self.store.create_tenant("Acme").await.expect("a tenant").id;
        self.connect_as(tenant, &workspace).await
    }

    /// Connects a workspace to a tenant.
    pub(crate) async fn connect_as(&self, tenant: TenantId, workspace: &Workspace) -> Connected {
        let started = connect::start(&self.oauth.store, tenant, Region::Us).await.expect("a flow starts");
        let opened = connect::open(&self.oauth.store, started.start_token.expose()).await.expect("it opens");
        let code = self.authorize(workspace, opened.state.expose()).await;
        let connected = connect::finish(&self.oauth, opened.state.expose(), Some(opened.session.expose()), &code)
            .await
            .expect("it finishes");
        let tickets: Vec<Ticket> =
            connected.streams.iter().map(|stream| Ticket::new(tenant, connected.connection, *stream)).collect();
        self.queue.push(&tickets).await.expect("redis answers");
        Connected { tenant, connection: connected.connection, workspace: workspace.clone() }
    }

    /// The customer's click: the code that Intercom sends back.
    async fn authorize(&self, workspace: &Workspace, state: &str) -> String {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        let url = format!(
            "{}/oauth?client_id=simulator-client-id&state={state}&redirect_uri=http://127.0.0.1:1/oauth/intercom/callback&auto_workspace={}",
            self.simulator.url(),
            workspace.id_code(),
        );
        let answer = client.get(url).send().await.expect("the authorize page answers");
        let location = answer.headers()["location"].to_str().expect("a location").to_owned();
        let url: reqwest::Url = location.parse().expect("a url");
        url.query_pairs().find(|(name, _)| name == "code").map(|(_, code)| code.into_owned()).expect("a code")
    }

    /// Serves the API on a free port until the world's end; returns where.
    pub(crate) async fn api(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let mut environment = self.environment.clone();
        environment.push(("PATHBOUND_PUBLIC_URL".to_owned(), base.clone()));
        let config = Config::load(None, &environment.into_iter().collect::<Environment>(), Needs::All)
            .expect("a good configuration");
        let api = api::Api::open(Arc::new(config)).await.expect("postgres answers");
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
        tokio::spawn(scheduler::run(self.config.clone(), shutdown.clone()));
        for _ in 0..workers {
            tokio::spawn(worker::run(self.config.clone(), shutdown.clone()));
        }
        Fleet { shutdown }
    }

    pub(crate) async fn status(&self, connected: &Connected) -> SyncStatus {
        let mut tx = self.store.begin(connected.tenant).await.expect("postgres answers");
        tx.sync_status(connected.connection).await.expect("a status").expect("the connection")
    }

    /// Waits until the copy calls itself complete.
    pub(crate) async fn until_complete(&self, connected: &Connected) {
        let begun = Instant::now();
        loop {
            let status = self.status(connected).await;
            if status.complete {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "not complete after {PATIENCE:?}: {status:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until something holds of the sync status.
    pub(crate) async fn until(&self, connected: &Connected, what: &str, holds: impl Fn(&SyncStatus) -> bool) {
        let begun = Instant::now();
        loop {
            let status = self.status(connected).await;
            if holds(&status) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} until {what}: {status:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Compares every record with the simulator's truth, field by field.
    pub(crate) async fn assert_exact(&self, connected: &Connected) {
        self.assert_exact_with(connected, &connected.workspace.truth()).await;
    }

    /// Compares with a truth of the test's own making.
    pub(crate) async fn assert_exact_with(&self, connected: &Connected, truth: &[TruthLine]) {
        let report = compare(&self.store, connected.tenant, connected.connection, truth).await.expect("it compares");
        assert!(report.records > 0, "nothing was compared");
        assert!(report.is_exact(), "{report}");
        assert_eq!(self.simulator.ledger().outside_read_list, 0, "intercom is only ever read");
    }

    /// Waits until no run of the connection is open.
    pub(crate) async fn until_run_ends(&self, connected: &Connected) {
        let begun = Instant::now();
        while !self
            .sql("SELECT id::text, status FROM sync_runs WHERE connection_id = $1 AND finished_at IS NULL", connected)
            .await
            .is_empty()
        {
            assert!(begun.elapsed() < PATIENCE, "the run does not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the connection is in a state.
    pub(crate) async fn until_state(&self, connected: &Connected, state: ConnectionState) {
        let begun = Instant::now();
        loop {
            let connection = self
                .store
                .connection(connected.tenant, connected.connection)
                .await
                .expect("postgres answers")
                .expect("the connection");
            if connection.state == state {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "waited for {state:?}: {connection:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Two text columns of a query over a connection, as the database's superuser: what no method of ours shows.
    pub(crate) async fn sql(&self, query: &'static str, connected: &Connected) -> Vec<(String, String)> {
        let mut admin = PgConnection::connect(self.config.database_url.expose()).await.expect("postgres answers");
        sqlx::query_as(query).bind(connected.connection.0).fetch_all(&mut admin).await.expect("the query runs")
    }

    /// Starts `pathbound` as a process of its own in this world.
    pub(crate) fn process(&self, command: &str) -> Process {
        let child = std::process::Command::new(env!("CARGO_BIN_EXE_pathbound-under-test"))
            .arg(command)
            .envs(self.environment.iter().cloned())
            .env("PATHBOUND_LOG", "warn")
            .stdin(std::process::Stdio::null())
            .spawn()
            .expect("the binary starts");
        Process(child)
    }

    /// Runs a command of `pathbound` to its end.
    pub(crate) fn command(&self, arguments: &[&str]) -> std::process::Output {
        std::process::Command::new(env!("CARGO_BIN_EXE_pathbound-under-test"))
            .args(arguments)
            .envs(self.environment.iter().cloned())
            .stdin(std::process::Stdio::null())
            .output()
            .expect("the binary starts")
    }

    /// Deletes every key of this world, as a flush of a Redis of its own would.
    pub(crate) async fn empty_redis(&self) {
        let client = redis::Client::open(self.config.redis_url.expose()).expect("a redis url");
        let mut redis = client.get_multiplexed_async_connection().await.expect("redis answers");
        let keys: Vec<String> = redis::cmd("KEYS")
            .arg(format!("{{{}}}*", self.config.redis_prefix))
            .query_async(&mut redis)
            .await
            .expect("redis answers");
        if !keys.is_empty() {
            redis::cmd("DEL").arg(keys).query_async::<()>(&mut redis).await.expect("redis answers");
        }
    }

    /// Asks for a run over every stream, as a resync does.
    pub(crate) async fn resync(&self, connected: &Connected, mode: Mode) {
        self.request(connected, mode, Stream::ALL).await;
    }

    /// Asks for a run over some streams.
    pub(crate) async fn request(&self, connected: &Connected, mode: Mode, streams: &[Stream]) {
        let mut tx = self.store.begin(connected.tenant).await.expect("postgres answers");
        let request =
            tx.request_run(connected.connection, mode, streams).await.expect("a run").expect("the connection");
        assert!(matches!(request, RunRequest::Queued(_)), "{request:?}");
        tx.commit().await.expect("it commits");
        let tickets: Vec<Ticket> =
            streams.iter().map(|stream| Ticket::new(connected.tenant, connected.connection, *stream)).collect();
        self.queue.push(&tickets).await.expect("redis answers");
    }
}

/// A migrated database of its own, cloned from a template that is migrated once.
async fn fresh_database() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    static TEMPLATE: tokio::sync::OnceCell<()> = tokio::sync::OnceCell::const_new();
    let url = servers().database_url();
    TEMPLATE
        .get_or_init(|| async {
            let mut admin = PgConnection::connect(&url).await.expect("postgres answers");
            admin.execute("CREATE DATABASE template_it").await.expect("a database");
            let template = shared::domain::Secret::new(url.replace("/postgres", "/template_it"));
            shared::store::migrate(&template).await.expect("the migrations run");
        })
        .await;
    let name = format!("it_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let mut admin = PgConnection::connect(&url).await.expect("postgres answers");
    admin
        .execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name} TEMPLATE template_it")))
        .await
        .expect("a database");
    let (server, _) = url.rsplit_once('/').expect("a database name");
    format!("{server}/{name}")
}
