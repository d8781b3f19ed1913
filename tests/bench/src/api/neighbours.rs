//! What a tenant's reads take while its neighbour with very many documents searches, beside the same reads without.
//!
//! The reads come at a fixed rate, as people's do, so that the figure is the time of an answer and not of a queue.
//! `API_WHALE_DOCUMENTS=1000000` is the full size.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval};

use super::{
    http::{HttpCaller, HttpConnection},
    load::{Caller, Load},
    requests::{self, REST},
    scene::{Scene, Tenant},
};
use crate::report::{Failure, Report, size};

const CLIENTS: usize = 4;
const READS: usize = 4_000;
/// Between two reads of a client.
const READ_INTERVAL: Duration = Duration::from_millis(20);
/// Between the ends of two searches and the next ones.
const SEARCH_INTERVAL: Duration = Duration::from_millis(100);
const TURNS: usize = 4;
/// A word that more documents have than a search ranks.
const WORDS: &str = "the";

/// A client that waits between its calls.
struct PacedCaller {
    caller: HttpCaller,
    ticks: tokio::time::Interval,
}

pub(super) async fn measure(report: &mut Report, scene: &Scene) -> Result<(), Failure> {
    let reads = size("API_NEIGHBOUR_READS", READS)? / TURNS;
    let [whale, small] = [0, 1].map(|number| &scene.tenants[number]);
    prove_large(scene, whale).await?;
    let [mut without, mut beside_whale, mut beside_small] = [(); 3].map(|()| Load::default());
    for _ in 0..TURNS {
        without.add(beside(scene, None, reads).await?);
        beside_whale.add(beside(scene, Some(whale), reads).await?);
        beside_small.add(beside(scene, Some(small), reads).await?);
    }
    let p99 = |load: &Load| load.percentile_ms(99, |_| true);
    let baseline = Some(p99(&without));
    report.add("api.neighbour_p99_ms", p99(&beside_whale), "ms", baseline);
    // The part of it that any search has, because both want the same processors.
    report.add(
        "api.neighbour_p99_ms.beside_small_tenant",
        p99(&beside_small),
        "ms",
        baseline,
    );
    Ok(())
}

/// The search must be as expensive as a search can be.
async fn prove_large(scene: &Scene, whale: &Tenant) -> Result<(), Failure> {
    let request = requests::search(scene, whale, WORDS);
    let mut connection = HttpConnection::open(scene.host()).await?;
    let found: Value = serde_json::from_slice(connection.answer(&request.bytes).await?)?;
    if found["complete"] == false {
        return Ok(());
    }
    let total = &found["total"];
    Err(format!("a search of the whale finds {total} objects, so raise API_WHALE_DOCUMENTS").into())
}

/// Reads of contacts of all tenants, while this one searches.
async fn beside(scene: &Scene, tenant: Option<&Tenant>, reads: usize) -> Result<Load, Failure> {
    let requests = Arc::new(REST[0].requests(scene)?);
    let over = Arc::new(AtomicBool::new(false));
    let searching = match tenant {
        None => None,
        Some(tenant) => {
            let request = requests::search(scene, tenant, WORDS);
            let mut connection = HttpConnection::open(scene.host()).await?;
            let over = Arc::clone(&over);
            Some(tokio::spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    connection.answer(&request.bytes).await?;
                    tokio::time::sleep(SEARCH_INTERVAL).await;
                }
                Ok::<_, Failure>(())
            }))
        }
    };
    let callers = HttpCaller::several(CLIENTS, scene.host(), &requests).await?;
    let paced = callers.into_iter().map(PacedCaller::new).collect();
    let load = Load::of(scene.fleet(), paced, requests.len(), reads).await;
    over.store(true, Ordering::Relaxed);
    if let Some(searching) = searching {
        searching.await??;
    }
    load
}

impl PacedCaller {
    fn new(caller: HttpCaller) -> Self {
        let mut ticks = interval(READ_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { caller, ticks }
    }
}

impl Caller for PacedCaller {
    async fn call(&mut self, request: usize) -> Result<Duration, Failure> {
        self.ticks.tick().await;
        self.caller.call(request).await
    }
}
