//! The loop is closed: the decision changes the fleet that is measured next. An oracle that knows the load, and whose pods
//! work at once, has the same sizing rule, so what is compared is what measuring and following cost.

use crate::autoscale::{Bound, PoolState, Sample, Settings};

use super::{
    autoscaler::{Autoscaler, SYNC_SECONDS},
    shapes::{self, Shape},
};

const SECONDS: usize = 3 * 3_600;
/// Between two measurements.
const MEASURED_EVERY: usize = 10;
const SLOTS: u32 = 16;
/// The oracle shrinks as slowly as the autoscaler.
const STABILIZATION: usize = 300 / SYNC_SECONDS;

struct Outcome {
    replica_seconds: f64,
    turns: u32,
    left: f64,
    bounds: Vec<Bound>,
}

const fn settings() -> Settings {
    Settings {
        slots: SLOTS,
        min_workers: 1,
        max_workers: 40,
    }
}

/// Follows the measured decisions. No number may be more than the budgets feed.
fn followed(mut shape: Shape) -> Outcome {
    let settings = settings();
    let (mut state, mut autoscaler) = (PoolState::default(), Autoscaler::new(2));
    let (mut number, mut bounds, mut replica_seconds) = (None, Vec::new(), 0.0);
    // What the budgets could feed within the time that is averaged.
    let mut feedable = vec![0.0; 4 * MEASURED_EVERY];
    for second in 0..SECONDS {
        (shape.arrive)(&mut shape.fleet, second, (shape.arriving)(second));
        feedable.push(shape.fleet.feedable());
        shape
            .fleet
            .work(f64::from(autoscaler.ready(second) * SLOTS));
        if second > 0 && second.is_multiple_of(MEASURED_EVERY) {
            let (class, budgets) = shape.fleet.read();
            let sample = Sample::of(&class, budgets, MEASURED_EVERY as f64, shape.drain_seconds);
            if let Some(decision) = state.step(sample, &settings) {
                let window = &feedable[feedable.len() - 4 * MEASURED_EVERY..];
                let fed = window.iter().copied().fold(0.0, f64::max);
                let allowed = (fed / f64::from(SLOTS)).ceil().max(1.0);
                assert!(
                    f64::from(decision.workers) <= allowed,
                    "{}: {decision:?} at {second} s, and budgets feed {fed} slots",
                    shape.name
                );
                number = Some(decision.workers);
                bounds.push(decision.bound);
            }
        }
        autoscaler.step(second, number);
        replica_seconds += f64::from(autoscaler.replicas);
    }
    Outcome {
        replica_seconds,
        turns: autoscaler.direction_changes,
        left: shape.fleet.outstanding(),
        bounds,
    }
}

/// The same load and the same sizing rule, of one that knows the future and whose pods need no start.
fn foreseen(mut shape: Shape) -> Outcome {
    let (mut replicas, mut turns, mut replica_seconds) = (1_u32, 0, 0.0);
    let mut chosen: Vec<u32> = Vec::new();
    for second in 0..SECONDS {
        (shape.arrive)(&mut shape.fleet, second, (shape.arriving)(second));
        if second.is_multiple_of(SYNC_SECONDS) {
            let speed = shape.fleet.speed;
            // A burst is work that waits and no load that lasts.
            let lasting = (shape.arriving)(second).min((shape.arriving)(second + 60));
            let waits = (shape.fleet.outstanding() - lasting).max(0.0) / speed;
            let slots = lasting / speed + waits / shape.drain_seconds;
            let fed = shape.fleet.feedable();
            let workers = (slots / (0.8 * f64::from(SLOTS))).ceil();
            let fed_workers = (fed / f64::from(SLOTS)).ceil();
            chosen.push(workers.min(fed_workers).clamp(1.0, 40.0) as u32);
            let recent = &chosen[chosen.len().saturating_sub(STABILIZATION)..];
            let next = recent.iter().copied().max().unwrap_or(1);
            turns += u32::from(next != replicas);
            replicas = next;
        }
        shape.fleet.work(f64::from(replicas * SLOTS));
        replica_seconds += f64::from(replicas);
    }
    Outcome {
        replica_seconds,
        turns,
        left: shape.fleet.outstanding(),
        bounds: Vec::new(),
    }
}

#[test]
fn it_costs_a_tenth_more_or_less_than_an_oracle_and_does_not_flap() {
    let mut faults = Vec::new();
    for (shape, again) in shapes::all().into_iter().zip(shapes::all()) {
        let (name, turn_limit) = (shape.name, shape.turn_limit);
        let (followed, foreseen) = (followed(shape), foreseen(again));
        let ratio = followed.replica_seconds / foreseen.replica_seconds;
        let line = format!(
            "{name}: {ratio:.3} of the oracle's {:.0} replica-minutes, {} turns, {:.0} calls left, the oracle {:.0}",
            foreseen.replica_seconds / 60.0,
            followed.turns,
            followed.left,
            foreseen.left
        );
        println!("{line}");
        let is_good = (0.9..=1.1).contains(&ratio)
            && followed.turns <= turn_limit
            // At the end both have as good as nothing left, or both are bound by the same budgets.
            && followed.left <= foreseen.left.mul_add(1.1, 2_000.0);
        if !is_good {
            faults.push(line);
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_whale_is_said_to_be_bound_by_its_budget() {
    let whale = shapes::all()
        .into_iter()
        .find(|shape| shape.name.contains("whale"));
    let bounds = followed(whale.expect("there is one")).bounds;
    let bound = bounds
        .iter()
        .filter(|bound| **bound == Bound::RateBudgets)
        .count();
    assert!(bound > bounds.len() / 2, "{bound} of {}", bounds.len());
}
