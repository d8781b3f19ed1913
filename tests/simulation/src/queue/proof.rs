//! What the simulation proves, and that it would notice if it were not so.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use super::{
    fleet::{Faulty, run},
    history::{Violation, check},
    model::Bug,
};
use crate::rng::seeds;

fn judge(seed: u64, faulty: Faulty) -> Result<BTreeSet<&'static str>, Violation> {
    let run = run(seed, faulty);
    check(&run.history, &run.rules).map(|()| run.met)
}

/// `SIM_SEEDS=100000` runs more of them, `SIM_SEEDS=4711..4712` one again.
#[test]
fn no_seed_breaks_a_law() {
    let begun = Instant::now();
    let seeds = seeds("SIM_SEEDS", 10_000);
    let count = seeds.end - seeds.start;
    let next = AtomicU64::new(seeds.start);
    let met: BTreeSet<&'static str> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..std::thread::available_parallelism().map_or(2, usize::from))
            .map(|_| {
                scope.spawn(|| {
                    let mut met = BTreeSet::new();
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= seeds.end {
                            return met;
                        }
                        match judge(seed, Faulty::default()) {
                            Ok(more) => met.extend(more),
                            Err(violation) => {
                                let run = run(seed, Faulty::default());
                                let told: Vec<String> = run
                                    .history
                                    .iter()
                                    .map(|event| format!("{:>6} {:?}", event.at, event.what))
                                    .collect();
                                panic!(
                                    "SIM_SEEDS={seed}..{}: {violation}\n{}",
                                    seed + 1,
                                    told.join("\n")
                                );
                            }
                        }
                    }
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    eprintln!("{count} seeds in {:?}, met: {met:?}", begun.elapsed());
    if count >= 1_000 {
        // A fault that never came proves nothing.
        let all = [
            "clock set back",
            "doubled pushes",
            "fenced write",
            "flush",
            "freeze",
            "handed back",
            "kill",
            "killed by its work",
            "lost answer",
            "outage",
            "pause",
            "quarantined",
            "stale fence",
            "reaped",
            "terminate",
        ];
        assert_eq!(met, all.into_iter().collect());
    }
}

/// Some seed of the first ten thousand shows the fault, as a breach of one of these laws.
fn is_caught(faulty: Faulty, laws: &[&str]) {
    let caught =
        (0..10_000).find_map(|seed| judge(seed, faulty).err().map(|violation| (seed, violation)));
    let Some((seed, violation)) = caught else {
        panic!("nobody noticed {faulty:?}")
    };
    eprintln!("{faulty:?} at seed {seed}: {violation}");
    assert!(laws.contains(&violation.law), "{violation}");
    assert!(
        judge(seed, Faulty::default()).is_ok(),
        "noticed for another reason: seed {seed}"
    );
}

/// One test per deliberate fault.
macro_rules! caught {
    ($($name:ident: $bug:ident => $laws:expr;)+) => {
        $(#[test]
        fn $name() {
            is_caught(Faulty { queue: Bug::$bug, ..Faulty::default() }, &$laws);
        })+
    };
}

caught! {
    a_settlement_that_takes_any_fence: SettleIgnoresFence => ["only a lease settles"];
    a_reap_that_keeps_the_lease: ReapKeepsLease => ["only a lease is reaped", "one lease per ticket", "nobody is forgotten"];
    a_reap_that_forgets_the_crash: ReapForgetsCrash => ["deaths are counted"];
    a_push_that_doubles: PushDoubles => ["no work is lost", "one lease per ticket", "only a lease settles"];
    a_lost_again: AgainLost => ["nobody is forgotten", "idle in the end"];
    a_push_that_unparks: PushUnparks => ["waits are honoured"];
    a_pause_that_is_ignored: EnterIgnoresPause => ["pauses are honoured"];
    a_virtual_time_that_stands: VtimeStands => ["waiting is bounded"];
    a_cap_that_is_ignored: CapIgnored => ["caps are held"];
    a_cap_that_is_not_given_back: CapNotGivenBack => ["no work is lost", "nobody is forgotten", "idle in the end", "nothing is left at rest"];
    a_tenant_that_stays_out: UncapForgotten => ["nobody is forgotten"];
    a_parked_ticket_without_its_tenant: PromoteForgetsRing => ["nobody is forgotten"];
    a_renewal_that_does_nothing: RenewDoesNothing => ["the living keep their leases"];
    a_ticket_handed_back_and_dropped: ReleaseDrops => ["nobody is forgotten", "idle in the end"];
    a_clock_that_is_believed: ClockBelieved => ["no work is lost", "nobody is forgotten", "idle in the end"];
}

#[test]
fn writes_without_a_fence() {
    is_caught(
        Faulty {
            unfenced_writes: true,
            ..Faulty::default()
        },
        &["one effect per page", "no effect after a higher fence"],
    );
}
