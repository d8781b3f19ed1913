//! One bucket for all workspaces of the app: learned by the fleet, kept to, and forgotten when it is gone.

use std::collections::BTreeMap;

use super::{super::*, HEADER, Row, columns, seeds, small};

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
            let outcome = run(&scene, seed, true);
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
        let outcome = run(&scene, seed, true);
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
        let outcome = run(&scene, seed, true);
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
            let outcome = run(&scene, seed, true);
            assert!(
                outcome.buckets[1..]
                    .iter()
                    .all(|own| own.iter().any(|window| window.ours > 0))
            );
            assert_eq!(outcome.judged, [], "{name}, seed {seed}");
        }
    }
}
