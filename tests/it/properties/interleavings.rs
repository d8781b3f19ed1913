//! Any interleaving of changes, polls, walks, faults, deaths and reconnects ends exact, and says so.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use simulation::rng::seeds;

use super::{
    machine::{Wrong, play},
    plan::Plan,
    servers,
};
use crate::support::play as run;

/// Seeds played at once: they mostly wait for Postgres and for the simulator.
const AT_ONCE: usize = 4;
/// Plays of shorter plans that a failure may cost.
const SHORTENINGS: usize = 60;
/// What a few lives meet already, and what takes many.
const OFTEN: &[&str] = &[
    "connected again",
    "disconnect",
    "disconnect under way",
    "drip",
    "fault",
    "kill",
    "last disconnect",
    "never",
    "purge",
];
const SELDOM: &[&str] = &["choke", "freeze", "reconnect"];

#[test]
fn every_life_of_a_connection_ends_exact() {
    let begun = Instant::now();
    let seeds = seeds("PROPERTY_SEEDS", 16);
    let next = AtomicU64::new(seeds.start);
    let told = Mutex::new((BTreeSet::new(), BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                run(async {
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= seeds.end {
                            return;
                        }
                        let ended = play(servers().await, &Plan::draw(seed)).await;
                        let mut told = told.lock().unwrap();
                        match ended {
                            Ok(met) => told.0.extend(met),
                            Err(wrong) => {
                                eprintln!("seed {seed}: {wrong}");
                                told.1.insert(seed, wrong);
                            }
                        }
                    }
                });
            });
        }
    });
    let (met, wrong) = told.into_inner().unwrap();
    eprintln!(
        "{} seeds in {:?}, met: {met:?}",
        seeds.end - seeds.start,
        begun.elapsed()
    );
    if let Some((seed, first)) = wrong.first_key_value() {
        let all: Vec<u64> = wrong.keys().copied().collect();
        run(async {
            let (plan, wrong) = shortened(Plan::draw(*seed), first.clone()).await;
            let told: Vec<String> = plan.ops.iter().map(|op| format!("  {op:?}")).collect();
            panic!(
                "PROPERTY_SEEDS={seed}..{} (all: {all:?}), shortened, {} of {:?}:\n{}\n{wrong}",
                seed + 1,
                plan.version,
                plan.spec,
                told.join("\n")
            );
        });
    }
    // What never came proves nothing.
    let wanted: &[&str] = match seeds.end - seeds.start {
        0..16 => &[],
        16..200 => OFTEN,
        200.. => &[OFTEN, SELDOM].concat(),
    };
    let missing: Vec<_> = wanted.iter().filter(|what| !met.contains(*what)).collect();
    assert!(missing.is_empty(), "never met: {missing:?}");
}

/// Leaves out one thing after the other for as long as it still fails.
async fn shortened(mut plan: Plan, mut wrong: Wrong) -> (Plan, Wrong) {
    let (mut at, mut tries) = (plan.ops.len(), 0);
    while at > 0 && tries < SHORTENINGS {
        at -= 1;
        tries += 1;
        let mut shorter = plan.clone();
        // From the end, because later steps depend on earlier ones.
        shorter.ops.remove(at);
        if let Err(still) = play(servers().await, &shorter).await {
            (plan, wrong) = (shorter, still);
        }
    }
    (plan, wrong)
}
