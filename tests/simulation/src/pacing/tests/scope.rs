//! The option `rate_limit_scope`: the shared limit is never exceeded, separate limits do not slow each other, and a
//! wrong option shows in the metric.

use shared::config::RateLimitScope;

use super::{super::*, HEADER, Row, columns, seeds, small};

/// Four workspaces, one limit, and the option that says so.
fn shared() -> Scene {
    Scene {
        workspaces: 4,
        scope: RateLimitScope::App,
        one_bucket: true,
        ..small()
    }
}

/// Four workspaces, each with its own limit, and the option that says so.
fn separate() -> Scene {
    Scene {
        scope: RateLimitScope::Workspace,
        one_bucket: false,
        ..shared()
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

/// The shared limit's columns, after the first windows.
fn shared_row(name: &str, scene: &Scene, outcome: &Outcome) -> Row {
    let windows = &outcome.buckets[0];
    let row = columns(scene, outcome, &windows[3..windows.len() - 1]);
    show(name, &row);
    row
}

#[test]
fn a_shared_limit_is_used_whole_and_never_exceeded() {
    eprintln!("{HEADER}");
    let large = Scene {
        limit: 1_667,
        slots: 32,
        seconds: 100,
        ..shared()
    };
    for (size, scene) in [(167, shared()), (1_667, large)] {
        for seed in seeds(3) {
            let outcome = run(&scene, seed, true);
            let row = shared_row(
                &format!("{size}: one for four, seed {seed}"),
                &scene,
                &outcome,
            );
            assert!(
                row.used >= 0.999 && row.throttled_per_million <= 10.0,
                "seed {seed}: {row:?}"
            );
            assert_eq!(outcome.contradictions, [], "{size}, seed {seed}");
        }
    }
}

#[test]
fn a_kill_costs_a_shared_limit_little() {
    let scene = Scene {
        kill_every: Some(20),
        seconds: 200,
        ..shared()
    };
    for seed in seeds(3) {
        let outcome = run(&scene, seed, true);
        assert!(outcome.met.contains("killed"));
        let row = shared_row(
            &format!("167: a kill every 20 s, seed {seed}"),
            &scene,
            &outcome,
        );
        assert!(
            row.used >= 0.99 && row.throttled_per_million <= 1_000.0,
            "seed {seed}: {row:?}"
        );
        assert_eq!(outcome.contradictions, [], "seed {seed}");
    }
}

#[test]
fn separate_limits_do_not_slow_each_other() {
    for seed in seeds(3) {
        let outcome = run(&separate(), seed, true);
        for own in &outcome.buckets[1..] {
            let late: Vec<&Counted> = own.iter().rev().skip(1).take(8).collect();
            assert!(
                late.iter()
                    .all(|window| window.ours >= 166 && window.throttled == 0),
                "seed {seed}: {late:?}"
            );
        }
    }
}

#[test]
fn separate_limits_never_contradict_the_scope() {
    let saturated = Scene {
        seconds: 300,
        ..separate()
    };
    for (name, scene) in [
        ("saturated", saturated.clone()),
        (
            "other apps take most of one",
            Scene {
                foreign: 0.7,
                ..saturated.clone()
            },
        ),
        (
            "some calls each",
            Scene {
                slots: 0,
                fresh_every: Some(150),
                ..saturated.clone()
            },
        ),
        (
            "responses are lost",
            Scene {
                lost: 10,
                redis_lost: 10,
                ..saturated
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
            assert_eq!(outcome.contradictions, [], "{name}, seed {seed}");
        }
    }
}

/// Both wrong settings: one limit taken for several, and several taken for one.
#[test]
fn a_wrong_scope_shows_within_a_minute() {
    let one_for_several = Scene {
        scope: RateLimitScope::Workspace,
        ..shared()
    };
    let several_for_one = Scene {
        scope: RateLimitScope::App,
        ..separate()
    };
    for (name, scene) in [
        ("one limit, scope workspace", one_for_several),
        ("four limits, scope app", several_for_one),
    ] {
        for seed in seeds(3) {
            let outcome = run(&scene, seed, true);
            let first = outcome.contradictions.first();
            eprintln!(
                "{name}, seed {seed}: {} contradictions, the first at {first:?}",
                outcome.contradictions.len()
            );
            assert!(
                first.is_some_and(|(at, _)| *at <= 60_000),
                "{name}, seed {seed}: {first:?}"
            );
        }
    }
}
