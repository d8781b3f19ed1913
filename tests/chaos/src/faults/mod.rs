//! The faults: how many of each, in which order, and whether each one hit something.
//!
//! Three tracks run at once, each with its own deck of faults in seeded order: what is done to the
//! processes, to the servers, and to Intercom. So workers also die while Redis is away.

mod answers;
mod intercom;
mod kinds;
mod network;
mod processes;
mod recovery;
mod servers;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};
use serde::Serialize;

use kinds::Track;
pub(crate) use kinds::{Faults, Kind};
pub(crate) use recovery::{Recoveries, waiting};

use crate::{Failure, world::World};

/// What became of a kind.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Count {
    pub(crate) kind: Kind,
    pub(crate) wanted: u64,
    pub(crate) done: u64,
    /// Done, and proven to have hit: see each fault for its proof.
    pub(crate) hit: u64,
    /// The longest time, in seconds, from a fault's end until the copies were well. `None` if one never was, or none hit.
    pub(crate) recovered: Option<f64>,
}

/// What was broken, and how the fleet took it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Broken {
    pub(crate) counts: Vec<Count>,
    /// What should not have happened.
    pub(crate) wrong: Vec<String>,
    /// Seconds until the next slice began, after a server was back.
    pub(crate) resumed_seconds: Vec<f64>,
    /// Seconds until a terminated worker had left.
    pub(crate) drained_seconds: Vec<f64>,
    /// From when to when a server was broken or work had not yet gone on, in Unix seconds.
    pub(crate) storms: Vec<(f64, f64)>,
    /// Slices of a worker paused for less than a lease that another worker took.
    pub(crate) false_orphans: u64,
    /// Writes and slices of zombies that were refused.
    pub(crate) zombies_refused: u64,
}

/// What the tracks share.
pub(crate) struct Stage<'w> {
    world: &'w World,
    /// Held while a server is broken, so that a fault that needs them whole can wait.
    calm: tokio::sync::Mutex<()>,
    broken: Arc<Mutex<Broken>>,
    recoveries: &'w Recoveries,
    /// How long a worker is frozen.
    freeze: Duration,
}

impl Stage<'_> {
    fn note(&self, change: impl FnOnce(&mut Broken)) {
        change(&mut self.broken.lock());
    }

    /// A fault was done, and hit or not.
    fn done(&self, kind: Kind, hit: bool) {
        self.note(|broken| {
            for count in broken.counts.iter_mut().filter(|count| count.kind == kind) {
                count.done += 1;
                count.hit += u64::from(hit);
            }
        });
    }
}

/// Injects faults for this long, and a little longer if the decks are not empty. All are over when it returns.
pub(crate) async fn inject(
    world: &World,
    time: Duration,
    seed: u64,
    faults: Faults,
    recoveries: &Recoveries,
) -> Result<Broken, Failure> {
    let counts = faults
        .rates()
        .map(|rate| Count {
            kind: rate.kind,
            wanted: rate.wanted(time),
            done: 0,
            hit: 0,
            recovered: None,
        })
        .collect();
    let stage = Stage {
        world,
        calm: tokio::sync::Mutex::new(()),
        broken: Arc::new(Mutex::new(Broken {
            counts,
            ..Broken::default()
        })),
        recoveries,
        // 30 s if there is time, and always longer than a lease and a sweep.
        freeze: (time / 3).clamp(Duration::from_secs(8), Duration::from_secs(30)),
    };
    let track = |track, salt: u64| {
        let deck = faults
            .rates()
            .filter(|rate| rate.track == track)
            .flat_map(|rate| (0..rate.wanted(time)).map(|_| rate.kind))
            .collect();
        run(
            &stage,
            track,
            deck,
            time,
            StdRng::seed_from_u64(seed ^ salt),
        )
    };
    let (processes, servers, intercom) = futures::join!(
        track(Track::Processes, 0x70),
        track(Track::Servers, 0x73),
        track(Track::Intercom, 0x69)
    );
    world.simulator.clear_faults();
    processes?;
    servers?;
    intercom?;
    let broken = stage.broken.lock().clone();
    Ok(broken)
}

/// Plays one track's deck, spread over the time. A fault that did not hit is tried again, a few times.
async fn run(
    stage: &Stage<'_>,
    track: Track,
    mut deck: Vec<Kind>,
    time: Duration,
    mut rng: StdRng,
) -> Result<(), Failure> {
    deck.shuffle(&mut rng);
    let (begun, mut again) = (Instant::now(), deck.len() / 4 + 4);
    while let Some(kind) = deck.pop() {
        let left = time.saturating_sub(begun.elapsed());
        let needed: Duration = deck
            .iter()
            .chain([&kind])
            .map(|kind| kind.rate().takes(stage.freeze))
            .sum();
        let pause = left.saturating_sub(needed) / (deck.len() as u32 + 1);
        tokio::time::sleep(pause.mul_f64(rng.random_range(0.3..1.5)).min(left)).await;
        let all = 0..stage.world.tenants.len();
        let (hit, touched) = match track {
            Track::Processes => (processes::strike(stage, kind, &mut rng).await?, all),
            Track::Servers => (servers::strike(stage, kind, &mut rng).await?, all),
            Track::Intercom => {
                let tenant = rng.random_range(all);
                let hit = intercom::strike(stage, kind, tenant, &mut rng).await?;
                (hit, tenant..tenant + 1)
            }
        };
        stage.done(kind, hit);
        if hit {
            stage.recoveries.began(kind, touched);
        }
        if !hit && again > 0 {
            again -= 1;
            deck.insert(0, kind);
        }
    }
    Ok(())
}
