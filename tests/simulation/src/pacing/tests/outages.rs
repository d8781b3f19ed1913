//! Redis away, headers missing, and a limit that changes.

use std::time::Duration;

use shared::{
    domain::Class,
    pacing::{Acquire, LedgerReply, LocalBudget},
};

use super::{Scene, run, seeds, small, throttled, window};

#[test]
fn without_redis_fresh_calls_go_on_slowly_and_backfill_waits() {
    for (limit, slots) in [(167, 8), (1_667, 32)] {
        let scene = Scene {
            redis_away: Some((60, 120)),
            fresh_every: Some(500),
            seconds: 160,
            limit,
            slots,
            ..small()
        };
        for seed in seeds(3) {
            let outcome = run(&scene, seed, true);
            let throttled = throttled(&outcome);
            eprintln!(
                "limit {limit}, seed {seed}: {throttled} of {} throttled",
                outcome.calls
            );
            assert!(
                u64::from(throttled) * 1_000 <= outcome.calls,
                "{throttled} of {}",
                outcome.calls
            );
            let away = |class| {
                let from = |time: u64| (60_000 + 62_000..60_000 + 119_000).contains(&time);
                outcome
                    .sent
                    .iter()
                    .filter(|(time, _, of)| *of == class && from(*time))
                    .count()
            };
            assert_eq!(away(Class::Backfill), 0);
            assert!(away(Class::Fresh) > 50, "{}", away(Class::Fresh));
            // Redis came back empty. The first window that begins after that is used whole.
            let ours = window(&outcome, 130).ours;
            eprintln!(
                "limit {limit}, seed {seed}: {:?}",
                [120, 130, 140].map(|at| window(&outcome, at).ours)
            );
            assert!(
                u64::from(ours) * 1_000 >= u64::from(limit) * 999,
                "limit {limit}, seed {seed}: {ours}"
            );
        }
    }
}

/// A parked caller does not ask the ledger, so the process has to, or backfill would be parked for ever.
#[test]
fn a_process_with_backfill_only_notices_that_redis_is_back() {
    let seconds = Duration::from_secs;
    let mut local = LocalBudget::new(1.0);
    assert!(matches!(
        local.acquire(Class::Backfill, seconds(0)),
        Acquire::Wait(_)
    ));
    assert!(local.next_request([0, 1], seconds(0)).is_some());
    local.on_reply(None, seconds(1));
    assert!(
        matches!(local.acquire(Class::Backfill, seconds(1)), Acquire::Park(_)),
        "redis is away"
    );
    assert_eq!(local.next_request([0, 0], seconds(1)), None, "not at once");
    assert!(local.next_request([0, 0], seconds(5)).is_some());
    local.on_reply(Some(&LedgerReply::default()), seconds(5));
    assert!(
        matches!(local.acquire(Class::Backfill, seconds(5)), Acquire::Wait(_)),
        "redis is back"
    );
}

#[test]
fn without_headers_an_even_pace_below_the_limit_is_kept() {
    for seed in seeds(3) {
        let outcome = run(
            &Scene {
                silent: Some((60, 9_999)),
                ..small()
            },
            seed,
            true,
        );
        let throttled = throttled(&outcome);
        assert!(throttled <= 2, "{throttled} throttled");
        for second in [100, 110] {
            let ours = window(&outcome, second).ours;
            assert!((140..=160).contains(&ours), "{ours} at {second} s");
        }
    }
}

#[test]
fn a_new_limit_is_adopted_at_once() {
    for (from, to) in [(1_000, 500), (500, 1_000)] {
        let scene = Scene {
            new_limit: Some((61, to)),
            limit: from,
            slots: 24,
            seconds: 110,
            ..small()
        };
        for seed in seeds(3) {
            let outcome = run(&scene, seed, true);
            let throttled = throttled(&outcome);
            eprintln!(
                "from {from} to {to}, seed {seed}: {throttled} throttled of {}",
                outcome.calls
            );
            // Only calls in flight are refused.
            assert!(throttled <= 8 * 24, "{throttled} throttled");
            for second in [80, 90] {
                assert!(
                    window(&outcome, second).ours >= to * 99 / 100,
                    "seed {seed}: {:?}",
                    window(&outcome, second)
                );
            }
            assert_eq!(window(&outcome, 80).throttled, 0);
        }
    }
}
