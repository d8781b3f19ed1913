//! A workspace that fails every call is left alone, costs its neighbours nothing, and comes back with one probe call.

use std::time::Duration;

use intercom_simulator::{Fault, FaultAction, Latency, WorkspaceSpec};

use crate::world::{Connected, World};

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

/// Failed attempts of all streams, as Postgres counts them.
async fn attempts(world: &World, connected: &Connected) -> i64 {
    let rows = world.sql(
        "SELECT stream, attempts::text FROM streams WHERE connection_id = $1 AND attempts > 0",
        connected,
    );
    rows.await
        .iter()
        .map(|(_, attempts)| attempts.parse::<i64>().unwrap())
        .sum()
}

/// `action` breaks every call. `variables` set how soon a call shows it.
async fn a_failing_workspace(action: FaultAction, variables: &[(&str, &str)]) {
    let world = World::with(variables).await;
    world.simulator.set_latency(Latency::Fixed(ANSWERS_AFTER));
    let failing = world.connect(workspace()).await;
    // It has enough work to outlast the breaker's opening.
    let spec = WorkspaceSpec {
        seed: 2,
        conversations: 500,
        limit_per_window: 250,
        ..workspace()
    };
    let neighbour = world.connect(spec).await;
    let _fleet = world.fleet(1);
    world
        .until(&failing, "threads are under way", |_| {
            failing.workspace.ledger().calls("get_conversation") > 40
        })
        .await;
    let fault = Fault {
        workspace: Some(failing.workspace.id_code().to_owned()),
        ..Fault::new(action)
    };
    let fault = world.simulator.inject(fault);
    // The breaker is open, and calls in flight have failed too, so every stream is parked.
    world
        .until(&failing, "calls have failed", |_| {
            world.simulator.fault_hits(fault) >= 40
        })
        .await;
    world.until_slices(&failing, 0).await;
    let (hits, tried) = (
        world.simulator.fault_hits(fault),
        attempts(&world, &failing).await,
    );
    let others = neighbour.workspace.ledger().total;
    // Polls that become due meanwhile are parked, because each failure would cost an attempt.
    tokio::time::sleep(Duration::from_secs(15)).await;
    let (more_hits, more_tried) = (
        world.simulator.fault_hits(fault) - hits,
        attempts(&world, &failing).await - tried,
    );
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
    assert!(neighbour.workspace.ledger().total > others);
    assert_eq!(attempts(&world, &neighbour).await, 0);

    let calls = failing.workspace.ledger().rows().len();
    world.simulator.clear_fault(fault);
    world.until_complete(&failing).await;
    world.assert_exact(&failing).await;
    assert_eq!(attempts(&world, &failing).await, 0);
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
    world.until_complete(&neighbour).await;
    world.assert_exact(&neighbour).await;
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
