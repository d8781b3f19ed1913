//! A world for one test: its own database, its own Redis prefix, its own simulator, and a fleet.
//!
//! Postgres and Redis are started once per run of this binary and shared; nothing else is.

mod process;
mod waits;

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use intercom_simulator::{Options, Simulator, Workspace, WorkspaceSpec};
use servers::Servers;
use shared::{
    completeness::{self, SyncStatus},
    config::{Config, Environment, ProcessRole},
    domain::{ConnectionId, Mode, Region, Stream, TenantId},
    intercom::Intercom,
    queue::{Queue, Ticket},
    shutdown::Shutdown,
    store::{ApiStore, OauthStore, RunRequest},
    sync::connect::{self, ConnectContext},
    vault::KeyRing,
};
use sqlx::{Connection, Executor, PgConnection};

use crate::floors;
pub(crate) use process::Process;

/// Longer than anything here should take; a test that waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// One test's world.
pub(crate) struct World {
    pub(crate) simulator: Simulator,
    pub(crate) config: Arc<Config>,
    pub(crate) store: ApiStore,
    pub(crate) queue: Queue,
    oauth: ConnectContext,
    environment: Vec<(String, String)>,
}

/// A connected workspace of a tenant.
#[derive(Clone, Debug)]
pub(crate) struct Connected {
    pub(crate) tenant: TenantId,
    pub(crate) connection: ConnectionId,
    pub(crate) workspace: Workspace,
}

impl Connected {
    /// Not more calls than its first sync needs, and these.
    pub(crate) fn within_first(&self, more: u64) {
        floors::within(
            &self.workspace,
            floors::first(&self.workspace.truth(), "2.16") + more,
        );
    }
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

/// The servers that all worlds share.
pub(crate) fn servers() -> &'static Servers {
    static SERVERS: OnceLock<Servers> = OnceLock::new();
    SERVERS.get_or_init(|| {
        Servers::start(servers::Options::default()).expect("postgres and redis start")
    })
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    /// A world whose configuration differs in some variables.
    pub(crate) async fn with(variables: &[(&str, &str)]) -> Self {
        Self::before(Options::default(), variables).await
    }

    /// And whose simulator does.
    pub(crate) async fn before(options: Options, variables: &[(&str, &str)]) -> Self {
        let simulator = Simulator::start(options)
            .await
            .expect("the simulator starts");
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
        environment.extend(
            variables
                .iter()
                .map(|(name, value)| (format!("PATHBOUND_{name}"), (*value).to_owned())),
        );
        let config = Arc::new(
            Config::load(
                None,
                &environment.iter().cloned().collect::<Environment>(),
                ProcessRole::All,
            )
            .expect("a good configuration"),
        );
        let store = ApiStore::connect(&config.database_url, 4)
            .await
            .expect("postgres answers");
        let oauth = ConnectContext {
            store: OauthStore::connect(&config.database_url, 2)
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
            oauth,
            environment,
        }
    }

    /// The same servers beside an Intercom of its own: its clock and its faults are nobody else's.
    pub(crate) async fn beside(&self, variables: &[(&str, &str)]) -> Self {
        let simulator = Simulator::start(Options::default())
            .await
            .expect("the simulator starts");
        let unique = uuid::Uuid::now_v7().simple().to_string();
        let own = [
            ("INTERCOM_API_URL", &*simulator.url()),
            ("INTERCOM_APP_URL", &simulator.url()),
            ("REDIS_PREFIX", &unique),
        ];
        let mut environment = self.environment.clone();
        // The last one of a name counts.
        environment.extend(
            own.iter()
                .chain(variables)
                .map(|(name, value)| (format!("PATHBOUND_{name}"), (*value).to_owned())),
        );
        let config = Config::load(
            None,
            &environment.iter().cloned().collect::<Environment>(),
            ProcessRole::All,
        );
        let config = Arc::new(config.expect("a good configuration"));
        let oauth = ConnectContext {
            intercom: Intercom::new(&config).expect("an http client"),
            config: config.clone(),
            ..self.oauth.clone()
        };
        let queue = Queue::connect(&config).expect("a redis url");
        Self {
            simulator,
            config,
            store: self.store.clone(),
            queue,
            oauth,
            environment,
        }
    }

