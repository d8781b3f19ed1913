//! The first walk of a large workspace at a real latency and limit, beside the two floors that no sync can pass: the
//! calls at the rate limit, and the calls of one chain one after the other.
//!
//! Small neighbours connect while the large workspace is walked, and again afterwards. What a neighbour waits for shows
//! whether the walk takes turns that are theirs.
//!
//! `FIRST_SYNC_CONVERSATIONS` and `FIRST_SYNC_CONTACTS` take other sizes, for a quick look.

use std::time::{Duration, Instant};

use intercom_simulator::{Latency, WorkspaceSpec};
use serde_json::Value;
use servers::Durability;
use sqlx::{Connection, PgConnection};

use crate::{
    fleet::{Fleet, FleetOptions, connect},
    process,
    report::{Failure, Report, SEED, p99, size},
    roles::{self, Scene},
    sync::WORKSPACE,
};

const CONVERSATIONS: u32 = 300_000;
const CONTACTS: u32 = 100_000;
const PAGE: u32 = 150;
const LATENCY_MS: u64 = 200;
const LIMIT: u32 = 1_667;
const WINDOW_SECONDS: f64 = 10.0;
/// Neighbours that connect after the walk. Those during it are as many as there is time for.
const NEIGHBOURS_AFTER: usize = 12;
/// Between two looks at a neighbour's status.
const LOOK: Duration = Duration::from_millis(25);
/// A walk that takes longer than this has hung.
const PATIENCE: Duration = Duration::from_secs(900);

pub(crate) async fn measure(report: &mut Report) -> Result<(), Failure> {
    let conversations = size("FIRST_SYNC_CONVERSATIONS", CONVERSATIONS)?;
    let contacts = size("FIRST_SYNC_CONTACTS", CONTACTS)?;
    println!(
        "the first walk of {conversations} conversations, and of {contacts} contacts, at {LATENCY_MS} ms a call and \
         {LIMIT} calls per {WINDOW_SECONDS} s (fsync on)"
    );
    if report.wants("first_sync.stubs") || report.wants("first_sync.neighbour") {
        let spec = WorkspaceSpec {
            conversations,
            contacts: PAGE,
            ..quiet()
        };
        let walk = walk(spec, "conversations", "search_conversations", conversations).await?;
        add(report, "stubs", &walk, Floor::Rate);
        report.add(
            "first_sync.neighbour_p99_seconds",
            p99(walk.neighbours_beside),
            "s",
            Some(p99(walk.neighbours_after)),
        );
    }
    if report.wants("first_sync.contacts") {
        let spec = WorkspaceSpec {
            contacts,
            conversations: 0,
            ..quiet()
        };
        let walk = walk(spec, "contacts", "list_contacts", contacts).await?;
        add(report, "contacts", &walk, Floor::Latency);
    }
    Ok(())
}

/// Nothing costs a call but the pages: threads are empty, and each contact shows all of its companies.
fn quiet() -> WorkspaceSpec {
    WorkspaceSpec {
        id_code: Some(WORKSPACE.to_owned()),
        seed: SEED,
        companies: 0,
        parts: 0.0,
        contacts_over_10_companies: 0.0,
        limit_per_window: LIMIT,
        ..WorkspaceSpec::default()
    }
}

/// What a walk took.
struct Walk {
    seconds: f64,
    calls: u64,
    /// The calls of full pages.
    floor: u64,
    /// CPU seconds up to the end of the walk: the fleet's, Postgres' and the simulator's.
    cpu_seconds: [f64; 3],
    peak_mib: f64,
    neighbours_beside: Vec<f64>,
    neighbours_after: Vec<f64>,
}

/// The floor that a walk is compared with first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Floor {
    Rate,
    Latency,
}

