//! The servers, the simulated Intercom, the fleet, and its tenants.

use std::{
    ops::Range,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use intercom_simulator::{Latency, Options, Simulator, Workspace, WorkspaceSpec};
use pathbound::{api_client::ApiClient, demo::browser::Browser};
use serde_json::json;
use servers::Servers;
use shared::{
    config::DatabaseConfig,
    domain::{ConnectionId, Secret, TenantId},
    store::ApiStore,
};
use sqlx::{PgPool, postgres::PgPoolOptions};

use super::Sizes;
use crate::{
    clones,
    report::{Failure, SEED},
    roles::{self, Role},
    sync::{self, SERVICE_KEY},
};

const APIS: usize = 2;
/// Tenants that connect at once.
const CONNECTING: usize = 8;
const LOOK: Duration = Duration::from_secs(1);

/// All of it. What is started ends with this value.
pub(super) struct Scene {
    pub(super) sizes: Sizes,
    pub(super) simulator: Simulator,
    pub(super) store: ApiStore,
    /// One for each API.
    pub(super) clients: Vec<ApiClient>,
    pub(super) processes: Vec<Process>,
    /// What every process is started with.
    pub(super) environment: Vec<(String, String)>,
    pub(super) admin: PgPool,
    pub(super) servers: Servers,
    workspaces: Vec<Workspace>,
    connected: Mutex<Vec<Connected>>,
}

/// The simulated Intercom of a scene.
pub(super) struct Intercom {
    pub(super) latency: Latency,
    /// Whether it keeps a row of each call.
    pub(super) ledger_rows: bool,
    /// Of the workspace with this number.
    pub(super) spec: fn(u32) -> WorkspaceSpec,
}

impl Default for Intercom {
    fn default() -> Self {
        Self {
            latency: Latency::Between(20, 80),
            ledger_rows: false,
            spec,
        }
    }
}

/// Which build a process is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Build {
    /// This one.
    Ours,
    /// The program of the release before.
    Previous(PathBuf),
}

/// A process of the fleet.
pub(super) struct Process {
    /// The name of its role.
    pub(super) name: &'static str,
    pub(super) role: Role,
    /// Of an API.
    pub(super) url: Option<String>,
    /// Where its metrics are.
    pub(super) ops_url: String,
}

/// A tenant whose workspace is connected.
#[derive(Clone)]
pub(super) struct Connected {
    pub(super) tenant: TenantId,
    pub(super) connection: ConnectionId,
    pub(super) workspace: Workspace,
}

impl Scene {
    /// Starts everything, with a fleet of this build.
    pub(super) async fn start(sizes: Sizes, build: &Build) -> Result<Self, Failure> {
        Self::start_with(sizes, build, &Intercom::default()).await
    }

    /// The same at another Intercom.
    pub(super) async fn start_with(
        sizes: Sizes,
        build: &Build,
        intercom: &Intercom,
    ) -> Result<Self, Failure> {
        let options = servers::Options {
            shared_buffers_mib: 1_024,
            max_connections: 200,
            ..servers::Options::default()
        };
        let servers = tokio::task::spawn_blocking(|| Servers::start(options)).await??;
        let database = DatabaseConfig::of_url(Secret::new(servers.database_url()));
        let simulator = Simulator::start(Options {
            latency: intercom.latency,
            ledger_rows: intercom.ledger_rows,
            ..Options::default()
        })
        .await?;
        let workspaces =
            (0..sizes.tenants).map(|number| simulator.add_workspace((intercom.spec)(number)));
        let workspaces = workspaces.collect();
        let urls: Vec<String> = (0..APIS)
            .map(|_| Ok::<_, Failure>(format!("http://127.0.0.1:{}", servers::free_port()?)))
            .collect::<Result<_, _>>()?;
        let clients = urls
            .iter()
            .map(|url| ApiClient::new(url, &Secret::new(SERVICE_KEY)));
        let clients = clients.collect::<Result<_, _>>()?;
        let environment = environment(&servers, &simulator, &urls[0], sizes);
        migrate(build, &environment).await?;
        let mut scene = Self {
            sizes,
            store: ApiStore::connect(&database, 4).await?,
            admin: PgPoolOptions::new()
                .max_connections(2)
                .connect(&servers.database_url())
                .await?,
            clients,
            processes: Vec::new(),
            environment,
            simulator,
            servers,
            workspaces,
            connected: Mutex::default(),
        };
        let workers = (0..sizes.workers).map(|_| ("worker", None));
        let apis = urls.into_iter().map(|url| ("api", Some(url)));
        for (name, url) in [("scheduler", None)].into_iter().chain(workers).chain(apis) {
            let process = scene.process(name, build, url)?;
            scene.processes.push(process);
        }
        Ok(scene)
    }

    /// Starts a process. An API listens at `url`.
    pub(super) fn process(
        &self,
        name: &'static str,
        build: &Build,
        url: Option<String>,
    ) -> Result<Process, Failure> {
        let ops = format!("127.0.0.1:{}", servers::free_port()?);
        let mut environment = self.environment.clone();
        // The last one of a name counts.
        environment.push(("PATHBOUND_OPS_LISTEN".to_owned(), ops.clone()));
        if let Some(url) = &url {
            let listen = url.trim_start_matches("http://").to_owned();
            environment.push(("PATHBOUND_LISTEN".to_owned(), listen));
        }
        let role = match build {
            Build::Ours => roles::pathbound(&[name], &environment)?,
            Build::Previous(program) => roles::other_build(program, name, &environment)?,
        };
        Ok(Process {
            name,
            role,
            url,
            ops_url: format!("http://{ops}"),
        })
    }

