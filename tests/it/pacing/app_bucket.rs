//! One bucket for all workspaces of the app: learned by the fleet, kept to, and forgotten when it is gone.

use std::time::{Duration, Instant};

use intercom_simulator::{Options, WorkspaceSpec};

use crate::world::{Connected, PATIENCE, World};

const APP_LIMIT: u32 = 60;

/// Whether the fleet takes the bucket for one, as Redis has it.
async fn is_learned(world: &World) -> bool {
    let mut redis = world.redis().await;
    let key = format!("{{{}:rate:(app)}}:bucket", world.config.redis_prefix);
    let shared: Option<u8> = redis::cmd("HGET")
        .arg(key)
        .arg("shared")
        .query_async(&mut redis)
        .await
        .unwrap();
    shared == Some(1)
}

async fn until_learned(world: &World, shared: bool) {
    let begun = Instant::now();
    while is_learned(world).await != shared {
        assert!(
            begun.elapsed() < PATIENCE,
            "one bucket for all is not {shared} after {PATIENCE:?}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

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
async fn processes_learn_that_workspaces_share_a_bucket_and_forget_it() {
    let options = Options {
        app_limit_per_window: Some(APP_LIMIT),
        ..Options::default()
    };
    let world = World::before(options, &[("MAX_SHARE", "1.0")]).await;
    let mut connected: Vec<Connected> = Vec::new();
    for seed in 1..=3 {
        let spec = WorkspaceSpec {
            seed,
            contacts: 20,
            companies: 3,
            conversations: 450,
            parts: 2.0,
            limit_per_window: 2 * APP_LIMIT,
            ..WorkspaceSpec::default()
        };
        connected.push(world.connect(spec).await);
    }
    let _scheduler = world.process("scheduler");
    let _workers: Vec<_> = (0..4).map(|_| world.process("worker")).collect();
    until_learned(&world, true).await;

    // Each process hears of it with its next window; in the one after, all calls are seen to be the fleet's own.
    let learned = this_window(&world);
    let mut counts = Vec::new();
    for window in 3..6 {
        counts.push(in_window(&world, learned + window).await);
    }
    eprintln!("calls and refusals by window: {counts:?}");
    assert!(
        counts.iter().all(|(_, refused)| *refused == 0),
        "{counts:?}"
    );
    // Used whole, but for a call that is on its way at a window's end; a busy machine may keep some from calling.
    let whole = APP_LIMIT as usize;
    assert!(
        counts.iter().any(|(calls, _)| *calls + 2 >= whole),
        "{counts:?}"
    );
    assert!(
        2 * counts.iter().map(|(calls, _)| calls).sum::<usize>() >= counts.len() * whole,
        "{counts:?}"
    );
    assert!(is_learned(&world).await);

    world.simulator.set_app_limit(None);
    until_learned(&world, false).await;
    for connected in &connected {
        world.until_complete(connected).await;
        world.assert_exact(connected).await;
    }
    assert!(!is_learned(&world).await);
}
