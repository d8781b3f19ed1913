//! A first sync of one workspace into Postgres: as fast as it goes, and at a real latency and limit.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use intercom_simulator::{Latency, Simulator, WorkspaceSpec};
use pathbound::{api_client::ApiClient, demo::browser::Browser};
use serde_json::{Value, json};
use servers::{Durability, Servers};
use shared::{
    config::DatabaseConfig,
    domain::{Secret, TenantId},
};

use crate::{
    baseline::{self, Baseline},
    process,
    report::{Failure, Report, SEED},
    roles::{self, NO_LIMIT, Scene},
};

const CONTACTS: u32 = 5_000;
const COMPANIES: u32 = 300;
const CONVERSATIONS: u32 = 2_000;
/// 15,000 parts.
const PARTS: f64 = 7.5;
pub(crate) const WORKSPACE: &str = "benchws1";
pub(crate) const SERVICE_KEY: &str = "a-service-key-for-the-benchmark-only";
/// A sync that takes longer than this has hung.
const PATIENCE: Duration = Duration::from_secs(180);
/// Between two looks at the status: each costs Postgres a millisecond or two.
const LOOK: Duration = Duration::from_millis(25);
const WINDOW_SECONDS: f64 = 10.0;

/// What one sync took.
struct Taken {
    wall_seconds: f64,
    cpu_seconds: f64,
    cpu_total_seconds: f64,
    peak_mib: f64,
    calls: u64,
}

/// Measures both scenes, each beside the baseline.
pub(crate) async fn measure(report: &mut Report) -> Result<(), Failure> {
    println!(
        "first sync of {CONTACTS} contacts, {COMPANIES} companies, {CONVERSATIONS} conversations with about {:.0} parts into Postgres \
         (fsync on), beside a serial copy of the same objects into a file",
        f64::from(CONVERSATIONS) * PARTS
    );
    for (scene, limit, latency_ms) in [("unlimited", 10_000_000, 0), ("limited", 1_667, 50)] {
        let (copied, taken) = one_scene(limit, latency_ms).await?;
        let name = |figure: &str| format!("sync.{figure}.{scene}");
        report.add(
            &name("first_wall_seconds"),
            taken.wall_seconds,
            "s",
            Some(copied.wall_seconds),
        );
        report.add(
            &name("first_cpu_seconds"),
            taken.cpu_seconds,
            "s",
            Some(copied.cpu_seconds),
        );
        report.add(
            &name("first_cpu_total_seconds"),
            taken.cpu_total_seconds,
            "s",
            None,
        );
        report.add(&name("peak_rss_mib"), taken.peak_mib, "MiB", None);
        report.add(
            &name("calls"),
            taken.calls as f64,
            "calls",
            Some(copied.calls as f64),
        );
        let windows =
            (taken.wall_seconds / WINDOW_SECONDS).max(taken.calls as f64 / f64::from(limit));
        report.add(
            &name("limit_used_ratio"),
            taken.calls as f64 / (f64::from(limit) * windows),
            "",
            None,
        );
    }
    Ok(())
}

async fn one_scene(limit_per_window: u32, latency_ms: u64) -> Result<(Baseline, Taken), Failure> {
    let spec = WorkspaceSpec {
        id_code: Some(WORKSPACE.to_owned()),
        seed: SEED,
        contacts: CONTACTS,
        companies: COMPANIES,
        conversations: CONVERSATIONS,
        parts: PARTS,
        limit_per_window,
        ..WorkspaceSpec::default()
    };
    // The token is derived from the recipe, so a copy of the workspace in this process knows it.
    let token = token_of(&spec).await?;
    let latency = if latency_ms == 0 {
        Latency::None
    } else {
        Latency::Fixed(latency_ms)
    };
    let scene = Scene { spec, latency };
    let copied = {
        let (_simulator, url) = roles::simulator(&Scene {
            spec: WorkspaceSpec {
                limit_per_window: NO_LIMIT,
                ..scene.spec.clone()
            },
            ..scene
        })?;
        std::fs::create_dir_all("target/bench")?;
        baseline::copy(&url, &token, Path::new("target/bench/baseline.jsonl")).await?
    };
    let (_simulator, url) = roles::simulator(&scene)?;
    let taken = first_sync(&url).await?;
    Ok((copied, taken))
}

pub(crate) async fn token_of(spec: &WorkspaceSpec) -> Result<String, Failure> {
    let twin = Simulator::start(intercom_simulator::Options::default()).await?;
    let token = twin
        .add_workspace(WorkspaceSpec {
            contacts: 1,
            companies: 0,
            conversations: 0,
            ..spec.clone()
        })
        .token();
    twin.stop().await;
    Ok(token)
}

