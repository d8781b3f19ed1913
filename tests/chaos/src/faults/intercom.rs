//! Faults of Intercom, injected into the simulator. Hit: the simulator counts the calls that it spoilt.
//!
//! Each spoils a few calls of one workspace only: a stream that fails ten times in a row is given up for
//! an hour, which is right and not what is tested here.

use std::time::{Duration, Instant};

use intercom_simulator::{Fault, FaultAction, Kind as Object, Workspace};
use rand::{Rng, rngs::StdRng};

use super::{Kind, Stage};
use crate::Failure;

/// How long a fault waits for calls to spoil.
const ARMED: Duration = Duration::from_secs(8);

/// Injects the fault. Returns whether it hit.
pub(super) async fn strike(
    stage: &Stage<'_>,
    kind: Kind,
    rng: &mut StdRng,
) -> Result<bool, Failure> {
    let tenants = &stage.world.tenants;
    let workspace = &tenants[rng.random_range(0..tenants.len())].workspace;
    let times = rng.random_range(1..=3);
    let action = action(kind, workspace, rng);
    let mut fault = Fault::new(action)
        .workspace(workspace.id_code())
        .times(times);
    if let Some(operation) = operation(kind, rng) {
        fault = fault.operation(operation);
    }
    let id = stage.world.simulator.inject(fault);
    let begun = Instant::now();
    while stage.world.simulator.fault_hits(id) < times && begun.elapsed() < ARMED {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stage.world.simulator.clear_fault(id);
    Ok(stage.world.simulator.fault_hits(id) > 0)
}

/// The calls that a rough answer belongs to. The others hit any call.
fn operation(kind: Kind, rng: &mut StdRng) -> Option<&'static str> {
    match kind {
        Kind::ThreadRefused | Kind::ThreadNotFound | Kind::ThreadGone => Some("get_conversation"),
        Kind::ListRefused => Some(
            [
                "search_contacts",
                "search_conversations",
                "scroll_companies",
            ][rng.random_range(0..3)],
        ),
        Kind::SublistFails => Some("contact_companies"),
        Kind::ReferenceFails => {
            Some(["list_teams", "list_tags", "list_segments"][rng.random_range(0..3)])
        }
        _ => None,
    }
}

fn action(kind: Kind, workspace: &Workspace, rng: &mut StdRng) -> FaultAction {
    match kind {
        Kind::ThreadRefused | Kind::ListRefused => match rng.random_range(0..3) {
            0 => FaultAction::refusal(401, "unauthorized"),
            1 => FaultAction::refusal(403, "forbidden"),
            _ => FaultAction::refusal(403, "api_plan_restricted"),
        },
        Kind::ThreadNotFound => FaultAction::refusal(404, "not_found"),
        Kind::ThreadGone => FaultAction::refusal(410, "gone"),
        Kind::ProxyPage => FaultAction::Html {
            status: [200, 401, 402, 403, 404, 407, 451, 503][rng.random_range(0..8)],
        },
        Kind::ContactChokes => FaultAction::Choke {
            id: some_contact(workspace, rng),
            status: 500,
        },
        Kind::Intercom5xx | Kind::SublistFails | Kind::ReferenceFails => FaultAction::Status {
            status: [500, 502, 503][rng.random_range(0..3)],
            body: None,
            headers: Vec::new(),
        },
        // The fleet's time limit is 2 s.
        Kind::IntercomTimeout => FaultAction::Delay { millis: 3_000 },
        Kind::IntercomSlowBody => FaultAction::Drip {
            bytes: 400,
            millis: 40,
        },
        Kind::IntercomReset => FaultAction::Reset,
        _ => FaultAction::Truncate {
            keep: rng.random_range(0..200),
        },
    }
}

/// The id of a contact, or of none if there is none.
fn some_contact(workspace: &Workspace, rng: &mut StdRng) -> String {
    let contacts: Vec<String> = workspace
        .truth()
        .into_iter()
        .filter(|line| line.kind == Object::Contact)
        .map(|line| line.id)
        .collect();
    contacts
        .get(rng.random_range(0..contacts.len().max(1)))
        .cloned()
        .unwrap_or_default()
}
