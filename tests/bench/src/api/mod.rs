//! What readers wait for: the calls that they make often, each beside its own statements alone.
//!
//! 32 clients send one request after the other. The baseline sends what the API sends to Postgres for the same requests,
//! in the same transactions and over as many sessions, but no HTTP, no check of a key, no folding and no JSON.
//!
//! `API_TENANTS=1000 API_CALLS=20000` is the full size. Each tenant has about ten thousand parts.

mod bare;
mod documents;
mod http;
mod load;
mod neighbours;
mod postgres;
mod recorded;
mod recording;
mod requests;
mod scene;

use std::sync::Arc;

use bare::BareSessions;
use http::{HttpCaller, Request};
use load::{CpuSeconds, Load};
use requests::CallKind;
use scene::Scene;
use sqlx::PgConnection;

use crate::report::{Failure, Report, size};

const CLIENTS: usize = 32;
const CALLS: usize = 4_000;
/// The calls are made in turns with those of the baseline, so that both meet the same moments of the machine.
const TURNS: usize = 4;

/// A call, measured both ways.
struct Measured {
    requests: Arc<Vec<Request>>,
    /// To Postgres, of each request before its answer.
    round_trips: f64,
    bare_round_trips: f64,
    api: Load,
    /// The statements alone.
    alone: Load,
}

pub(crate) async fn measure(report: &mut Report) -> Result<(), Failure> {
    let calls = size("API_CALLS", CALLS)?;
    println!("{calls} calls of each kind by {CLIENTS} clients, beside their statements alone");
    let mut scene = Scene::make().await?;
    for kind in requests::REST {
        let name = format!("api.{}", kind.name);
        if report.wants(&name) {
            let measured = one(&mut scene, &kind, calls).await?;
            measured.add(report, &name, 99);
        }
    }
    if report.wants("mcp.") {
        let measured = one(&mut scene, &requests::TOOLS, calls).await?;
        measured.add(report, "mcp.tool_call", 95);
        for tool in requests::TOOL_NAMES {
            let is_meant = |request: usize| measured.requests[request].tool == Some(tool);
            report.add(
                &format!("mcp.tool_call_p95_ms.{tool}"),
                measured.api.percentile_ms(95, is_meant),
                "ms",
                Some(measured.alone.percentile_ms(95, is_meant)),
            );
        }
    }
    if report.wants("api.neighbour_p99_ms") {
        neighbours::measure(report, &scene).await?;
    }
    Ok(())
}

async fn one(scene: &mut Scene, kind: &CallKind, calls: usize) -> Result<Measured, Failure> {
    let requests = Arc::new(kind.requests(scene)?);
    let recording = recording::record(scene, &requests).await?;
    let host = scene.host().to_owned();
    let callers = async || HttpCaller::several(CLIENTS, &host, &requests).await;
    // The first calls open the API's sessions, and have each session prepare and plan its statements.
    let count = requests.len();
    Load::of(scene.fleet(), callers().await?, count, count).await?;
    let sessions = sessions_of_api(&mut scene.original.admin).await?;
    let port = scene.fleet().servers.postgres().port();
    let bare = BareSessions::open(port, sessions, &recording).await?;
    let fleet = scene.fleet();
    Load::of(fleet, bare.callers(CLIENTS), count, count).await?;
    let (mut api, mut alone) = (Load::default(), Load::default());
    for _ in 0..TURNS {
        api.add(Load::of(fleet, callers().await?, count, calls / TURNS).await?);
        alone.add(Load::of(fleet, bare.callers(CLIENTS), count, calls / TURNS).await?);
    }
    Ok(Measured {
        round_trips: recording.round_trips as f64 / count as f64,
        bare_round_trips: recording.bare_round_trips() as f64 / count as f64,
        requests,
        api,
        alone,
    })
}

/// The sessions that the API has opened.
async fn sessions_of_api(admin: &mut PgConnection) -> Result<usize, Failure> {
    let count: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_activity
         WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND application_name <> $1",
    )
    .bind(postgres::APPLICATION)
    .fetch_one(admin)
    .await?;
    Ok(usize::try_from(count)?)
}

impl Measured {
    fn add(&self, report: &mut Report, name: &str, of_hundred: usize) {
        let (api, alone) = (&self.api, &self.alone);
        let mut add = |figure: &str, unit, value, baseline| {
            report.add(&format!("{name}_{figure}"), value, unit, baseline);
        };
        let p = |load: &Load| load.percentile_ms(of_hundred, |_| true);
        add(&format!("p{of_hundred}_ms"), "ms", p(api), Some(p(alone)));
        let (ours, bare) = (api.per_second(), alone.per_second());
        add("per_second", "1/s", ours, Some(bare));
        let bare_round_trips = Some(self.bare_round_trips);
        add("round_trips", "", self.round_trips, bare_round_trips);
        // The baseline has no API.
        add("cpu_us.api", "us", api.cpu_us(|cpu| cpu.api), None);
        for (whose, cpu) in [
            ("postgres", (|cpu| cpu.postgres) as fn(&CpuSeconds) -> f64),
            ("client", |cpu| cpu.client),
        ] {
            let baseline = Some(alone.cpu_us(cpu));
            add(&format!("cpu_us.{whose}"), "us", api.cpu_us(cpu), baseline);
        }
    }
}
