//! A workspace that fails every call is left alone, costs its neighbours nothing, and comes back with one probe call.

use std::time::Duration;

use intercom_simulator::{Fault, FaultAction, Latency, WorkspaceSpec};

use crate::support::World;

const ANSWERS_AFTER: u64 = 200;

fn workspace() -> WorkspaceSpec {
    WorkspaceSpec {
        contacts: 20,
        companies: 3,
        conversations: 700,
        parts: 2.0,
        limit_per_window: 100_000,
        ..WorkspaceSpec::default()
    }
}

/// `action` breaks every call. `variables` set how soon a call shows it.
async fn a_failing_workspace(action: FaultAction, variables: &[(&str, &str)]) {
    let world = World::with(variables).await;
    world.simulator.set_latency(Latency::Fixed(ANSWERS_AFTER));
    let failing = world.connect(workspace()).await;
    // Threads are under way when it begins, and most of them are still to come.
    let fault = failing.inject(Fault::new(action).skip(80));
    // It has enough work to outlast the breaker's opening.
    let spec = WorkspaceSpec {
        seed: 2,
        conversations: 500,
        limit_per_window: 250,
        ..workspace()
    };
    let neighbour = world.connect(spec).await;
    let _fleet = world.fleet(1);
    // The breaker is open, and calls in flight have failed too, so every stream is parked.
    failing.until_hits(fault, 40).await;
    failing.until_slices(0).await;
    let hits = failing.hits(fault);
    // The attempt of a probe that was under way is stored.
    failing.until_slices(0).await;
    let tried = failing.failed_attempts().await;
    let others = neighbour.all_calls();
    // Polls that become due meanwhile are parked, because each failure would cost an attempt.
    tokio::time::sleep(Duration::from_secs(15)).await;
    // The attempts are read first, because a call comes before its attempt.
    let more_tried = failing.failed_attempts().await - tried;
    let more_hits = failing.hits(fault) - hits;
    eprintln!(
        "{hits} calls until it was open; then {more_hits} probes, {more_tried} failed attempts"
    );
    // After 1, 2, 4 and 8 seconds, and the time that each probe took.
    assert!(
        (1..=5).contains(&more_hits),
        "{more_hits} calls while it was open"
    );
    assert!(
        more_tried <= more_hits as i64,
        "{more_tried} attempts for {more_hits} calls"
    );
    assert!(neighbour.all_calls() > others);
    assert_eq!(neighbour.failed_attempts().await, 0);

    // The rows behind this one show how the breaker closes.
    let calls = failing.workspace.ledger().rows().len();
    failing.clear_fault(fault);
    failing.until_complete().await;
    failing.assert_exact().await;
    assert_eq!(failing.failed_attempts().await, 0);
    let rows = failing.workspace.ledger().rows();
    let probe = rows[calls..]
        .iter()
        .find(|row| row.status == 200)
        .unwrap()
        .at_millis;
    let beside = |at: i64| (probe..probe + ANSWERS_AFTER as i64 - 20).contains(&at);
    assert_eq!(
        rows[calls..]
            .iter()
            .filter(|row| beside(row.at_millis))
            .count(),
        1,
        "the probe goes alone"
    );
    neighbour.until_complete().await;
    neighbour.assert_exact().await;
    assert!(
        neighbour
            .workspace
            .ledger()
            .by_status
            .keys()
            .all(|status| *status < 500)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn server_errors_open_the_breaker_and_an_answer_closes_it() {
    let Fault { action, .. } = Fault::status(503);
    a_failing_workspace(action, &[("SYNC_INTERVAL", "10s")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn time_outs_open_the_breaker_and_an_answer_closes_it() {
    // Long enough for the neighbour's responses on a busy machine.
    a_failing_workspace(
        FaultAction::Delay { millis: 9_000 },
        &[("SYNC_INTERVAL", "10s"), ("REQUEST_TIMEOUT", "3s")],
    )
    .await;
}
