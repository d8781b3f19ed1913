//! What the ledger promises, as counts of a simulated fleet with every fault.
//!
//! `PACING_SEEDS` runs more seeds (a number, or `FROM..TO`).

mod bugs;
mod clocks;
mod outages;
mod scope;
mod throughput;

use super::{Counted, Outcome, Scene, run};

fn seeds(default: u64) -> std::ops::Range<u64> {
    crate::rng::seeds("PACING_SEEDS", default)
}

/// The columns of the table, over windows in which the fleet was saturated from start to end.
#[derive(Clone, Copy, Debug)]
struct Row {
    /// The used share of the allowed calls, those of other apps included.
    used: f64,
    worst: f64,
    throttled_per_million: f64,
    redis_per_call: f64,
    /// Milliseconds.
    fresh_p99: u64,
}

fn p99(mut waits: Vec<u64>) -> u64 {
    waits.sort_unstable();
    waits.get(waits.len() * 99 / 100).copied().unwrap_or(0)
}

fn row(scene: &Scene, outcome: &Outcome, skip: usize) -> Row {
    columns(
        scene,
        outcome,
        &outcome.windows()[skip..outcome.windows().len() - 1],
    )
}

fn columns(scene: &Scene, outcome: &Outcome, whole: &[Counted]) -> Row {
    let share = |window: &Counted| {
        let allowed = (f64::from(window.limit) * scene.share).floor();
        f64::from(window.ours + window.foreign) / allowed
    };
    let throttled: u32 = whole.iter().map(|window| window.throttled).sum();
    let calls: u32 = whole.iter().map(|window| window.ours).sum();
    Row {
        used: whole.iter().map(share).sum::<f64>() / whole.len() as f64,
        worst: whole.iter().map(share).fold(f64::INFINITY, f64::min),
        throttled_per_million: f64::from(throttled) * 1e6 / f64::from(calls),
        redis_per_call: outcome.redis_calls as f64 / outcome.calls as f64,
        fresh_p99: p99(outcome.fresh_waits.clone()),
    }
}

/// Runs a scene over some seeds. Returns the means of the columns, and the worst of the worst.
fn measure(name: &str, scene: &Scene) -> Row {
    let (mut rows, mut waits) = (Vec::new(), Vec::new());
    for seed in seeds(2) {
        let outcome = run(scene, seed, true);
        rows.push(row(scene, &outcome, 3));
        waits.extend(outcome.fresh_waits);
    }
    let mean = |of: fn(&Row) -> f64| rows.iter().map(of).sum::<f64>() / rows.len() as f64;
    let row = Row {
        used: mean(|row| row.used),
        worst: rows
            .iter()
            .map(|row| row.worst)
            .fold(f64::INFINITY, f64::min),
        throttled_per_million: mean(|row| row.throttled_per_million),
        redis_per_call: mean(|row| row.redis_per_call),
        fresh_p99: p99(waits),
    };
    eprintln!(
        "{name:<44} {:>8.3} % {:>8.2} % {:>10.1} {:>8.3} {:>6} ms",
        row.used * 100.0,
        row.worst * 100.0,
        row.throttled_per_million,
        row.redis_per_call,
        row.fresh_p99
    );
    row
}

const HEADER: &str = "scene                                            used      worst      429/M    redis  fresh p99";

fn small() -> Scene {
    Scene::default()
}

fn large() -> Scene {
    Scene {
        limit: 1_667,
        slots: 32,
        seconds: 60,
        ..Scene::default()
    }
}

/// The window at so many seconds after the beginning.
fn window(outcome: &Outcome, second: u64) -> Counted {
    let first = outcome.windows()[0].index;
    let found = outcome
        .windows()
        .iter()
        .find(|window| window.index == first + second / 10);
    found.copied().unwrap_or_default()
}

/// Calls that were refused in the whole run.
fn throttled(outcome: &Outcome) -> u32 {
    let windows = outcome.windows().iter();
    windows.map(|window| window.throttled).sum()
}