    /// Brings the schema to that of a build.
    pub(super) async fn migrate(&self, build: &Build) -> Result<(), Failure> {
        migrate(build, &self.environment).await
    }

    /// Makes the tenants, and lets a browser of each connect its workspace. Their first syncs are under way when it
    /// returns.
    pub(super) async fn connect_all(&self) -> Result<(), Failure> {
        self.connect_some(0..self.workspaces.len()).await
    }

    /// The same for some of them.
    pub(super) async fn connect_some(&self, which: Range<usize>) -> Result<(), Failure> {
        sync::until_up(&self.clients[0]).await?;
        let browser = Browser::new()?;
        let connects = self.workspaces[which]
            .iter()
            .map(|workspace| self.connect(workspace, &browser));
        let connected: Vec<Connected> = stream::iter(connects)
            .buffer_unordered(CONNECTING)
            .try_collect()
            .await?;
        let mut all = self
            .connected
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        all.extend(connected);
        Ok(())
    }

    async fn connect(
        &self,
        workspace: &Workspace,
        browser: &Browser,
    ) -> Result<Connected, Failure> {
        let rest = &self.clients[0];
        let name = workspace.spec().name;
        let made = rest
            .post(None, "/v1/tenants", &json!({"name": name}))
            .await?;
        let made = made.success()?;
        let tenant: TenantId = made["id"].as_str().ok_or("no tenant id")?.parse()?;
        let start_url = sync::start_link(rest, tenant).await?;
        browser.connect(&start_url, &workspace.id_code()).await?;
        let connections = rest.get(tenant, "/v1/connections").await?;
        let connection = connections["items"][0]["id"].as_str();
        Ok(Connected {
            tenant,
            connection: connection.ok_or("no connection")?.parse()?,
            workspace: workspace.clone(),
        })
    }

    pub(super) fn connected(&self) -> Vec<Connected> {
        let connected = self.connected.lock();
        connected.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn workspaces(&self) -> Vec<Workspace> {
        self.workspaces.clone()
    }

    /// Postgres' time.
    pub(super) async fn now(&self) -> Result<DateTime<Utc>, Failure> {
        let now = sqlx::query_scalar("SELECT clock_timestamp()");
        Ok(now.fetch_one(&self.admin).await?)
    }

    /// Waits until all streams of objects have ended a walk that began after this time, or any walk, and no thread is
    /// pending. A list shows a change two seconds later.
    pub(super) async fn until_read_since(
        &self,
        since: Option<DateTime<Utc>>,
        patience: Duration,
    ) -> Result<(), Failure> {
        let begun = Instant::now();
        loop {
            let (behind, pending): (i64, i64) = sqlx::query_as(
                "SELECT count(*) FILTER (WHERE stream IN ('contacts', 'companies', 'conversations')
                            AND (last_ok_at IS NULL OR last_ok_at < $1 + $2)),
                        coalesce(sum(pending), 0)::bigint
                 FROM streams",
            )
            .bind(since)
            .bind(Duration::from_secs(self.sizes.interval_seconds + 4))
            .fetch_one(&self.admin)
            .await?;
            if behind + pending == 0 {
                return Ok(());
            }
            if begun.elapsed() > patience {
                return Err(format!("{behind} streams are behind and {pending} objects are pending after {patience:?}").into());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    pub(super) async fn stop(self) {
        self.store.close().await;
        self.admin.close().await;
        self.simulator.stop().await;
        drop(self.processes);
        let servers = self.servers;
        let _ = tokio::task::spawn_blocking(move || drop(servers)).await;
    }
}

fn environment(
    servers: &Servers,
    simulator: &Simulator,
    public_url: &str,
    sizes: Sizes,
) -> Vec<(String, String)> {
    let mut environment = sync::environment(servers, &simulator.url(), public_url);
    let interval = format!("{}s", sizes.interval_seconds);
    let own = [
        ("SYNC_INTERVAL", interval.as_str()),
        // Companies have no filter by time, so their changes are seen by a walk.
        ("COMPANY_WALK_INTERVAL", "60s"),
        ("DATABASE_CONNECTIONS", "16"),
        ("ENCRYPTION_KEYS", clones::KEYS),
    ];
    let own = own.map(|(name, value)| (format!("PATHBOUND_{name}"), value.to_owned()));
    environment.extend(own);
    environment
}

async fn migrate(build: &Build, environment: &[(String, String)]) -> Result<(), Failure> {
    let mut role = match build {
        Build::Ours => roles::pathbound(&["migrate"], environment)?,
        Build::Previous(program) => roles::other_build(program, "migrate", environment)?,
    };
    let status = tokio::task::spawn_blocking(move || role.child.wait()).await??;
    if status.success() {
        Ok(())
    } else {
        Err(format!("the migration of {build:?} ended with {status}").into())
    }
}

/// A small customer. Most are.
fn spec(number: u32) -> WorkspaceSpec {
    WorkspaceSpec {
        name: format!("load {number}"),
        seed: SEED + u64::from(number),
        contacts: 20,
        companies: 3,
        conversations: 10,
        parts: 3.0,
        ..WorkspaceSpec::default()
    }
}
