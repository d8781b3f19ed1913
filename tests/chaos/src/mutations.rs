//! The customers: they change their workspaces all the time.
//!
//! Only what an incremental run can see: nothing is deleted or merged, which other tests cover.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use intercom_simulator::{Change, Kind, Mutation, Workspace};
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::task::JoinHandle;

use crate::world::World;

const CHANGES: [(Change, Kind, u32); 10] = [
    (Change::Update, Kind::Contact, 8),
    (Change::Add, Kind::Contact, 2),
    (Change::Grow, Kind::Contact, 3),
    (Change::Update, Kind::Company, 3),
    (Change::Add, Kind::Company, 1),
    (Change::Grow, Kind::Company, 2),
    (Change::Update, Kind::Conversation, 6),
    (Change::Add, Kind::Conversation, 2),
    (Change::Grow, Kind::Conversation, 15),
    (Change::Redact, Kind::Conversation, 3),
];

/// The changes under way.
pub(crate) struct Mutations {
    stop: Arc<AtomicBool>,
    task: JoinHandle<BTreeMap<String, u64>>,
}

/// Begins to change the workspaces.
pub(crate) fn begin(world: &World, seed: u64) -> Mutations {
    let stop = Arc::new(AtomicBool::new(false));
    let workspaces = world
        .tenants
        .iter()
        .map(|connected| connected.workspace.clone())
        .collect();
    Mutations {
        stop: Arc::clone(&stop),
        task: tokio::spawn(change(workspaces, seed, stop)),
    }
}

impl Mutations {
    /// Ends them. Returns how many objects each kind of change touched.
    pub(crate) async fn stop(self) -> BTreeMap<String, u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap_or_default()
    }
}

async fn change(
    workspaces: Vec<Workspace>,
    seed: u64,
    stop: Arc<AtomicBool>,
) -> BTreeMap<String, u64> {
    let mut rng = StdRng::seed_from_u64(seed ^ 0x006d_7574_6174_6573);
    let mut touched: BTreeMap<String, u64> = BTreeMap::new();
    while !stop.load(Ordering::Relaxed) {
        let workspace = &workspaces[rng.random_range(0..workspaces.len())];
        let (change, kind, most) = CHANGES[rng.random_range(0..CHANGES.len())];
        let mutation = Mutation::new(change, kind, rng.random_range(1..=most)).seed(rng.random());
        let count = workspace.mutate(mutation).len() as u64;
        *touched
            .entry(format!("{change:?} {kind:?}").to_lowercase())
            .or_default() += count;
        tokio::time::sleep(Duration::from_millis(rng.random_range(40..160))).await;
    }
    touched
}
