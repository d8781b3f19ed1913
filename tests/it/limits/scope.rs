//! Real worker processes that share the rate limit of an app, with the option that says so.

use std::time::Duration;

use intercom_simulator::{Options, WorkspaceSpec};

use crate::support::{Case, World};

const APP_LIMIT: u32 = 60;

/// The simulator's window that is open now.
fn this_window(world: &World) -> i64 {
    world.simulator.clock().now_millis().div_euclid(10_000)
}

/// Calls and refusals of a window that is over.
async fn in_window(world: &World, window: i64) -> (usize, usize) {
    while this_window(world) <= window {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let rows = world.simulator.ledger().rows();
    let of_window = rows
        .iter()
        .filter(|row| row.at_millis.div_euclid(10_000) == window);
    (
        of_window.clone().count(),
        of_window.filter(|row| row.status == 429).count(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_share_the_limit_of_an_app() {
    let options = Options {
        app_limit_per_window: Some(APP_LIMIT),
        ..Options::default()
    };
    let variables = [("MAX_SHARE", "1.0"), ("RATE_LIMIT_SCOPE", "app")];
    let world = World::before(options, &variables).await;
    let mut cases: Vec<Case> = Vec::new();
    for seed in 1..=3 {
        let spec = WorkspaceSpec {
            seed,
            contacts: 20,
            companies: 3,
            conversations: 180,
            parts: 2.0,
            // No workspace reaches a limit of its own.
            limit_per_window: 2 * APP_LIMIT,
            ..WorkspaceSpec::default()
        };
        cases.push(world.connect(spec).await);
    }
    let _scheduler = world.process("scheduler");
    let _workers: Vec<_> = (0..4).map(|_| world.process("worker")).collect();

    // Processes start slowly on a busy machine.
    for case in &cases {
        case.until("threads are under way", |_| {
            case.calls("get_conversation") > 0
        })
        .await;
    }
    // In the third window from here all processes have started, and the ledger has counted a whole one.
    let begun = this_window(&world);
    let mut counts = Vec::new();
    for window in 2..5 {
        counts.push(in_window(&world, begun + window).await);
    }
    eprintln!("calls and refusals by window: {counts:?}");
    assert!(
        counts.iter().all(|(_, refused)| *refused == 0),
        "{counts:?}"
    );
    // Used whole, but for a call that is on its way at a window's end. A busy machine may keep some from calling.
    let whole = APP_LIMIT as usize;
    assert!(
        counts.iter().any(|(calls, _)| *calls + 2 >= whole),
        "{counts:?}"
    );
    assert!(
        2 * counts.iter().map(|(calls, _)| calls).sum::<usize>() >= counts.len() * whole,
        "{counts:?}"
    );
    for case in &cases {
        case.until_complete().await;
        case.assert_exact().await;
    }
}
