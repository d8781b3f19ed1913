//! `make rollout`: the release before and this one side by side, while workspaces change and readers read.
//!
//! A fleet of the release before syncs. The schema is then migrated under it, and each process is replaced by one of this
//! build. After that, each is replaced back on the new schema, as after a regret. New tenants connect in every stage. No
//! slice may fail, no read may fail, every process has to end well, and every copy has to be exact.

use std::{
    collections::BTreeMap,
    path::Path,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use pathbound::{api_client::ApiClient, exact};
use rand::{Rng, SeedableRng, rngs::StdRng};
use shared::shutdown::Shutdown;
use tokio::{sync::RwLock, task::JoinSet};

use super::{
    PATIENCE, Sizes, in_a_runtime, people,
    scene::{Build, Connected, Scene},
};
use crate::report::{Failure, SEED, size};

/// How long the fleet works between two replacements.
const STAGE: Duration = Duration::from_secs(2);
/// A load balancer finds out within this time.
const NOTICE: Duration = Duration::from_millis(300);
const DRAIN: Duration = Duration::from_secs(25);
const READERS: usize = 8;
const READ_PAUSE: Duration = Duration::from_millis(40);
/// Tenants that connect in each stage.
const NEWCOMERS: usize = 2;
/// Outcomes of slices that no rollout may cause.
const FAILED: [&str; 4] = ["retry", "dead", "store", "crash"];

/// What must not be.
#[derive(Debug, Default)]
struct Faults {
    /// By outcome.
    failed_slices: BTreeMap<String, f64>,
    reads: Vec<String>,
    ended_badly: Vec<String>,
}

pub(crate) fn main(previous: &str) -> ExitCode {
    let build = Build::Previous(Path::new(previous).to_owned());
    in_a_runtime("rollout", run(build))
}

async fn run(previous: Build) -> Result<bool, Failure> {
    let sizes = Sizes {
        tenants: size("ROLLOUT_TENANTS", 60)?,
        seconds: 0,
        interval_seconds: 2,
        changes: 20,
        readers: READERS,
        workers: 3,
    };
    let mut scene = Scene::start(sizes, &previous).await?;
    let outcome = play(&mut scene, &previous).await;
    scene.stop().await;
    let (faults, report, reads) = outcome?;
    println!(
        "{} records: {} missing, {} different, {} extra. {reads} reads, {} failed. Failed slices: {:?}. Ended badly: {:?}",
        report.records,
        report.missing,
        report.different,
        report.extra,
        faults.reads.len(),
        faults.failed_slices,
        faults.ended_badly,
    );
    for example in report.examples.iter().chain(&faults.reads).take(10) {
        println!("  {example}");
    }
    let nothing_failed = faults.failed_slices.values().all(|count| *count == 0.0)
        && faults.reads.is_empty()
        && faults.ended_badly.is_empty();
    Ok(nothing_failed && report.missing + report.different + report.extra == 0)
}

async fn play(
    scene: &mut Scene,
    previous: &Build,
) -> Result<(Faults, exact::Report, usize), Failure> {
    let mut newcomers = scene.workspaces().len();
    // Those that are left connect while the fleet changes. Eight processes are replaced twice.
    newcomers -= 2 * (scene.processes.len() + 1) * NEWCOMERS;
    scene.connect_some(0..newcomers).await?;
    scene.until_read_since(None, PATIENCE).await?;
    let stop = Shutdown::new();
    let changing = tokio::spawn(people::change(
        scene.workspaces(),
        scene.sizes,
        stop.clone(),
    ));
    let balancer = Arc::new(Balancer::of(scene));
    let reading = tokio::spawn(read(balancer.clone(), stop.clone()));
    let mut faults = Faults::default();
    for (name, build) in [("to this build", &Build::Ours), ("back", previous)] {
        if *build == Build::Ours {
            scene.migrate(build).await?;
            println!("the schema is migrated under the release before");
        }
        for place in 0..scene.processes.len() {
            replace(scene, place, build, &balancer, &mut faults).await?;
            scene.connect_some(newcomers..newcomers + NEWCOMERS).await?;
            newcomers += NEWCOMERS;
            *balancer.tenants.write().await = scene.connected();
            tokio::time::sleep(STAGE).await;
        }
        println!("every process is replaced {name}");
    }
    stop.cancel();
    changing.await?;
    let (reads, failed) = reading.await??;
    faults.reads = failed;
    scene
        .until_read_since(Some(scene.now().await?), PATIENCE)
        .await?;
    for process in &scene.processes {
        note_slices(&process.ops_url, &mut faults).await?;
    }
    let mut all = exact::Report::default();
    for connected in scene.connected() {
        let truth = connected.workspace.truth();
        all.add(
            &exact::compare(&scene.store, connected.tenant, connected.connection, &truth).await?,
        );
    }
    Ok((faults, all, reads))
}

/// Replaces a process: a worker and a scheduler have company meanwhile, and an API leaves the balancer first.
async fn replace(
    scene: &mut Scene,
    place: usize,
    build: &Build,
    balancer: &Balancer,
    faults: &mut Faults,
) -> Result<(), Failure> {
    let (name, url) = {
        let old = &scene.processes[place];
        (old.name, old.url.clone())
    };
    let serving = url.as_deref().map(|url| balancer.serving(url));
    let new = if url.is_some() {
        // It takes the port of the old one, so that is ended first.
        None
    } else {
        Some(scene.process(name, build, None)?)
    };
    if let Some(serving) = &serving {
        serving.store(false, Ordering::Relaxed);
        tokio::time::sleep(NOTICE).await;
    }
    if let Some(new) = &new {
        until_ready(&new.ops_url).await?;
    }
    note_slices(&scene.processes[place].ops_url, faults).await?;
    if !scene.processes[place].role.terminate(DRAIN).await? {
        faults.ended_badly.push(format!("{name} {place}"));
    }
    let new = match new {
        Some(new) => new,
        None => scene.process(name, build, url)?,
    };
    until_ready(&new.ops_url).await?;
    scene.processes[place] = new;
    if let Some(serving) = serving {
        serving.store(true, Ordering::Relaxed);
    }
    Ok(())
}

pub(super) async fn until_ready(ops_url: &str) -> Result<(), Failure> {
    let begun = Instant::now();
    loop {
        let answer = reqwest::get(format!("{ops_url}/readyz")).await;
        if answer.is_ok_and(|answer| answer.status().is_success()) {
            return Ok(());
        }
        if begun.elapsed() > DRAIN {
            return Err(format!("{ops_url} is not ready").into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Adds the slices of a process that have failed. It is read before the process ends.
async fn note_slices(ops_url: &str, faults: &mut Faults) -> Result<(), Failure> {
    let metrics = reqwest::get(format!("{ops_url}/metrics"))
        .await?
        .text()
        .await?;
    for line in metrics.lines() {
        let Some((series, count)) = line.rsplit_once(' ') else {
            continue;
        };
        let outcome = FAILED
            .iter()
            .find(|outcome| series.contains(&format!("outcome=\"{outcome}\"")));
        if let Some(outcome) = outcome.filter(|_| series.contains("slices_finished_total")) {
            let count: f64 = count.parse()?;
            *faults
                .failed_slices
                .entry((*outcome).to_owned())
                .or_default() += count;
        }
    }
    Ok(())
}

/// Which APIs serve, as a load balancer knows it.
struct Balancer {
    apis: Vec<(String, ApiClient, Arc<AtomicBool>)>,
    tenants: RwLock<Vec<Connected>>,
}

impl Balancer {
    fn of(scene: &Scene) -> Self {
        let urls = scene
            .processes
            .iter()
            .filter_map(|process| process.url.clone());
        let apis = urls.zip(scene.clients.iter().cloned());
        Self {
            apis: apis
                .map(|(url, client)| (url, client, Arc::new(AtomicBool::new(true))))
                .collect(),
            tenants: RwLock::new(scene.connected()),
        }
    }

    fn serving(&self, url: &str) -> Arc<AtomicBool> {
        let found = self.apis.iter().find(|(known, ..)| known == url);
        found.map_or_else(Arc::default, |(.., serving)| serving.clone())
    }
}

/// Reads with cursors of one build that the other one goes on from. Returns how many reads there were, and sentences of
/// those that failed.
async fn read(balancer: Arc<Balancer>, stop: Shutdown) -> Result<(usize, Vec<String>), Failure> {
    let mut readers = JoinSet::new();
    for number in 0..READERS {
        let (balancer, stop) = (balancer.clone(), stop.clone());
        readers.spawn(async move {
            let mut rng = StdRng::seed_from_u64(SEED + number as u64);
            let (mut reads, mut failed) = (0, Vec::new());
            let mut cursors: BTreeMap<usize, String> = BTreeMap::new();
            while !stop.is_cancelled() {
                let serving = |(.., serving): &&(String, ApiClient, Arc<AtomicBool>)| {
                    serving.load(Ordering::Relaxed)
                };
                let serving: Vec<_> = balancer.apis.iter().filter(serving).collect();
                let (_, client, _) = serving[rng.random_range(0..serving.len())];
                let (tenant, index) = {
                    let tenants = balancer.tenants.read().await;
                    let index = rng.random_range(0..tenants.len());
                    (tenants[index].tenant, index)
                };
                let path = match cursors.remove(&index) {
                    Some(cursor) => format!("/v1/contacts?limit=5&cursor={cursor}"),
                    None => "/v1/contacts?limit=5".to_owned(),
                };
                reads += 1;
                match client.get(tenant, &path).await {
                    Ok(page) => {
                        if let Some(cursor) = page["next_cursor"].as_str() {
                            cursors.insert(index, cursor.to_owned());
                        }
                    }
                    Err(error) => failed.push(format!("{path}: {}", error.line())),
                }
                tokio::time::sleep(READ_PAUSE).await;
            }
            (reads, failed)
        });
    }
    let (mut reads, mut failed) = (0, Vec::new());
    while let Some(read) = readers.join_next().await {
        let (count, sentences) = read?;
        reads += count;
        failed.extend(sentences);
    }
    Ok((reads, failed))
}
