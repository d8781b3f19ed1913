//! Simulated people: they write in their workspaces, and their syncs are asked for.

use std::{collections::BTreeSet, time::Duration};

use futures::future::join_all;
use intercom_simulator::{Change, Kind, Mutation, Workspace};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::json;
use shared::{
    domain::{ConnectionId, TenantId},
    shutdown::Shutdown,
};
use tokio::task::JoinHandle;

use crate::{
    api_client::ApiClient,
    demo::{scenarios::Scenario, tenant_run::TenantOutcome, world::World},
};

/// What an incremental sync can see. Deletions and merges are found by walks of another kind.
const CHANGES: [(Change, Kind, u32); 6] = [
    (Change::Update, Kind::Contact, 8),
    (Change::Add, Kind::Contact, 2),
    (Change::Update, Kind::Conversation, 6),
    (Change::Add, Kind::Conversation, 2),
    (Change::Grow, Kind::Conversation, 10),
    (Change::Redact, Kind::Conversation, 2),
];

const WRITE_EVERY: Duration = Duration::from_millis(100);
const SYNC_EVERY: Duration = Duration::from_millis(500);
/// A server may be away. What was not asked for is asked for again.
const ASK_LIMIT: Duration = Duration::from_secs(2);

/// A tenant whose workspace can be synced.
#[derive(Clone, Debug)]
pub(super) struct Connected {
    pub(super) name: String,
    pub(super) tenant: TenantId,
    pub(super) connection: ConnectionId,
    pub(super) workspace: Workspace,
    pub(super) scenario: Scenario,
}

/// The tenants of a demo without the one whose token is revoked, which nothing can sync.
pub(super) fn connected(world: &World, outcomes: &[TenantOutcome]) -> Vec<Connected> {
    let workspaces = world.workspaces.iter().zip(outcomes);
    workspaces
        .filter_map(|((workspace, _), outcome)| {
            Some(Connected {
                name: outcome.demo_tenant.name.clone(),
                tenant: outcome.tenant?,
                connection: outcome.connection?,
                workspace: workspace.clone(),
                scenario: outcome.demo_tenant.scenario,
            })
        })
        .filter(|connected| connected.scenario != Scenario::Revoked)
        .collect()
}

/// People who write. They go on until they are stopped.
#[derive(Debug)]
pub(super) struct People {
    pub(super) workspaces: usize,
    stop: Shutdown,
    writing: JoinHandle<u64>,
}

impl People {
    /// They write where nothing is special: in the giant workspace and the ordinary ones.
    pub(super) fn begin(world: &World, connected: &[Connected]) -> Self {
        let is_ordinary = |connected: &&Connected| {
            matches!(connected.scenario, Scenario::Giant | Scenario::Ordinary)
        };
        let connected: Vec<Connected> = connected.iter().filter(is_ordinary).cloned().collect();
        let stop = Shutdown::new();
        Self {
            workspaces: connected.len(),
            stop: stop.clone(),
            writing: tokio::spawn(write(connected, world.rest.clone(), stop)),
        }
    }

    /// Ends them. Returns how many objects they have changed.
    pub(super) async fn stop(mut self) -> u64 {
        self.stop.cancel();
        (&mut self.writing).await.unwrap_or_default()
    }
}

impl Drop for People {
    /// A caller's fault may be given up in its middle, when the demo ends.
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn write(connected: Vec<Connected>, rest: ApiClient, stop: Shutdown) -> u64 {
    let mut rng = StdRng::from_os_rng();
    let mut changed = 0;
    let mut to_sync = BTreeSet::new();
    let mut asks = tokio::time::interval(SYNC_EVERY);
    let mut writes = tokio::time::interval(WRITE_EVERY);
    loop {
        tokio::select! {
            () = stop.cancelled() => return changed,
            _ = writes.tick() => {
                let place = rng.random_range(0..connected.len());
                let (change, kind, limit) = CHANGES[rng.random_range(0..CHANGES.len())];
                let mutation = Mutation::new(change, kind, rng.random_range(1..=limit)).seed(rng.random());
                changed += connected[place].workspace.mutate(mutation).len() as u64;
                to_sync.insert(place);
            }
            _ = asks.tick() => {
                let asked = to_sync.iter().map(|place| ask(&rest, &connected[*place]));
                let asked: Vec<bool> = join_all(asked).await;
                let mut asked = asked.into_iter();
                to_sync.retain(|_| !asked.next().unwrap_or_default());
            }
        }
    }
}

/// Asks for an incremental sync. `false` if the API did not take it.
async fn ask(rest: &ApiClient, connected: &Connected) -> bool {
    let path = format!("/v1/connections/{}/syncs", connected.connection);
    let body = json!({"mode": "incremental"});
    let asked = rest.post(Some(connected.tenant), &path, &body);
    matches!(tokio::time::timeout(ASK_LIMIT, asked).await, Ok(Ok(answer)) if answer.status.is_success())
}