    /// Makes a tenant and connects a workspace made to this recipe, as a browser would.
    pub(crate) async fn connect(&self, spec: WorkspaceSpec) -> Connected {
        let workspace = self.simulator.add_workspace(spec);
        let tenant = self.store.create_tenant("Acme").await.expect("a tenant").id;
        self.connect_as(tenant, &workspace).await
    }

    /// Connects a workspace to a tenant.
    pub(crate) async fn connect_as(&self, tenant: TenantId, workspace: &Workspace) -> Connected {
        self.connect_in(tenant, workspace, Region::Us, &self.config.intercom.version)
            .await
    }

    /// Connects a workspace from a region's authorize page, pinned to a version.
    pub(crate) async fn connect_in(
        &self,
        tenant: TenantId,
        workspace: &Workspace,
        region: Region,
        version: &str,
    ) -> Connected {
        self.try_connect(tenant, workspace, region, version)
            .await
            .expect("it finishes")
    }

    /// The same, where Intercom may not give what it should.
    pub(crate) async fn try_connect(
        &self,
        tenant: TenantId,
        workspace: &Workspace,
        region: Region,
        version: &str,
    ) -> Result<Connected, connect::ConnectError> {
        let mut config = Config::clone(&self.config);
        version.clone_into(&mut config.intercom.version);
        let oauth = ConnectContext {
            config: Arc::new(config),
            ..self.oauth.clone()
        };
        let started = connect::start(&oauth.store, tenant, region)
            .await
            .expect("a flow starts");
        let opened = connect::open(&oauth.store, started.start_token.expose())
            .await
            .expect("it opens");
        let code = self.authorize(workspace, opened.state.expose()).await;
        let connected = connect::finish(
            &oauth,
            opened.state.expose(),
            Some(opened.session.expose()),
            &code,
        )
        .await?;
        let tickets: Vec<Ticket> = connected
            .streams
            .iter()
            .map(|stream| Ticket::new(tenant, connected.connection, *stream))
            .collect();
        self.push(&tickets).await;
        Ok(Connected {
            tenant,
            connection: connected.connection,
            workspace: workspace.clone(),
        })
    }

    /// The customer's click: the code that Intercom sends back.
    async fn authorize(&self, workspace: &Workspace, state: &str) -> String {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client");
        let url = format!(
            "{}/oauth?client_id=simulator-client-id&state={state}&redirect_uri=http://127.0.0.1:1/oauth/intercom/callback&auto_workspace={}",
            self.simulator.url(),
            workspace.id_code(),
        );
        let answer = client
            .get(url)
            .send()
            .await
            .expect("the authorize page answers");
        let location = answer.headers()["location"]
            .to_str()
            .expect("a location")
            .to_owned();
        let url: reqwest::Url = location.parse().expect("a url");
        url.query_pairs()
            .find(|(name, _)| name == "code")
            .map(|(_, code)| code.into_owned())
            .expect("a code")
    }

    /// Serves the API on a free port until the world's end; returns where.
    pub(crate) async fn api(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let mut environment = self.environment.clone();
        environment.push(("PATHBOUND_PUBLIC_URL".to_owned(), base.clone()));
        let config = Config::load(
            None,
            &environment.into_iter().collect::<Environment>(),
            ProcessRole::All,
        )
        .expect("a good configuration");
        let api = api::Api::open(Arc::new(config))
            .await
            .expect("postgres answers");
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
        let mut tx = self
            .store
            .begin(connected.tenant)
            .await
            .expect("postgres answers");
        let facts = tx
            .sync_facts(connected.connection)
            .await
            .expect("postgres answers")
            .expect("the connection");
        completeness::judge(&facts)
    }

    /// Two text columns of a query over a connection, as the database's superuser: what no method of ours shows.
    pub(crate) async fn sql(
        &self,
        query: &'static str,
        connected: &Connected,
    ) -> Vec<(String, String)> {
        let mut admin = PgConnection::connect(self.config.database_url.expose())
            .await
            .expect("postgres answers");
        loop {
            match sqlx::query_as(query)
                .bind(connected.connection.0)
                .fetch_all(&mut admin)
                .await
            {
                // A change of several streams in an order of its own may meet the fleet's: Postgres ends one of them.
                Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("40P01") => {}
                rows => return rows.expect("the query runs"),
            }
        }
    }

