//! How much of each window a busy fleet uses, with each fault, and how long its fresh calls wait.

use super::{HEADER, Scene, large, measure, small};
use crate::pacing::Policy;

/// The columns of the baselines are printed and not asserted.
#[test]
fn a_saturated_window_is_used_whole_and_no_call_is_throttled() {
    eprintln!("{HEADER}");
    for (size, scene, redis) in [(167, small(), 1.3), (1_667, large(), 0.25)] {
        let row = measure(&format!("{size}: saturated"), &scene);
        assert!(
            row.used >= 0.999 && row.throttled_per_million <= 10.0 && row.redis_per_call <= redis,
            "{row:?}"
        );
        let row = measure(
            &format!("{size}: a share of 0.8"),
            &Scene {
                share: 0.8,
                ..scene.clone()
            },
        );
        assert!(
            row.used >= 0.999 && row.used <= 1.0 && row.throttled_per_million <= 10.0,
            "{row:?}"
        );
        let slow = measure(
            &format!("{size}: answers after a second"),
            &Scene {
                latency: (1_000.0, 0.3),
                ..scene.clone()
            },
        );
        assert!(
            slow.used >= 0.99 && slow.throttled_per_million <= 10.0,
            "{slow:?}"
        );
        beside(size, &scene);
    }
}

#[test]
fn dead_processes_and_lost_answers_cost_little() {
    eprintln!("{HEADER}");
    for (size, scene) in [(167, small()), (1_667, large())] {
        let killed = Scene {
            kill_every: Some(20),
            seconds: scene.seconds * 2,
            ..scene.clone()
        };
        let row = measure(&format!("{size}: a kill every 20 s"), &killed);
        assert!(
            row.used >= 0.99 && row.throttled_per_million <= 10.0,
            "{row:?}"
        );
        let row = measure(
            &format!("{size}: 1 % of answers lost"),
            &Scene {
                lost: 10,
                ..scene.clone()
            },
        );
        assert!(
            row.used >= 0.99 && row.throttled_per_million <= 1_000.0,
            "{row:?}"
        );
        let row = measure(
            &format!("{size}: 1 % of redis' answers lost"),
            &Scene {
                redis_lost: 10,
                ..scene
            },
        );
        assert!(
            row.used >= 0.99 && row.throttled_per_million <= 10.0,
            "{row:?}"
        );
    }
}

#[test]
fn calls_of_other_apps_are_left_to_them() {
    eprintln!("{HEADER}");
    for (size, scene) in [(167, small()), (1_667, large())] {
        let row = measure(
            &format!("{size}: others use 20 %"),
            &Scene {
                foreign: 0.2,
                ..scene.clone()
            },
        );
        assert!(
            row.used >= 0.99 && row.throttled_per_million <= 6_000.0,
            "{row:?}"
        );
        beside(
            size,
            &Scene {
                foreign: 0.2,
                ..scene
            },
        );
    }
}

/// The same by the baselines. They try so often that a large limit takes long: only when more seeds are asked for.
fn beside(size: u32, scene: &Scene) {
    if size == 167 || std::env::var_os("PACING_SEEDS").is_some() {
        measure(
            &format!("{size}: governor in each process alone"),
            &Scene {
                policy: Policy::EachAlone,
                ..scene.clone()
            },
        );
        measure(
            &format!("{size}: one pace in redis (GCRA)"),
            &Scene {
                policy: Policy::PaceInRedis,
                ..scene.clone()
            },
        );
    }
}

#[test]
fn a_fresh_call_hardly_waits_beside_backfill() {
    eprintln!("{HEADER}");
    for (size, scene, every, at_once) in [
        (167, small(), 1_000, 1),
        (167, small(), 4_000, 8),
        (167, small(), 8_000, 16),
        (1_667, large(), 100, 1),
        (1_667, large(), 2_000, 16),
        (1_667, large(), 20_000, 16),
        (1_667, large(), 8_000, 100),
    ] {
        let scene = Scene {
            fresh_every: Some(every),
            fresh_at_once: at_once,
            seconds: 4 * scene.seconds.min(40),
            ..scene
        };
        let row = measure(
            &format!("{size}: {at_once} fresh calls every {every} ms"),
            &scene,
        );
        assert!(
            row.used >= 0.999 && row.throttled_per_million <= 10.0 && row.fresh_p99 <= 500,
            "{row:?}"
        );
    }
}
