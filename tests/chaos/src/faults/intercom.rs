//! Faults of Intercom, injected into the simulator. Hit: the simulator counts the calls that it spoilt.
//!
//! Each spoils a few calls of one workspace only: a stream that fails ten times in a row is given up for
//! an hour, which is right and not what is tested here.

use std::time::{Duration, Instant};

use intercom_simulator::{Fault, FaultAction, Kind as Object, Workspace};
use rand::{Rng, rngs::StdRng};

use super::{Kind, Stage, answers};
use crate::Failure;

/// How long a fault waits for calls to spoil.
const ARMED: Duration = Duration::from_secs(8);
/// The same while a server is broken, so that no slice can call.
const ARMED_IN_STORM: Duration = Duration::from_secs(60);

/// Injects the fault into one tenant's workspace. Returns whether it hit.
pub(super) async fn strike(
    stage: &Stage<'_>,
    kind: Kind,
    tenant: usize,
    rng: &mut StdRng,
) -> Result<bool, Failure> {
    let workspace = &stage.world.tenants[tenant].workspace;
    let mut fault = Fault::new(action(kind, workspace, rng)).workspace(workspace.id_code());
    if let Some(operation) = operation(kind, rng) {
        fault = fault.operation(operation);
    }
    // A record that breaks its pages does so for a while, whichever page it is on.
    let times = if kind == Kind::ContactChokes {
        fault = fault.path("/contacts*");
        u64::MAX
    } else {
        rng.random_range(1..=3)
    };
    let id = stage.world.simulator.inject(fault.times(times));
    let begun = Instant::now();
    let waits = |hits: u64| {
        let is_storm = hits == 0 && stage.calm.try_lock().is_err();
        begun.elapsed() < if is_storm { ARMED_IN_STORM } else { ARMED }
    };
    loop {
        let hits = stage.world.simulator.fault_hits(id);
        if hits >= times || !waits(hits) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stage.world.simulator.clear_fault(id);
    Ok(stage.world.simulator.fault_hits(id) > 0)
}

/// The calls that a rough answer belongs to. The others hit any call.
fn operation(kind: Kind, rng: &mut StdRng) -> Option<&'static str> {
    let mut one_of =
        |operations: &[&'static str]| Some(operations[rng.random_range(0..operations.len())]);
    match kind {
        Kind::ThreadRefused | Kind::ThreadNotFound | Kind::ThreadGone => Some("get_conversation"),
        Kind::ListRefused | Kind::NoPage | Kind::ObjectBroken => one_of(&[
            "search_contacts",
            "search_conversations",
            "scroll_companies",
        ]),
        Kind::OddPages => one_of(&["search_contacts", "search_conversations"]),
        Kind::SublistMissing => Some("search_contacts"),
        Kind::SublistFails => Some("contact_companies"),
        Kind::ReferenceFails => one_of(&["list_teams", "list_tags", "list_segments"]),
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
        Kind::NoPage => answers::no_page(rng),
        Kind::OddPages => answers::odd_page(rng),
        Kind::Throttled => answers::throttled(rng),
        Kind::ObjectBroken => answers::broken_object(rng),
        Kind::SublistMissing => answers::missing_list(rng),
        Kind::ContactChokes => FaultAction::Choke {
            id: newest_contact(workspace),
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

/// The contact that every search shows first, or the id of none if there is none.
fn newest_contact(workspace: &Workspace) -> String {
    let truth = workspace.truth().into_iter();
    let contacts = truth.filter(|line| line.kind == Object::Contact);
    let newest = contacts.max_by_key(|line| line.updated_at);
    newest.map(|line| line.id).unwrap_or_default()
}
