//! A worker's memory: where a workspace is large, where its threads are, where there are many workspaces, and where
//! nobody scrapes its metrics.

mod contacts;
mod giants;
pub(crate) mod tenants;
pub(crate) mod unscraped;

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use pathbound::{api_client::ApiClient, demo::browser::Browser};
use serde_json::{Value, json};
use servers::Servers;
use shared::{
    config::DatabaseConfig,
    domain::{ConnectionId, Secret, TenantId},
};

use crate::{
    process,
    report::{Failure, Report},
    roles::{self, Role},
    sync::{self, SERVICE_KEY, WORKSPACE},
};

/// A walk that takes longer than this has hung.
const PATIENCE: Duration = Duration::from_secs(40 * 60);

pub(crate) async fn measure(report: &mut Report) -> Result<(), Failure> {
    if report.wants("memory.worker_peak_mib_beside") {
        giants::measure(report).await?;
    }
    if report.wants("memory.worker_peak_mib_100k_tenants") {
        tenants::measure(report).await?;
    }
    if report.wants("memory.worker_peak_mib_unscraped_hour") {
        unscraped::measure(report).await?;
    }
    if report.wants("memory.worker_peak_mib_at") {
        contacts::measure(report).await?;
    }
    Ok(())
}

/// Every role as a process of its own, with one workspace connected.
pub(crate) struct Fleet {
    rest: ApiClient,
    tenant: TenantId,
    connection: ConnectionId,
    connected_at: Instant,
    worker: Role,
    _others: [Role; 2],
    pub(crate) servers: Servers,
}

impl Fleet {
    pub(crate) async fn start(intercom: &str) -> Result<Self, Failure> {
        let servers =
            tokio::task::spawn_blocking(|| Servers::start(servers::Options::default())).await??;
        let database = DatabaseConfig::of_url(Secret::new(servers.database_url()));
        shared::store::migrate(&database.url, &database).await?;
        let public_url = format!(
            "http://127.0.0.1:{}",
            TcpListener::bind("127.0.0.1:0")?.local_addr()?.port()
        );
        let environment = sync::environment(&servers, intercom, &public_url);
        let others = [
            roles::pathbound(&["api"], &environment)?,
            roles::pathbound(&["scheduler"], &environment)?,
        ];
        let worker = roles::pathbound(&["worker"], &environment)?;
        let rest = ApiClient::new(&public_url, &Secret::new(SERVICE_KEY))?;
        let tenant = sync::until_up(&rest).await?;
        let started = rest
            .post(
                Some(tenant),
                "/v1/integrations/intercom/connect",
                &json!({}),
            )
            .await?
            .success()?;
        let connected_at = Instant::now();
        Browser::new()?
            .connect(
                started["start_url"].as_str().ok_or("no start_url")?,
                WORKSPACE,
            )
            .await?;
        let connections = rest.get(tenant, "/v1/connections").await?;
        let connection = connections["items"][0]["id"]
            .as_str()
            .ok_or("no connection")?
            .parse()?;
        Ok(Self {
            rest,
            tenant,
            connection,
            connected_at,
            worker,
            _others: others,
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
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    fn worker_peak_mib(&self) -> f64 {
        process::usage(self.worker.child.id()).peak_mib
    }
}