    /// Whether Postgres refuses a statement to a session that has the operators' role, for want of a right.
    pub(crate) async fn refused_to_operator(&self, query: &str, tenant: TenantId) -> bool {
        let mut session = PgConnection::connect(self.config.database_url.expose())
            .await
            .expect("postgres answers");
        session
            .execute("SET ROLE pathbound_operator")
            .await
            .expect("the role is there");
        sqlx::query("SELECT set_config('app.tenant_id', $1, false)")
            .bind(tenant.to_string())
            .execute(&mut session)
            .await
            .expect("a setting");
        match session.execute(sqlx::AssertSqlSafe(query.to_owned())).await {
            Ok(_) => false,
            Err(sqlx::Error::Database(error)) => error.code().as_deref() == Some("42501"),
            Err(error) => panic!("{query}: {error}"),
        }
    }

    /// A connection that waits for its answers: by itself the client gives up after half a second.
    pub(crate) async fn redis(&self) -> redis::aio::MultiplexedConnection {
        let patient = redis::AsyncConnectionConfig::new()
            .set_response_timeout(Some(PATIENCE))
            .set_connection_timeout(Some(PATIENCE));
        let client = redis::Client::open(self.config.redis_url.expose()).expect("a redis url");
        client
            .get_multiplexed_async_connection_with_config(&patient)
            .await
            .expect("redis answers")
    }

    /// Deletes every key of this world, as a flush of a Redis of its own would.
    pub(crate) async fn empty_redis(&self) {
        let mut redis = self.redis().await;
        let keys: Vec<String> = redis::cmd("KEYS")
            // The queue's hash tag ends after the prefix, a budget's goes on.
            .arg(format!("{{{}*", self.config.redis_prefix))
            .query_async(&mut redis)
            .await
            .expect("redis answers");
        if !keys.is_empty() {
            redis::cmd("DEL")
                .arg(keys)
                .query_async::<()>(&mut redis)
                .await
                .expect("redis answers");
        }
    }

    /// Asks for a run over every stream, as a resync does.
    pub(crate) async fn resync(&self, connected: &Connected, mode: Mode) {
        self.request(connected, mode, Stream::ALL).await;
    }

    /// Asks for a run over some streams.
    pub(crate) async fn request(&self, connected: &Connected, mode: Mode, streams: &[Stream]) {
        let mut tx = self
            .store
            .begin(connected.tenant)
            .await
            .expect("postgres answers");
        let request = tx
            .request_run(connected.connection, mode, streams)
            .await
            .expect("a run")
            .expect("the connection");
        assert!(matches!(request, RunRequest::Queued(_)), "{request:?}");
        tx.commit().await.expect("it commits");
        let tickets: Vec<Ticket> = streams
            .iter()
            .map(|stream| Ticket::new(connected.tenant, connected.connection, *stream))
            .collect();
        self.push(&tickets).await;
    }

    /// A push may be given up on a busy machine, heard or not: the same tickets again change nothing.
    async fn push(&self, tickets: &[Ticket]) {
        let begun = Instant::now();
        while let Err(error) = self.queue.push(tickets).await {
            assert!(begun.elapsed() < PATIENCE, "{error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
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
            admin
                .execute("CREATE DATABASE template_it")
                .await
                .expect("a database");
            let template = shared::domain::Secret::new(url.replace("/postgres", "/template_it"));
            shared::store::migrate(&template)
                .await
                .expect("the migrations run");
        })
        .await;
    let name = format!("it_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let mut admin = PgConnection::connect(&url).await.expect("postgres answers");
    admin
        .execute(sqlx::AssertSqlSafe(format!(
            "CREATE DATABASE {name} TEMPLATE template_it"
        )))
        .await
        .expect("a database");
    let (server, _) = url.rsplit_once('/').expect("a database name");
    format!("{server}/{name}")
}
