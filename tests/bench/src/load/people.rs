//! The customers, whose workspaces change all the time, and the programs that read the copies.

use std::time::{Duration, Instant};

use intercom_simulator::{Change, Kind, Mutation, Workspace};
use rand::{Rng, SeedableRng, rngs::StdRng};
use shared::shutdown::Shutdown;
use tokio::{task::JoinSet, time::interval};

use super::{Sizes, scene::Scene};
use crate::report::{Failure, SEED};

/// What a poll can see. Deletions and merges need a full walk.
const CHANGES: [(Change, Kind); 5] = [
    (Change::Update, Kind::Contact),
    (Change::Add, Kind::Contact),
    (Change::Update, Kind::Conversation),
    (Change::Add, Kind::Conversation),
    (Change::Grow, Kind::Conversation),
];
/// Of a reader. Fifty of them read a hundred times a second.
const READ_INTERVAL: Duration = Duration::from_millis(500);

/// What the readers got.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Of each read, in milliseconds.
    pub(super) times: Vec<f64>,
    /// Sentences of reads that failed.
    pub(super) failures: Vec<String>,
}

/// Changes workspaces until `stop`. Returns how many objects were changed.
pub(super) async fn change(workspaces: Vec<Workspace>, sizes: Sizes, stop: Shutdown) -> u64 {
    let mut rng = StdRng::seed_from_u64(SEED);
    let mut moments = interval(Duration::from_secs(1) / sizes.changes.max(1));
    let mut changed = 0;
    loop {
        tokio::select! {
            () = stop.cancelled() => return changed,
            _ = moments.tick() => {}
        }
        let workspace = &workspaces[rng.random_range(0..workspaces.len())];
        let (change, kind) = CHANGES[rng.random_range(0..CHANGES.len())];
        let mutation = Mutation::new(change, kind, 1).seed(rng.random());
        changed += workspace.mutate(mutation).len() as u64;
    }
}

/// Reads as all readers until `stop`, from both APIs.
pub(super) async fn read(scene: &Scene, stop: Shutdown) -> Result<Answers, Failure> {
    let tenants: Vec<_> = scene.connected();
    let mut readers = JoinSet::new();
    for number in 0..scene.sizes.readers {
        let client = scene.clients[number % scene.clients.len()].clone();
        let (tenants, stop) = (tenants.clone(), stop.clone());
        readers.spawn(async move {
            let mut rng = StdRng::seed_from_u64(SEED + number as u64);
            // Not all at one instant.
            tokio::time::sleep(READ_INTERVAL.mul_f64(rng.random())).await;
            let (mut moments, mut answers) = (interval(READ_INTERVAL), Answers::default());
            loop {
                tokio::select! {
                    () = stop.cancelled() => return answers,
                    _ = moments.tick() => {}
                }
                let reader = &tenants[rng.random_range(0..tenants.len())];
                let path = match rng.random_range(0..4) {
                    0 => "/v1/contacts?limit=20".to_owned(),
                    1 => "/v1/conversations?limit=20".to_owned(),
                    2 => "/v1/companies".to_owned(),
                    _ => format!("/v1/connections/{}/sync", reader.connection),
                };
                let begun = Instant::now();
                match client.get(reader.tenant, &path).await {
                    Ok(_) => answers.times.push(begun.elapsed().as_secs_f64() * 1e3),
                    Err(error) => answers.failures.push(format!("{path}: {}", error.line())),
                }
            }
        });
    }
    let mut all = Answers::default();
    while let Some(answers) = readers.join_next().await {
        let answers = answers?;
        all.times.extend(answers.times);
        all.failures.extend(answers.failures);
    }
    Ok(all)
}
