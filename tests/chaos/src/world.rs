//! Everything that is started: private servers, a simulated Intercom, the fleet, and connected tenants.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;

use intercom_simulator::{Latency, Simulator, Workspace, WorkspaceSpec};
use pathbound::{api_client::ApiClient, demo::browser::Browser};
use serde_json::json;
use servers::{Relay, Servers};
use shared::{
    completeness::{self, SyncStatus},
    config::DatabaseConfig,
    domain::{ConnectionId, Secret, TenantId},
    queue::Queue,
    store::ApiStore,
};

use crate::{Failure, faults::Faults, fleet::Fleet, history::History};

const SERVICE_KEY: &str = "a-service-key-for-the-chaos-run-only";
const PREFIX: &str = "chaos";

/// Enough streams that every worker holds some at any moment, small enough to compare in a second.
pub(crate) const WORKSPACES: u32 = 8;

/// The world of one run.
pub(crate) struct World {
    pub(crate) servers: Arc<Servers>,
    /// What stands between the fleet and the servers.
    pub(crate) relays: Relays,
    pub(crate) simulator: Simulator,
    pub(crate) tenants: Vec<Connected>,
    pub(crate) fleet: Fleet,
    pub(crate) history: History,
    /// With the API's role.
    pub(crate) store: ApiStore,
    pub(crate) queue: Queue,
    deaths: Mutex<BTreeMap<String, f64>>,
}

/// One relay for each server.
pub(crate) struct Relays {
    pub(crate) redis: Relay,
    pub(crate) postgres: Relay,
}

impl Relays {
    fn start(servers: &Servers) -> Result<Self, Failure> {
        let to = |port: u16| Relay::start(&format!("127.0.0.1:{port}"));
        Ok(Self {
            redis: to(servers.redis().port())?,
            postgres: to(servers.postgres().port())?,
        })
    }
}

/// A tenant whose workspace is connected.
pub(crate) struct Connected {
    pub(crate) tenant: TenantId,
    pub(crate) connection: ConnectionId,
    pub(crate) workspace: Workspace,
}

impl World {
    /// Starts everything and connects the workspaces. Their first syncs are under way when it returns.
    pub(crate) async fn start(seed: u64, faults: Faults) -> Result<Self, Failure> {
        let servers = Arc::new(
            tokio::task::spawn_blocking(|| Servers::start(servers::Options::default())).await??,
        );
        let options = intercom_simulator::Options {
            // Slow enough that a slice can be hit in its middle.
            latency: Latency::Between(5, 60),
            ledger_rows: false,
            ..intercom_simulator::Options::default()
        };
        let simulator = Simulator::start(options).await?;
        let database = DatabaseConfig::of_url(Secret::new(servers.database_url()));
        shared::store::migrate(&database.url, &database).await?;
        let history = History::begin(&servers.database_url()).await?;
        let port = servers::free_port()?;
        let public_url = format!("http://127.0.0.1:{port}");
        let relays = Relays::start(&servers)?;
        let redis_url = relays.redis.of_url(&servers.redis_url());
        let database_url = relays.postgres.of_url(&servers.database_url());
        let mut environment = environment(&redis_url, &simulator, &public_url);
        if faults == Faults::All {
            // What was misread is read again by the next full walk.
            let interval = "PATHBOUND_RECONCILE_INTERVAL";
            environment.push((interval.to_owned(), "20s".to_owned()));
        }
        let fleet = Fleet::start(environment, database_url).await?;
        let mut world = Self {
            store: ApiStore::connect(&database, 4).await?,
            queue: Queue::open(&Secret::new(servers.redis_url()), PREFIX)?,
            servers,
            relays,
            simulator,
            tenants: Vec::new(),
            fleet,
            history,
            deaths: Mutex::default(),
        };
        world
            .connect_all(
                &ApiClient::new(&public_url, &Secret::new(SERVICE_KEY))?,
                seed,
            )
            .await?;
        Ok(world)
    }