fn add(report: &mut Report, what: &str, walk: &Walk, first: Floor) {
    let rate = walk.floor as f64 * WINDOW_SECONDS / f64::from(LIMIT);
    let latency = walk.floor as f64 * LATENCY_MS as f64 / 1_000.0;
    let floors = [
        (Floor::Rate, "by_rate", rate),
        (Floor::Latency, "by_latency", latency),
    ];
    for (floor, suffix, seconds) in floors {
        let name = if floor == first {
            format!("first_sync.{what}_seconds")
        } else {
            format!("first_sync.{what}_seconds.{suffix}")
        };
        report.add(&name, walk.seconds, "s", Some(seconds));
    }
    report.add(
        &format!("first_sync.{what}_calls"),
        walk.calls as f64,
        "calls",
        Some(walk.floor as f64),
    );
    let [ours, postgres, simulator] = walk.cpu_seconds;
    for (of, seconds) in [
        ("ours", ours),
        ("postgres", postgres),
        ("simulator", simulator),
    ] {
        report.add(
            &format!("first_sync.{what}_cpu_seconds.{of}"),
            seconds,
            "s",
            None,
        );
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    let busy = (ours + postgres + simulator) / (walk.seconds * cores);
    report.add(&format!("first_sync.{what}_cpu_share"), busy, "", None);
    report.add(
        &format!("first_sync.{what}_peak_mib"),
        walk.peak_mib,
        "MiB",
        None,
    );
    if busy > 0.8 {
        println!("  the limit of this run was the CPU of the machine, not the calls");
    }
}

/// Walks the workspace with a fleet of one worker.
async fn walk(
    spec: WorkspaceSpec,
    stream: &str,
    operation: &str,
    objects: u32,
) -> Result<Walk, Failure> {
    let scene = Scene {
        spec,
        latency: Latency::Fixed(LATENCY_MS),
    };
    let (simulator, intercom) = tokio::task::spawn_blocking(move || {
        roles::simulator(&scene).map_err(|error| error.to_string())
    })
    .await??;
    let options = FleetOptions {
        servers: servers::Options {
            durability: Durability::Real,
            ..servers::Options::default()
        },
        ..FleetOptions::default()
    };
    let fleet = Fleet::start_with(&intercom, options).await?;
    let mut database = PgConnection::connect(&fleet.servers.database_url()).await?;
    let mut neighbours_beside = Vec::new();
    let seconds = loop {
        if let Some(seconds) = walked(&mut database, stream).await? {
            break seconds;
        }
        if fleet.connected_at.elapsed() > PATIENCE {
            return Err(format!("{stream} are not walked after {PATIENCE:?}").into());
        }
        neighbours_beside.push(neighbour(&fleet, &intercom, neighbours_beside.len()).await?);
    };
    let (ours, postgres) = fleet.cpu_seconds();
    let cpu_seconds = [
        ours,
        postgres,
        process::usage(simulator.child.id()).cpu_seconds,
    ];
    let calls = calls(&intercom, operation).await?;
    let peak_mib = fleet.worker_peak_mib();
    let mut neighbours_after = Vec::new();
    for number in 0..NEIGHBOURS_AFTER {
        let number = neighbours_beside.len() + number;
        neighbours_after.push(neighbour(&fleet, &intercom, number).await?);
    }
    Ok(Walk {
        seconds,
        calls,
        floor: u64::from(objects.div_ceil(PAGE)),
        cpu_seconds,
        peak_mib,
        neighbours_beside,
        neighbours_after,
    })
}

/// Seconds until a new small workspace is complete.
async fn neighbour(fleet: &Fleet, intercom: &str, number: usize) -> Result<f64, Failure> {
    let workspace = format!("neighbour{number}");
    let spec = WorkspaceSpec {
        id_code: Some(workspace.clone()),
        seed: SEED + 1 + number as u64,
        contacts: 5,
        conversations: 5,
        companies: 1,
        parts: 2.0,
        ..quiet()
    };
    pathbound::api_client::http_client()?
        .post(format!("{intercom}/_control/workspaces"))
        .json(&spec)
        .send()
        .await?
        .error_for_status()?;
    let begun = Instant::now();
    let (tenant, connection, _) = connect(&fleet.rest, &workspace).await?;
    let path = format!("/v1/connections/{connection}/sync");
    loop {
        let status = fleet.rest.get(tenant, &path).await?;
        if status["complete"] == true {
            return Ok(begun.elapsed().as_secs_f64());
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("a neighbour is not complete: {status}").into());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Seconds from the connection to the end of the stream's first walk, by Postgres' clock. `None` before that.
async fn walked(database: &mut PgConnection, stream: &str) -> Result<Option<f64>, Failure> {
    let seconds: Option<f64> = sqlx::query_scalar(
        "SELECT extract(epoch FROM s.walked_at - c.connected_at)::float8
         FROM streams s JOIN connections c ON c.tenant_id = s.tenant_id AND c.id = s.connection_id
         WHERE c.workspace_id = $1 AND s.stream = $2 AND s.walked_at IS NOT NULL",
    )
    .bind(WORKSPACE)
    .bind(stream)
    .fetch_optional(database)
    .await?;
    Ok(seconds)
}

/// Calls of one operation to the large workspace. A count of one record is none of its pages.
async fn calls(intercom: &str, operation: &str) -> Result<u64, Failure> {
    let ledger: Value = pathbound::api_client::http_client()?
        .get(format!("{intercom}/_control/workspaces/{WORKSPACE}/ledger"))
        .send()
        .await?
        .json()
        .await?;
    ledger["by_operation"][operation]
        .as_u64()
        .ok_or_else(|| format!("the ledger has no {operation}: {ledger}").into())
}