async fn first_sync(intercom: &str) -> Result<Taken, Failure> {
    let servers = tokio::task::spawn_blocking(|| {
        Servers::start(servers::Options {
            durability: Durability::Real,
            ..servers::Options::default()
        })
    })
    .await??;
    let database = DatabaseConfig::of_url(Secret::new(servers.database_url()));
    shared::store::migrate(&database.url, &database).await?;
    let port = servers::free_port()?;
    let public_url = format!("http://127.0.0.1:{port}");
    let fleet = roles::pathbound(&["all"], &environment(&servers, intercom, &public_url))?;

    let rest = ApiClient::new(&public_url, &Secret::new(SERVICE_KEY))?;
    let tenant = until_up(&rest).await?;
    let start_url = start_link(&rest, tenant).await?;
    let browser = Browser::new()?;
    let (ours, theirs) = (
        process::usage(fleet.child.id()).cpu_seconds,
        server_cpu(&servers),
    );

    let begun = Instant::now();
    browser.connect(&start_url, WORKSPACE).await?;
    let connections = rest.get(tenant, "/v1/connections").await?;
    let connection = connections["items"][0]["id"]
        .as_str()
        .ok_or("no connection")?
        .to_owned();
    let path = format!("/v1/connections/{connection}/sync");
    loop {
        let status = rest.get(tenant, &path).await?;
        if status["complete"] == true {
            break;
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("not complete after {PATIENCE:?}: {status}").into());
        }
        tokio::time::sleep(LOOK).await;
    }
    let wall_seconds = begun.elapsed().as_secs_f64();
    let used = process::usage(fleet.child.id());
    let cpu_seconds = used.cpu_seconds - ours;
    Ok(Taken {
        wall_seconds,
        cpu_seconds,
        cpu_total_seconds: cpu_seconds + server_cpu(&servers) - theirs,
        peak_mib: used.peak_mib,
        calls: calls(intercom).await?,
    })
}

/// Waits for the API, by making the tenant.
pub(crate) async fn until_up(rest: &ApiClient) -> Result<TenantId, Failure> {
    let begun = Instant::now();
    loop {
        match rest
            .post(None, "/v1/tenants", &json!({"name": "Bench"}))
            .await
        {
            Ok(made) => {
                return Ok(made.success()?["id"]
                    .as_str()
                    .ok_or("no tenant id")?
                    .parse()?);
            }
            Err(error) if begun.elapsed() > Duration::from_secs(20) => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

fn server_cpu(servers: &Servers) -> f64 {
    [servers.postgres().pid(), servers.redis().pid()]
        .into_iter()
        .flatten()
        .map(process::tree_cpu_seconds)
        .sum()
}

async fn calls(intercom: &str) -> Result<u64, Failure> {
    ledger(intercom).await?["total"]
        .as_u64()
        .ok_or_else(|| "the ledger has no total".into())
}

pub(crate) async fn ledger(intercom: &str) -> Result<Value, Failure> {
    Ok(pathbound::api_client::http_client()?
        .get(format!("{intercom}/_control/ledger"))
        .send()
        .await?
        .json()
        .await?)
}

/// The link with which a tenant's browser begins to connect a workspace.
pub(crate) async fn start_link(rest: &ApiClient, tenant: TenantId) -> Result<String, Failure> {
    let connect = "/v1/integrations/intercom/connect";
    let started = rest.post(Some(tenant), connect, &json!({})).await?;
    let started = started.success()?;
    let link = started["start_url"].as_str().ok_or("no start_url")?;
    Ok(link.to_owned())
}

pub(crate) fn environment(
    servers: &Servers,
    intercom: &str,
    public_url: &str,
) -> Vec<(String, String)> {
    let listen = public_url.trim_start_matches("http://");
    [
        ("PROFILE", "development"),
        ("DATABASE_URL", &servers.database_url()),
        ("REDIS_URL", &servers.redis_url()),
        ("PUBLIC_URL", public_url),
        ("LISTEN", listen),
        ("OPS_LISTEN", "127.0.0.1:0"),
        ("SERVICE_KEY", SERVICE_KEY),
        ("INTERCOM_CLIENT_ID", "simulator-client-id"),
        ("INTERCOM_CLIENT_SECRET", "simulator-client-secret"),
        ("INTERCOM_API_URL", intercom),
        ("INTERCOM_APP_URL", intercom),
        ("MAX_SHARE", "1.0"),
        ("LOG", "warn"),
    ]
    .into_iter()
    .map(|(name, value)| (format!("PATHBOUND_{name}"), value.to_owned()))
    .collect()
}