    async fn connect_all(&mut self, rest: &ApiClient, seed: u64) -> Result<(), Failure> {
        let browser = Browser::new()?;
        let begun = Instant::now();
        while let Err(error) = rest
            .post(None, "/v1/tenants", &json!({"name": "first"}))
            .await
        {
            if begun.elapsed() > Duration::from_secs(30) {
                return Err(error.into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        for number in 0..WORKSPACES {
            let workspace = self.simulator.add_workspace(spec(number, seed));
            let made = rest
                .post(
                    None,
                    "/v1/tenants",
                    &json!({"name": format!("chaos {number}")}),
                )
                .await?
                .success()?;
            let tenant: TenantId = made["id"].as_str().ok_or("no tenant id")?.parse()?;
            let start = rest
                .post(
                    Some(tenant),
                    "/v1/integrations/intercom/connect",
                    &json!({}),
                )
                .await?
                .success()?;
            browser
                .connect(
                    start["start_url"].as_str().ok_or("no start_url")?,
                    &workspace.id_code(),
                )
                .await?;
            let connections = rest.get(tenant, "/v1/connections").await?;
            let connection = connections["items"][0]["id"]
                .as_str()
                .ok_or("no connection")?
                .parse()?;
            self.tenants.push(Connected {
                tenant,
                connection,
                workspace,
            });
        }
        Ok(())
    }

    pub(crate) async fn status(&self, connected: &Connected) -> Result<SyncStatus, Failure> {
        let mut tx = self.store.begin(connected.tenant).await?;
        let facts = tx
            .sync_facts(connected.connection)
            .await?
            .ok_or("the connection is gone")?;
        Ok(completeness::judge(&facts))
    }

    /// Live tickets in Redis. The first answer after an outage may be an error of the old connection.
    pub(crate) async fn live(&self) -> Result<u64, Failure> {
        let begun = Instant::now();
        loop {
            match self.queue.stats().await {
                Err(_) if begun.elapsed() < Duration::from_secs(15) => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                stats => return Ok(stats?.live),
            }
        }
    }

    /// Notes that a process was killed now.
    pub(crate) fn died(&self, user: &str) {
        self.deaths.lock().insert(user.to_owned(), now());
    }

    /// When each killed process died, in Unix seconds.
    pub(crate) fn deaths(&self) -> BTreeMap<String, f64> {
        self.deaths.lock().clone()
    }

    /// Ends the fleet and the servers. What is left ends with this process.
    pub(crate) async fn stop(self) {
        self.store.close().await;
        self.simulator.stop().await;
        drop(self.fleet);
        drop(self.relays);
        let servers = self.servers;
        let _ = tokio::task::spawn_blocking(move || drop(servers)).await;
    }
}

/// The harness's own connections to Redis wait for their answers, however busy the machine is: by itself the client
/// gives up after half a second.
pub(crate) fn patient() -> redis::AsyncConnectionConfig {
    let patience = Some(Duration::from_secs(30));
    redis::AsyncConnectionConfig::new()
        .set_response_timeout(patience)
        .set_connection_timeout(patience)
}

pub(crate) fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

fn spec(number: u32, seed: u64) -> WorkspaceSpec {
    WorkspaceSpec {
        name: format!("chaos {number}"),
        seed: seed.wrapping_mul(1_000) + u64::from(number),
        contacts: 300,
        companies: 60,
        conversations: 150,
        // Rate windows are another test's: a slice that waits for one writes nothing, and would look cut off.
        limit_per_window: 1_000_000,
        ..WorkspaceSpec::default()
    }
}

fn environment(redis_url: &str, simulator: &Simulator, public_url: &str) -> Vec<(String, String)> {
    [
        ("PROFILE", "development"),
        ("REDIS_URL", redis_url),
        ("REDIS_PREFIX", PREFIX),
        ("PUBLIC_URL", public_url),
        ("LISTEN", public_url.trim_start_matches("http://")),
        ("OPS_LISTEN", "127.0.0.1:0"),
        ("DATABASE_CONNECTIONS", "12"),
        ("SERVICE_KEY", SERVICE_KEY),
        ("INTERCOM_CLIENT_ID", "simulator-client-id"),
        ("INTERCOM_CLIENT_SECRET", "simulator-client-secret"),
        ("INTERCOM_API_URL", &simulator.url()),
        ("INTERCOM_APP_URL", &simulator.url()),
        // Always something to do, and every way to find it within seconds.
        ("SYNC_INTERVAL", "1s"),
        ("COMPANY_WALK_INTERVAL", "4s"),
        ("REFERENCE_INTERVAL", "4s"),
        ("SEARCH_INDEX_LAG", "5s"),
        ("REFUSAL_CONFIRMATION", "5s"),
        // What is doubted or set aside is asked about again within seconds.
        ("RECORD_RETRY", "1s"),
        ("THREAD_RETRY_INTERVAL", "1s"),
        ("DELETION_CONFIRMATION", "3s"),
        ("BLOCK_CHECK_INTERVAL", "5s"),
        ("MAX_SHARE", "1.0"),
        ("REQUEST_TIMEOUT", "2s"),
        ("CONVERSATIONS_PER_SLICE", "40"),
        ("CONVERSATION_CONCURRENCY", "4"),
        ("LOG", "info"),
    ]
    .into_iter()
    .map(|(name, value)| (format!("PATHBOUND_{name}"), value.to_owned()))
    .collect()
}
