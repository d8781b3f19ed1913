//! The demo's world: private servers, a simulated Intercom, and every role of the product in this process.

use std::{sync::Arc, time::Duration};

use api::ops::Operator;
use base64::{Engine, engine::general_purpose::STANDARD};
use intercom_simulator::{Options, Simulator, SpecError, TruthLine, Workspace};
use servers::Servers;
use shared::{
    config::{Config, Environment, ProcessRole},
    domain::Secret,
    queue::Queue,
    shutdown::Shutdown,
    store::{self, ApiStore, Database},
    telemetry, vault,
};
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};

use super::scenarios::DemoTenant;
use crate::{
    api_client::ApiClient,
    failure::Failure,
    roles::{self, api_failure, scheduler_failure, worker_failure},
};

const WORKERS: usize = 2;

/// Sessions of each part: all of them share one small machine.
const SESSIONS: &str = "8";

/// How long work in progress may take to end when the demo ends.
const LEAVING: Duration = Duration::from_secs(5);

/// Workspaces, each with its truth.
type Populated = Vec<(Workspace, Vec<TruthLine>)>;

/// Everything that runs. Dropping it stops the servers and removes their directory.
#[derive(Debug)]
pub struct World {
    pub config: Arc<Config>,
    pub simulator: Simulator,
    /// The workspaces in the order of the tenants, each with its truth.
    pub workspaces: Populated,
    pub rest: ApiClient,
    /// With the API's role.
    pub store: ApiStore,
    pub servers: Servers,
    /// The settings of every part, for one in a process of its own.
    pub(super) environment: Vec<(String, String)>,
    shutdown: Shutdown,
    parts: JoinSet<()>,
}

impl World {
    /// Starts everything.
    ///
    /// # Errors
    /// A part cannot start.
    pub async fn start(demo_tenants: &[DemoTenant]) -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .map_err(|error| Failure::failed("no free port", error))?;
        let address = listener
            .local_addr()
            .map_err(|error| Failure::failed("no address", error))?;
        Self::start_behind(&format!("http://{address}"), listener, demo_tenants).await
    }

    /// Starts everything, as much of it at once as can be. Browsers reach the API's listener at `public_url`, to which
    /// Intercom leads them back.
    ///
    /// # Errors
    /// A part cannot start.
    pub async fn start_behind(
        public_url: &str,
        listener: TcpListener,
        demo_tenants: &[DemoTenant],
    ) -> Result<Self, Failure> {
        // The servers and the workspaces take seconds each, so they are made side by side.
        let servers = tokio::task::spawn_blocking(|| Servers::start(servers::Options::default()));
        let simulator = simulate(public_url).await?;
        let workspaces_made = populate(simulator.clone(), demo_tenants.to_vec());
        let servers = servers
            .await
            .map_err(|error| Failure::failed("starting the servers panicked", error))?;
        let servers =
            servers.map_err(|error| Failure::failed("could not start the servers", error))?;
        let environment = environment(&servers, &simulator, public_url)?;
        let settings: Environment = environment.iter().cloned().collect();
        let config = Arc::new(Config::load(None, &settings, ProcessRole::All)?);
        // Before the roles start, because each refuses a database of another schema.
        store::migrate(&config.migrate_url, &config.database).await?;
        let shutdown = Shutdown::new();
        let parts = start_parts(&config, listener, &shutdown).await?;
        let workspaces = workspaces_made
            .await
            .map_err(|error| Failure::failed("making the workspaces panicked", error))?;
        let workspaces =
            workspaces.map_err(|error| Failure::failed("could not make the workspaces", error))?;
        Ok(Self {
            rest: ApiClient::new(&config.public_url, &config.service_key)?,
            store: ApiStore::connect(&config.database, 4).await?,
            config,
            simulator,
            workspaces,
            servers,
            environment,
            shutdown,
            parts,
        })
    }

    /// The address of the operators' page.
    #[must_use]
    pub fn ops_url(&self) -> String {
        format!("http://{}/ops/", self.config.ops_listen)
    }

    /// Gives work in progress a moment to end, and stops the servers.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        self.store.close().await;
        // Work that does not end in time ends with the process.
        let _ = tokio::time::timeout(LEAVING, async {
            while self.parts.join_next().await.is_some() {}
        })
        .await;
        // After the workers, which would retry calls to a simulator that is gone.
        self.simulator.stop().await;
        let servers = self.servers;
        let _ = tokio::task::spawn_blocking(move || drop(servers)).await;
    }
}

