//! What holds for every measurement. `tests/fuzz` tries more of them.

use crate::autoscale::{Bound, Budgets, ClassReading, Decision, PoolState, Sample, Settings};

const SETTINGS: Settings = Settings {
    slots: 10,
    min_workers: 1,
    max_workers: 20,
};

fn settled(sample: Sample) -> Decision {
    let mut state = PoolState::default();
    let decisions = (0..7).map(|_| state.step(sample, &SETTINGS));
    decisions.last().flatten().expect("enough was measured")
}

fn sample(running: f64, runnable: f64, waiting_seconds: f64) -> Sample {
    Sample {
        seconds: 10.0,
        running,
        runnable,
        waiting_seconds,
        drain_slots: waiting_seconds / 60.0,
        fed_slots: Some(9_999.0),
    }
}

#[test]
fn it_decides_nothing_from_a_first_look() {
    let mut state = PoolState::default();
    let busy = sample(10.0, 500.0, 5_000.0);
    assert_eq!(state.step(busy, &SETTINGS), None);
    assert_eq!(state.step(busy, &SETTINGS), None);
    assert!(state.step(busy, &SETTINGS).is_some());
}

#[test]
fn each_bound_is_named() {
    let named = |sample| {
        let decision = settled(sample);
        (decision.workers, decision.bound)
    };
    assert_eq!(named(sample(0.0, 0.0, 0.0)), (1, Bound::Minimum));
    // 20 slots of load and 1,200 seconds that wait: 40 slots at four fifths.
    assert_eq!(named(sample(20.0, 400.0, 1_200.0)), (5, Bound::Work));
    // 25 tickets run in 25 slots, whatever waits behind them.
    assert_eq!(named(sample(25.0, 25.0, 99_999.0)), (3, Bound::RateBudgets));
    assert_eq!(named(sample(0.0, 9_999.0, 99_999.0)), (20, Bound::Maximum));
    let mut hungry = sample(0.0, 9_999.0, 99_999.0);
    hungry.fed_slots = Some(31.0);
    assert_eq!(named(hungry), (4, Bound::RateBudgets));
    // Nothing was called yet, so nobody knows what the budgets feed.
    hungry.fed_slots = None;
    assert_eq!(named(hungry), (1, Bound::RateBudgets));
}

#[test]
fn a_pool_stays_between_too_full_and_too_empty() {
    let mut state = PoolState::default();
    let mut last = |load: f64| {
        let decisions = (0..7).map(|_| state.step(sample(load, 400.0, 0.0), &SETTINGS));
        decisions.last().flatten().expect("enough").workers
    };
    // 32 slots fill 4 workers by four fifths. At 24 they are used by three fifths, and at 23 a worker goes.
    let workers = [32.0, 28.0, 24.1, 23.0, 18.0, 30.0].map(&mut last);
    assert_eq!(workers, [4, 4, 4, 4, 3, 4]);
}

#[test]
fn threads_are_counted_by_their_calls_and_others_by_their_tickets() {
    let class = ClassReading {
        ready: 4.0,
        leased: 2.0,
        parked: 4.0,
        slices: 100.0,
        calls: 1_000.0,
        held_seconds: 50.0,
        outstanding_calls: None,
    };
    let budgets = Budgets {
        budgets: 5.0,
        calls_per_second: 50.0,
    };
    let fresh = Sample::of(&class, budgets, 10.0, 4.0);
    // Four slices of half a second. Ten tickets with ten calls a second each, which take 50 ms.
    assert_eq!((fresh.waiting_seconds, fresh.drain_slots), (2.0, 0.5));
    assert_eq!(fresh.fed_slots, Some(5.0));
    let threads = ClassReading {
        outstanding_calls: Some(2_000.0),
        ..class
    };
    let backfill = Sample::of(&threads, budgets, 10.0, 4.0);
    assert_eq!((backfill.waiting_seconds, backfill.runnable), (100.0, 6.0));
}

#[test]
fn the_state_survives_its_scheduler() {
    let mut state = PoolState::default();
    for _ in 0..5 {
        state.step(sample(30.0, 300.0, 500.0), &SETTINGS);
    }
    let text = serde_json::to_string(&state).expect("it is written");
    let mut read: PoolState = serde_json::from_str(&text).expect("it is read");
    let next = sample(31.0, 300.0, 400.0);
    assert_eq!(read.step(next, &SETTINGS), state.step(next, &SETTINGS));
}
