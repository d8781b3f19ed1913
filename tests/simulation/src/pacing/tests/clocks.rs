//! Clocks that disagree, are wrong, or are set.

use super::{HEADER, Scene, measure, run, seeds, small, throttled, window};

#[test]
fn no_decision_depends_on_a_process_clock() {
    for seed in seeds(3) {
        let scene = Scene {
            kill_every: Some(20),
            fresh_every: Some(700),
            lost: 5,
            seconds: 60,
            ..small()
        };
        let [skewed, level] = [true, false].map(|skewed| run(&scene, seed, skewed));
        assert_eq!(skewed.sent, level.sent, "seed {seed}");
        assert!(skewed.met.contains("killed") && skewed.met.contains("parked"));
    }
}

#[test]
fn a_date_that_is_wrong_costs_little() {
    eprintln!("{HEADER}");
    for ahead in [2_000, -2_000] {
        let row = measure(
            &format!("167: Date is {ahead} ms ahead"),
            &Scene {
                date_ahead: ahead,
                ..small()
            },
        );
        assert!(
            row.used >= 0.99 && row.throttled_per_million <= 1_000.0,
            "{row:?}"
        );
    }
}

/// Sets Redis' clock once. A step forward ends a window too early, so that a window of calls is refused or lost at
/// most. After the window that follows, each one is used whole again.
fn set_redis_clock(by: i64, default_seeds: u64) {
    let scene = Scene {
        redis_clock: Some((60, by)),
        seconds: 130,
        ..small()
    };
    let row = measure(&format!("167: redis' clock is set by {by} ms"), &scene);
    assert!(row.used >= 0.95, "{row:?}");
    for seed in seeds(default_seeds) {
        let outcome = run(&scene, seed, true);
        let throttled = throttled(&outcome);
        assert!(throttled <= 167, "seed {seed}: {throttled} throttled");
        let ours = [60, 70, 80, 90, 100, 110, 120].map(|second| window(&outcome, second).ours);
        let lost: u32 = ours.iter().map(|ours| 167 - ours).sum();
        assert!(lost <= 167, "seed {seed}: {ours:?}");
        assert_eq!(ours[2..], [167; 5], "seed {seed}");
    }
}

#[test]
fn redis_clock_set_forward_costs_a_window_at_most() {
    eprintln!("{HEADER}");
    set_redis_clock(5_000, 16);
}

#[test]
fn redis_clock_set_back_costs_a_window_at_most() {
    eprintln!("{HEADER}");
    set_redis_clock(-5_000, 16);
}

/// A second Redis takes over whose clock is a little ahead.
#[test]
fn redis_clock_set_forward_a_little_costs_a_window_at_most() {
    eprintln!("{HEADER}");
    for by in [250, 400, 1_000] {
        set_redis_clock(by, 8);
    }
}
