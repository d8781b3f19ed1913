//! One bucket for all workspaces of the app: learned by the fleet, kept to, and forgotten when it is gone.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use intercom_simulator::{Options, WorkspaceSpec};

use super::{HEADER, Row, columns, connection, seeds, server::Counted, simulation::*, small};
use crate::world::{Connected, PATIENCE, World};

fn shared() -> Scene {
    Scene {
        workspaces: 4,
        one_bucket: Some((0, 9_999)),
        ..small()
    }
}

fn show(name: &str, row: &Row) {
    eprintln!(
        "{name:<44} {:>8.3} % {:>8.2} % {:>10.1} {:>8.3}",
        row.used * 100.0,
        row.worst * 100.0,
        row.throttled_per_million,
        row.redis_per_call
    );
}

/// What each process judges at the end.
fn judgement(outcome: &Outcome) -> BTreeMap<usize, bool> {
    outcome
        .judged
        .iter()
        .map(|(_, process, shared)| (*process, *shared))
        .collect()
}

#[test]
fn a_shared_bucket_is_learned_and_used_whole_without_a_refusal() {
    eprintln!("{HEADER}");
    for (size, scene) in [
        (167, shared()),
        (
            1_667,
            Scene {
                limit: 1_667,
                slots: 32,
                seconds: 100,
                ..shared()
            },
        ),
    ] {
        for seed in seeds(3) {
            let outcome = run(&scene, seed, true, &mut connection());
            assert_eq!(
                judgement(&outcome),
                (0..8).map(|process| (process, true)).collect(),
                "{size}, seed {seed}"
            );
            let latest = outcome.judged.iter().map(|(at, ..)| *at).max().unwrap();
            assert!(
                latest <= 50_000,
                "{size}, seed {seed}: learned after {latest} ms"
            );
            let windows = &outcome.buckets[0];
            let row = columns(&scene, &outcome, &windows[6..windows.len() - 1]);
            show(&format!("{size}: one bucket for four, seed {seed}"), &row);
            assert!(
                row.used >= 0.999 && row.throttled_per_million <= 10.0,
                "seed {seed}: {row:?}"
            );
        }
    }
}

/// Processes that start anew ask at their first answer: a kill is no reason to learn again.
#[test]
fn a_killed_process_need_not_learn_again() {
    let scene = Scene {
        kill_every: Some(20),
        seconds: 200,
        ..shared()
    };
    for seed in seeds(3) {
        let outcome = run(&scene, seed, true, &mut connection());
        assert!(outcome.met.contains("killed"));
        let windows = &outcome.buckets[0];
        let row = columns(&scene, &outcome, &windows[6..windows.len() - 1]);
        show(
            &format!("167: one bucket, a kill every 20 s, seed {seed}"),
            &row,
        );
        assert!(
            row.used >= 0.99 && row.throttled_per_million <= 1_000.0,
            "seed {seed}: {row:?}"
        );
        assert!(judgement(&outcome).values().all(|shared| *shared));
    }
}

#[test]
fn a_shared_bucket_is_forgotten_when_each_workspace_has_its_own() {
    let scene = Scene {
        one_bucket: Some((0, 90)),
        seconds: 180,
        ..shared()
    };
    for seed in seeds(3) {
        let outcome = run(&scene, seed, true, &mut connection());
        assert!(
            outcome
                .judged
                .iter()
                .any(|(at, _, shared)| *shared && *at < 90_000),
            "seed {seed}"
        );
        assert!(
            judgement(&outcome).values().all(|shared| !*shared),
            "seed {seed}: {:?}",
            outcome.judged
        );
        let last = outcome.judged.iter().map(|(at, ..)| *at).max().unwrap();
        assert!(last <= 130_000, "seed {seed}: forgotten after {last} ms");
        for own in &outcome.buckets[1..] {
            let late: Vec<&Counted> = own.iter().rev().skip(1).take(3).collect();
            assert!(
                late.iter()
                    .all(|window| window.ours >= 166 && window.throttled == 0),
                "seed {seed}: {late:?}"
            );
        }
    }
}

#[test]
fn buckets_of_their_own_are_never_taken_for_one() {
    let scene = Scene {
        one_bucket: None,
        seconds: 300,
        ..shared()
    };
    for (name, scene) in [
        ("hungry", scene.clone()),
        (
            "others take most of one",
            Scene {
                foreign: 0.7,
                ..scene.clone()
            },
        ),
        (
            "some calls each",
            Scene {
                slots: 0,
                fresh_every: Some(150),
                ..scene.clone()
            },
        ),
        (
            "answers are lost",
            Scene {
                lost: 10,
                redis_lost: 10,
                ..scene
            },
        ),
    ] {
        for seed in seeds(3) {
            let outcome = run(&scene, seed, true, &mut connection());
            assert!(
                outcome.buckets[1..]
                    .iter()
                    .all(|own| own.iter().any(|window| window.ours > 0))
            );
            assert_eq!(outcome.judged, [], "{name}, seed {seed}");
        }
    }
}

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
