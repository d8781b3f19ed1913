//! The faults: how many of each, in which order, and whether each one hit something.
//!
//! Three tracks run at once, each with its own deck of faults in seeded order: what is done to the
//! processes, to the servers, and to Intercom. So workers also die while Redis is away.

mod intercom;
mod network;
mod processes;
mod servers;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};
use serde::Serialize;

use crate::{Failure, world::World};

/// Every kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    WorkerKilled,
    WorkerTerminated,
    /// Longer than a lease, then back: a zombie.
    WorkerFrozen,
    /// Shorter than a lease, then back: no other worker may take its work.
    WorkerPaused,
    SchedulerKilled,
    RedisKilled,
    RedisStopped1s,
    RedisStopped5s,
    RedisStopped60s,
    RedisConnectionsCut,
    PostgresFast,
    PostgresImmediate,
    PostgresKilled,
    PostgresConnectionsCut,
    Intercom5xx,
    IntercomTimeout,
    IntercomSlowBody,
    IntercomReset,
    IntercomTruncated,
    // Only with `--faults all`, from here on.
    RedisFrozen,
    /// The old connections stay silent for ever, and new ones are served.
    RedisAbandoned,
    RedisReadOnly,
    RedisFull,
    PostgresFrozen,
    PostgresAbandoned,
    PostgresReadOnly,
    /// One conversation, or a few, that may not be read.
    ThreadRefused,
    ThreadNotFound,
    ThreadGone,
    /// A list that is refused once or twice.
    ListRefused,
    /// A page of a proxy, with any status.
    ProxyPage,
    /// Every page that shows one contact fails.
    ContactChokes,
    /// The companies of a contact cannot be read.
    SublistFails,
    /// One list of reference data fails.
    ReferenceFails,
}

/// How much is broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Faults {
    /// What happens in every fleet: deaths, restarts, resets
    #[default]
    Basic,
    /// Also servers that hang or refuse, and answers that lie
    All,
}

/// How often a kind comes: once in so many seconds, and at least this often, if the run is long enough.
struct Rate {
    kind: Kind,
    track: Track,
    every_seconds: u64,
    at_least: u64,
    /// Not in runs shorter than this.
    from_seconds: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Track {
    Processes,
    Servers,
    Intercom,
}

const fn rate(
    kind: Kind,
    track: Track,
    every_seconds: u64,
    at_least: u64,
    from_seconds: u64,
) -> Rate {
    Rate {
        kind,
        track,
        every_seconds,
        at_least,
        from_seconds,
    }
}

const RATES: [Rate; 19] = [
    rate(Kind::WorkerKilled, Track::Processes, 7, 2, 0),
    rate(Kind::WorkerTerminated, Track::Processes, 45, 1, 0),
    rate(Kind::WorkerFrozen, Track::Processes, 120, 1, 0),
    rate(Kind::WorkerPaused, Track::Processes, 120, 1, 60),
    rate(Kind::SchedulerKilled, Track::Processes, 60, 1, 0),
    rate(Kind::RedisKilled, Track::Servers, 30, 1, 0),
    rate(Kind::RedisStopped1s, Track::Servers, 90, 1, 0),
    rate(Kind::RedisStopped5s, Track::Servers, 180, 1, 15),
    rate(Kind::RedisStopped60s, Track::Servers, 600, 1, 240),
    rate(Kind::RedisConnectionsCut, Track::Servers, 60, 1, 0),
    rate(Kind::PostgresFast, Track::Servers, 180, 1, 0),
    rate(Kind::PostgresImmediate, Track::Servers, 180, 1, 0),
    rate(Kind::PostgresKilled, Track::Servers, 180, 1, 60),
    rate(Kind::PostgresConnectionsCut, Track::Servers, 60, 1, 0),
    rate(Kind::Intercom5xx, Track::Intercom, 30, 1, 0),
    rate(Kind::IntercomTimeout, Track::Intercom, 60, 1, 0),
    rate(Kind::IntercomSlowBody, Track::Intercom, 60, 1, 0),
    rate(Kind::IntercomReset, Track::Intercom, 60, 1, 0),
    rate(Kind::IntercomTruncated, Track::Intercom, 60, 1, 0),
];

/// Only with `--faults all`. A server that is away as a whole takes the track's time, so these come rarely.
const ROUGH_RATES: [Rate; 15] = [
    rate(Kind::RedisFrozen, Track::Servers, 300, 1, 0),
    rate(Kind::RedisAbandoned, Track::Servers, 200, 1, 0),
    rate(Kind::RedisReadOnly, Track::Servers, 300, 1, 0),
    rate(Kind::RedisFull, Track::Servers, 300, 1, 0),
    rate(Kind::PostgresFrozen, Track::Servers, 300, 1, 0),
    rate(Kind::PostgresAbandoned, Track::Servers, 200, 1, 0),
    rate(Kind::PostgresReadOnly, Track::Servers, 300, 1, 0),
    rate(Kind::ThreadRefused, Track::Intercom, 60, 1, 0),
    rate(Kind::ThreadNotFound, Track::Intercom, 60, 1, 0),
    rate(Kind::ThreadGone, Track::Intercom, 60, 1, 0),
    rate(Kind::ListRefused, Track::Intercom, 60, 1, 0),
    rate(Kind::ProxyPage, Track::Intercom, 60, 1, 0),
    rate(Kind::ContactChokes, Track::Intercom, 60, 1, 0),
    rate(Kind::SublistFails, Track::Intercom, 60, 1, 0),
    rate(Kind::ReferenceFails, Track::Intercom, 60, 1, 0),
];

impl Faults {
    fn rates(self) -> impl Iterator<Item = &'static Rate> {
        let rough: &'static [Rate] = match self {
            Self::Basic => &[],
            Self::All => &ROUGH_RATES,
        };
        RATES.iter().chain(rough)
    }
}

