//! The servers, the simulated Intercom, the fleet, and its tenants.

use std::{
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
    /// Each process with the name of its role.
    pub(super) roles: Vec<(&'static str, Role)>,
    pub(super) admin: PgPool,
    pub(super) servers: Servers,
    workspaces: Vec<Workspace>,
    connected: Mutex<Vec<Connected>>,
}

/// A tenant whose workspace is connected.
#[derive(Clone)]
pub(super) struct Connected {
    pub(super) tenant: TenantId,
    pub(super) connection: ConnectionId,
    pub(super) workspace: Workspace,
}

impl Scene {
    pub(super) async fn start(sizes: Sizes) -> Result<Self, Failure> {
        let options = servers::Options {
            shared_buffers_mib: 1_024,
            max_connections: 200,
            ..servers::Options::default()
        };
        let servers = tokio::task::spawn_blocking(|| Servers::start(options)).await??;
        let database = DatabaseConfig::of_url(Secret::new(servers.database_url()));
        shared::store::migrate(&database.url, &database).await?;
        let simulator = Simulator::start(Options {
            latency: Latency::Between(20, 80),
            ledger_rows: false,
            ..Options::default()
        })
        .await?;
        let workspaces = (0..sizes.tenants).map(|number| simulator.add_workspace(spec(number)));
        let workspaces = workspaces.collect();
        let (roles, clients) = start_roles(&servers, &simulator, sizes)?;
        Ok(Self {
            sizes,
            store: ApiStore::connect(&database, 4).await?,
            admin: PgPoolOptions::new()
                .max_connections(2)
                .connect(&servers.database_url())
                .await?,
            clients,
            roles,
            simulator,
            servers,
            workspaces,
            connected: Mutex::default(),
        })
    }

    /// Makes the tenants, and lets a browser of each connect its workspace. Their first syncs are under way when it
    /// returns.
    pub(super) async fn connect_all(&self) -> Result<(), Failure> {
        sync::until_up(&self.clients[0]).await?;
        let browser = Browser::new()?;
        let connects = self
            .workspaces
            .iter()
            .map(|workspace| self.connect(workspace, &browser));
        let connected: Vec<Connected> = stream::iter(connects)
            .buffer_unordered(CONNECTING)
            .try_collect()
            .await?;
        *self
            .connected
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = connected;
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
        let start = rest
            .post(
                Some(tenant),
                "/v1/integrations/intercom/connect",
                &json!({}),
            )
            .await?
            .success()?;
        let start_url = start["start_url"].as_str().ok_or("no start_url")?;
        browser.connect(start_url, &workspace.id_code()).await?;
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
        drop(self.roles);
        let servers = self.servers;
        let _ = tokio::task::spawn_blocking(move || drop(servers)).await;
    }
}

type Started = (Vec<(&'static str, Role)>, Vec<ApiClient>);

fn start_roles(servers: &Servers, simulator: &Simulator, sizes: Sizes) -> Result<Started, Failure> {
    let ports = (0..APIS).map(|_| servers::free_port());
    let urls: Vec<String> = ports
        .map(|port| Ok::<_, Failure>(format!("http://127.0.0.1:{}", port?)))
        .collect::<Result<_, _>>()?;
    let mut environment = sync::environment(servers, &simulator.url(), &urls[0]);
    let interval = format!("{}s", sizes.interval_seconds);
    for (name, value) in [
        ("SYNC_INTERVAL", interval.as_str()),
        // Companies have no filter by time, so their changes are seen by a walk.
        ("COMPANY_WALK_INTERVAL", "60s"),
        ("DATABASE_CONNECTIONS", "16"),
    ] {
        environment.push((format!("PATHBOUND_{name}"), value.to_owned()));
    }
    let mut roles = vec![("scheduler", roles::pathbound(&["scheduler"], &environment)?)];
    for _ in 0..sizes.workers {
        roles.push(("worker", roles::pathbound(&["worker"], &environment)?));
    }
    let mut clients = Vec::new();
    for url in &urls {
        let listen = url.trim_start_matches("http://").to_owned();
        // The last one of a name counts.
        let own = [("PATHBOUND_LISTEN".to_owned(), listen)];
        let own = [environment.clone(), own.into()].concat();
        roles.push(("api", roles::pathbound(&["api"], &own)?));
        clients.push(ApiClient::new(url, &Secret::new(SERVICE_KEY))?);
    }
    Ok((roles, clients))
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