async fn simulate(public_url: &str) -> Result<Simulator, Failure> {
    let options = Options {
        redirect_uris: vec![format!("{public_url}/oauth/intercom/callback")],
        // Counters are enough.
        ledger_rows: false,
        ..Options::default()
    };
    Simulator::start(options)
        .await
        .map_err(|error| Failure::failed("the simulator could not start", error))
}

/// Makes the workspaces with their truths. Runs on a thread of its own beside the start of the servers, because
/// both are slow.
fn populate(
    simulator: Simulator,
    demo_tenants: Vec<DemoTenant>,
) -> JoinHandle<Result<Populated, SpecError>> {
    tokio::task::spawn_blocking(move || {
        let made = demo_tenants.into_iter().map(|demo_tenant| {
            let workspace = simulator.try_add_workspace(demo_tenant.spec)?;
            let truth = workspace.truth();
            Ok((workspace, truth))
        });
        made.collect()
    })
}

/// Settings for development with new secrets. They ignore those of the process, so that the demo can reach no servers
/// but its own.
fn environment(
    servers: &Servers,
    simulator: &Simulator,
    public_url: &str,
) -> Result<Vec<(String, String)>, Failure> {
    let secret = || {
        vault::random_token().map_err(|error| Failure::failed("no secrets could be made", error))
    };
    // A key is 32 bytes, and a token's digest is as random as the token.
    let key = STANDARD.encode(vault::sha256(secret()?.expose().as_bytes()));
    let (service_key, operator_key) = (secret()?, secret()?);
    // A fixed one, so that the demo can name the address of the operators' page.
    let port = servers::free_port()
        .map_err(|error| Failure::failed("no free port for the ops listener", error))?;
    let ops_listen = format!("127.0.0.1:{port}");
    let values = [
        ("PROFILE", "development"),
        ("DATABASE_URL", &servers.database_url()),
        ("DATABASE_CONNECTIONS", SESSIONS),
        ("REDIS_URL", &servers.redis_url()),
        ("LISTEN", "127.0.0.1:0"),
        ("OPS_LISTEN", &ops_listen),
        ("PUBLIC_URL", public_url),
        ("SERVICE_KEY", service_key.expose()),
        ("OPERATOR_KEY", operator_key.expose()),
        ("ENCRYPTION_KEYS", &format!("demo:{key}")),
        ("INTERCOM_CLIENT_ID", &Options::default().client_id),
        ("INTERCOM_CLIENT_SECRET", &Options::default().client_secret),
        ("INTERCOM_API_URL", &simulator.url()),
        ("INTERCOM_APP_URL", &simulator.url()),
        // The simulator means what it refuses, and a demo does not wait for minutes to see it.
        ("REFUSAL_CONFIRMATION", "1s"),
        ("DELETION_CONFIRMATION", "1s"),
    ];
    let values = values.into_iter();
    Ok(values
        .map(|(name, value)| (format!("PATHBOUND_{name}"), value.to_owned()))
        .collect())
}

/// API, scheduler, workers and the ops listener. A part that ends early prints why. The demo then fails by
/// its own clock.
async fn start_parts(
    config: &Arc<Config>,
    listener: TcpListener,
    shutdown: &Shutdown,
) -> Result<JoinSet<()>, Failure> {
    telemetry::metrics();
    let database = Database::open(config, ProcessRole::Api).await?;
    let api = api::Api::open(Arc::clone(config), &database).map_err(api_failure)?;
    let checks = roles::checks(&database, Queue::connect(config)?, ProcessRole::Api)
        .alive_while("the api", api.pulse());
    let operator = Operator::open(config, &database).map_err(api_failure)?;
    let ops = api::ops::serve(config.ops_listen, checks.router(operator), shutdown.clone());
    let mut parts = JoinSet::new();
    parts.spawn(report("the ops listener", async {
        ops.await
            .map_err(|error| Failure::failed("could not listen", error))
    }));
    parts.spawn(report(
        "the api",
        roles::serve(api, listener, shutdown.clone()),
    ));
    let (own, end) = (Arc::clone(config), shutdown.clone());
    parts.spawn(report("the scheduler", async {
        scheduler::run(own, end).await.map_err(scheduler_failure)
    }));
    for _ in 0..WORKERS {
        let (own, end) = (Arc::clone(config), shutdown.clone());
        parts.spawn(report("a worker", async {
            worker::run(own, end).await.map_err(worker_failure)
        }));
    }
    Ok(parts)
}

async fn report(name: &'static str, part: impl Future<Output = Result<(), Failure>>) {
    if let Err(failure) = part.await {
        eprintln!("pathbound: {name} ended: {}", failure.line());
    }
}

/// A secret of the demo in plain text. The demo may print it, because it protects only simulated data.
pub(super) fn shown(secret: &Secret) -> &str {
    secret.expose()
}