impl Rate {
    fn wanted(&self, time: Duration) -> u64 {
        let seconds = time.as_secs();
        if seconds < self.from_seconds {
            0
        } else {
            (seconds / self.every_seconds).max(self.at_least)
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WorkerKilled => "worker: kill -9 in mid-slice",
            Self::WorkerTerminated => "worker: SIGTERM in mid-slice",
            Self::WorkerFrozen => "worker: SIGSTOP past its lease, CONT",
            Self::WorkerPaused => "worker: SIGSTOP for 4 s, CONT",
            Self::SchedulerKilled => "scheduler: kill -9",
            Self::RedisKilled => "redis: kill -9, empty restart",
            Self::RedisStopped1s => "redis: stopped for 1 s",
            Self::RedisStopped5s => "redis: stopped for 5 s",
            Self::RedisStopped60s => "redis: stopped for 60 s",
            Self::RedisConnectionsCut => "redis: every connection cut",
            Self::PostgresFast => "postgres: fast restart",
            Self::PostgresImmediate => "postgres: immediate restart",
            Self::PostgresKilled => "postgres: kill -9, restart",
            Self::PostgresConnectionsCut => "postgres: every session terminated",
            Self::Intercom5xx => "intercom: 500, 502, 503",
            Self::IntercomTimeout => "intercom: answers after the time limit",
            Self::IntercomSlowBody => "intercom: slow bodies",
            Self::IntercomReset => "intercom: connections reset",
            Self::IntercomTruncated => "intercom: bodies cut short",
            Self::RedisFrozen => "redis: frozen, sockets open",
            Self::RedisAbandoned => "redis: old sockets silent for ever",
            Self::RedisReadOnly => "redis: read-only, as a replica",
            Self::RedisFull => "redis: out of memory",
            Self::PostgresFrozen => "postgres: frozen, sockets open",
            Self::PostgresAbandoned => "postgres: old sockets silent for ever",
            Self::PostgresReadOnly => "postgres: read-only",
            Self::ThreadRefused => "intercom: threads refused (401, 403)",
            Self::ThreadNotFound => "intercom: a thread not found once",
            Self::ThreadGone => "intercom: a thread gone (410) once",
            Self::ListRefused => "intercom: a list refused once",
            Self::ProxyPage => "intercom: pages of a proxy",
            Self::ContactChokes => "intercom: one contact breaks its pages",
            Self::SublistFails => "intercom: a contact's companies fail",
            Self::ReferenceFails => "intercom: one reference list fails",
        })
    }
}

/// What became of a kind.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Count {
    pub(crate) kind: Kind,
    pub(crate) wanted: u64,
    pub(crate) done: u64,
    /// Done, and proven to have hit: see each fault for its proof.
    pub(crate) hit: u64,
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
) -> Result<Broken, Failure> {
    let counts = faults
        .rates()
        .map(|rate| Count {
            kind: rate.kind,
            wanted: rate.wanted(time),
            done: 0,
            hit: 0,
        })
        .collect();
    let stage = Stage {
        world,
        calm: tokio::sync::Mutex::new(()),
        broken: Arc::new(Mutex::new(Broken {
            counts,
            ..Broken::default()
        })),
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
            .map(|kind| usual(*kind, stage.freeze))
            .sum::<Duration>()
            + usual(kind, stage.freeze);
        let pause = left.saturating_sub(needed) / (deck.len() as u32 + 1);
        tokio::time::sleep(pause.mul_f64(rng.random_range(0.3..1.5)).min(left)).await;
        let hit = match track {
            Track::Processes => processes::strike(stage, kind, &mut rng).await?,
            Track::Servers => servers::strike(stage, kind, &mut rng).await?,
            Track::Intercom => intercom::strike(stage, kind, &mut rng).await?,
        };
        stage.done(kind, hit);
        if !hit && again > 0 {
            again -= 1;
            deck.insert(0, kind);
        }
    }
    Ok(())
}

/// How long a fault takes, about.
fn usual(kind: Kind, freeze: Duration) -> Duration {
    match kind {
        Kind::WorkerKilled | Kind::SchedulerKilled => Duration::from_millis(1_200),
        Kind::WorkerFrozen => freeze + Duration::from_secs(3),
        Kind::WorkerPaused => Duration::from_secs(8),
        Kind::RedisStopped5s => Duration::from_secs(7),
        Kind::RedisStopped60s => Duration::from_secs(63),
        Kind::RedisFrozen
        | Kind::RedisReadOnly
        | Kind::RedisFull
        | Kind::PostgresFrozen
        | Kind::PostgresReadOnly => Duration::from_secs(30),
        Kind::RedisAbandoned | Kind::PostgresAbandoned => Duration::from_secs(15),
        _ => Duration::from_secs(2),
    }
}
