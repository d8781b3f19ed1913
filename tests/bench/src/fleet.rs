//! Every role as a process of its own, with one workspace connected, on private servers.

use std::time::{Duration, Instant};

use pathbound::{api_client::ApiClient, demo::browser::Browser};
use serde_json::Value;
use servers::Servers;
use shared::{
    config::DatabaseConfig,
    domain::{ConnectionId, Secret, TenantId},
};

use crate::{
    process,
    report::Failure,
    roles::{self, Role},
    sync::{self, SERVICE_KEY, WORKSPACE},
};

/// A walk that takes longer than this has hung.
const PATIENCE: Duration = Duration::from_secs(40 * 60);

/// What differs from a fleet as it is by default.
#[derive(Default)]
pub(crate) struct FleetOptions {
    pub(crate) servers: servers::Options,
    /// Options of the product, such as `("SYNC_INTERVAL", "1d")`.
    pub(crate) environment: Vec<(&'static str, String)>,
    pub(crate) partitions: Option<u32>,
}

/// The processes, and the tenant that has connected its workspace.
pub(crate) struct Fleet {
    pub(crate) rest: ApiClient,
    pub(crate) public_url: String,
    /// Of the API's process.
    pub(crate) ops_url: String,
    pub(crate) tenant: TenantId,
    pub(crate) connection: ConnectionId,
    pub(crate) connected_at: Instant,
    pub(crate) worker: Role,
    api: Role,
    scheduler: Role,
    pub(crate) servers: Servers,
}

impl Fleet {
    pub(crate) async fn start(intercom: &str) -> Result<Self, Failure> {
        Self::start_with(intercom, FleetOptions::default()).await
    }

    pub(crate) async fn start_with(intercom: &str, options: FleetOptions) -> Result<Self, Failure> {
        let servers = tokio::task::spawn_blocking(|| Servers::start(options.servers)).await??;
        let mut database = DatabaseConfig::of_url(Secret::new(servers.database_url()));
        database.partitions = options.partitions.unwrap_or(database.partitions);
        shared::store::migrate(&database.url, &database).await?;
        // Not one that the kernel gives out, because another role could be given it before the API takes it.
        let public_url = format!("http://127.0.0.1:{}", servers::free_port()?);
        let mut environment = sync::environment(&servers, intercom, &public_url);
        let named = options.environment.into_iter();
        environment.extend(named.map(|(name, value)| (format!("PATHBOUND_{name}"), value)));
        let ops = format!("127.0.0.1:{}", servers::free_port()?);
        // The last one of a name counts.
        let at_known_port = [("PATHBOUND_OPS_LISTEN".to_owned(), ops.clone())];
        let api = roles::pathbound(
            &["api"],
            &[environment.clone(), at_known_port.into()].concat(),
        )?;
        let scheduler = roles::pathbound(&["scheduler"], &environment)?;
        let worker = roles::pathbound(&["worker"], &environment)?;
        let rest = ApiClient::new(&public_url, &Secret::new(SERVICE_KEY))?;
        let (tenant, connection, connected_at) = connect(&rest, WORKSPACE).await?;
        Ok(Self {
            rest,
            public_url,
            ops_url: format!("http://{ops}"),
            tenant,
            connection,
            connected_at,
            worker,
            api,
            scheduler,
            servers,
        })
    }

    /// The status, once it says that the copy is complete.
    pub(crate) async fn until_complete(&self) -> Result<Value, Failure> {
        loop {
            let status = self
                .rest
                .get(
                    self.tenant,
                    &format!("/v1/connections/{}/sync", self.connection),
                )
                .await?;
            if status["complete"] == true {
                return Ok(status);
            }
            if self.connected_at.elapsed() > PATIENCE {
                return Err(format!("not complete after {PATIENCE:?}: {status}").into());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Kills the worker.
    pub(crate) fn end_worker(&mut self) {
        self.worker.end();
    }

    /// Kills the worker and the scheduler, so that nothing runs beside what readers ask for.
    pub(crate) fn end_all_but_api(&mut self) {
        self.worker.end();
        self.scheduler.end();
    }

    pub(crate) fn worker_peak_mib(&self) -> f64 {
        process::usage(self.worker.child.id()).peak_mib
    }

    /// CPU seconds of the fleet's processes, and of Postgres.
    pub(crate) fn cpu_seconds(&self) -> (f64, f64) {
        let of = |role: &Role| process::usage(role.child.id()).cpu_seconds;
        let ours = of(&self.worker) + of(&self.api) + of(&self.scheduler);
        (ours, self.postgres_cpu_seconds())
    }

    pub(crate) fn api_cpu_seconds(&self) -> f64 {
        process::usage(self.api.child.id()).cpu_seconds
    }

    pub(crate) fn postgres_cpu_seconds(&self) -> f64 {
        let postgres = self.servers.postgres().pid();
        postgres.map_or(0.0, process::tree_cpu_seconds)
    }
}

/// Connects a workspace of a new tenant. Returns the time at which its browser set out as well.
pub(crate) async fn connect(
    rest: &ApiClient,
    workspace: &str,
) -> Result<(TenantId, ConnectionId, Instant), Failure> {
    let tenant = sync::until_up(rest).await?;
    let start_url = sync::start_link(rest, tenant).await?;
    let connected_at = Instant::now();
    Browser::new()?.connect(&start_url, workspace).await?;
    let connections = rest.get(tenant, "/v1/connections").await?;
    let connection = connections["items"][0]["id"]
        .as_str()
        .ok_or("no connection")?
        .parse()?;
    Ok((tenant, connection, connected_at))
}
