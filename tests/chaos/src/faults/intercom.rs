//! Faults of Intercom, injected into the simulator. Hit: the simulator counts the calls that it spoilt.
//!
//! Each spoils a few calls of one workspace only: a stream that fails ten times in a row is given up for
//! an hour, which is right and not what is tested here.

use std::time::{Duration, Instant};

use intercom_simulator::{Fault, FaultAction};
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
    let workspace = tenants[rng.random_range(0..tenants.len())]
        .workspace
        .id_code();
    let times = rng.random_range(1..=3);
    let fault = Fault::new(action(kind, rng))
        .workspace(workspace)
        .times(times);
    let id = stage.world.simulator.inject(fault);
    let begun = Instant::now();
    while stage.world.simulator.fault_hits(id) < times && begun.elapsed() < ARMED {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stage.world.simulator.clear_fault(id);
    Ok(stage.world.simulator.fault_hits(id) > 0)
}

fn action(kind: Kind, rng: &mut StdRng) -> FaultAction {
    match kind {
        Kind::Intercom5xx => FaultAction::Status {
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
