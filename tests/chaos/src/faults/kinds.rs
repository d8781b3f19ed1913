//! The kinds of faults: what each is called, how often it comes, and how long it takes.

use std::{fmt, time::Duration};

use serde::Serialize;

use Kind::*;
use Track::{Intercom, Processes, Servers};

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
    SchedulerFrozen,
    ApiKilled,
    RedisFrozen,
    /// The old connections stay silent for ever, and new ones are served.
    RedisAbandoned,
    RedisRefused,
    RedisReadOnly,
    RedisDenied,
    RedisFull,
    PostgresFrozen,
    PostgresAbandoned,
    PostgresRefused,
    PostgresReadOnly,
    /// What a server's own time limit does.
    PostgresCancels,
    /// One conversation, or a few, that may not be read.
    ThreadRefused,
    ThreadNotFound,
    ThreadGone,
    /// A list that is refused once or twice.
    ListRefused,
    /// A page of a proxy, with any status.
    ProxyPage,
    /// 200, and not what the endpoint gives.
    NoPage,
    /// Pages that name themselves as the next one, or are in another order.
    OddPages,
    /// 429, with every kind of `Retry-After`.
    Throttled,
    /// One object of a page is broken.
    ObjectBroken,
    /// An object without the lists that belong to it.
    SublistMissing,
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

/// What is broken. Each track has faults of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Track {
    Processes,
    Servers,
    Intercom,
}

/// How often a kind comes.
pub(super) struct Rate {
    pub(super) kind: Kind,
    pub(super) track: Track,
    name: &'static str,
    /// How long a fault takes, about, in milliseconds. That of a frozen worker comes on top of its freeze.
    takes: u64,
    /// Once in so many seconds.
    every: u64,
    /// At least so often, if the run is long enough.
    at_least: u64,
    /// Not in runs shorter than this, in seconds.
    from: u64,
}

const fn rate(kind: Kind, track: Track, every: u64, takes: u64, name: &'static str) -> Rate {
    Rate {
        kind,
        track,
        name,
        takes,
        every,
        at_least: 1,
        from: 0,
    }
}

impl Rate {
    const fn at_least(mut self, times: u64) -> Self {
        self.at_least = times;
        self
    }

    const fn from(mut self, seconds: u64) -> Self {
        self.from = seconds;
        self
    }

    pub(super) fn wanted(&self, time: Duration) -> u64 {
        let seconds = time.as_secs();
        if seconds < self.from {
            0
        } else {
            (seconds / self.every).max(self.at_least)
        }
    }

    /// How long a fault takes, about.
    pub(super) fn takes(&self, freeze: Duration) -> Duration {
        let takes = Duration::from_millis(self.takes);
        if self.kind == WorkerFrozen {
            takes + freeze
        } else {
            takes
        }
    }
}

#[rustfmt::skip] // A table.
const RATES: [Rate; 19] = [
    rate(WorkerKilled, Processes, 7, 1_200, "worker: kill -9 in mid-slice").at_least(2),
    rate(WorkerTerminated, Processes, 45, 2_000, "worker: SIGTERM in mid-slice"),
    rate(WorkerFrozen, Processes, 120, 3_000, "worker: SIGSTOP past its lease, CONT"),
    rate(WorkerPaused, Processes, 120, 8_000, "worker: SIGSTOP for 3 s, CONT").from(60),
    rate(SchedulerKilled, Processes, 60, 1_200, "scheduler: kill -9"),
    rate(RedisKilled, Servers, 30, 2_000, "redis: kill -9, empty restart"),
    rate(RedisStopped1s, Servers, 90, 2_000, "redis: stopped for 1 s"),
    rate(RedisStopped5s, Servers, 180, 7_000, "redis: stopped for 5 s").from(15),
    rate(RedisStopped60s, Servers, 600, 63_000, "redis: stopped for 60 s").from(240),
    rate(RedisConnectionsCut, Servers, 60, 2_000, "redis: every connection cut"),
    rate(PostgresFast, Servers, 180, 2_000, "postgres: fast restart"),
    rate(PostgresImmediate, Servers, 180, 2_000, "postgres: immediate restart"),
    rate(PostgresKilled, Servers, 180, 2_000, "postgres: kill -9, restart").from(60),
    rate(PostgresConnectionsCut, Servers, 60, 2_000, "postgres: every session terminated"),
    rate(Intercom5xx, Intercom, 30, 2_000, "intercom: 500, 502, 503"),
    rate(IntercomTimeout, Intercom, 60, 2_000, "intercom: answers after the time limit"),
    rate(IntercomSlowBody, Intercom, 60, 2_000, "intercom: slow bodies"),
    rate(IntercomReset, Intercom, 60, 2_000, "intercom: connections reset"),
    rate(IntercomTruncated, Intercom, 60, 2_000, "intercom: bodies cut short"),
];

/// Only with `--faults all`. A server that is away as a whole takes the track's time, so these come rarely.
#[rustfmt::skip] // A table.
const ROUGH_RATES: [Rate; 26] = [
    rate(SchedulerFrozen, Processes, 200, 14_000, "scheduler: SIGSTOP for 12 s, CONT"),
    rate(ApiKilled, Processes, 200, 2_000, "api: kill -9"),
    rate(RedisFrozen, Servers, 600, 30_000, "redis: frozen, sockets open"),
    rate(RedisAbandoned, Servers, 300, 15_000, "redis: old sockets silent for ever"),
    rate(RedisRefused, Servers, 600, 20_000, "redis: port closed"),
    rate(RedisReadOnly, Servers, 600, 30_000, "redis: read-only, as a replica"),
    rate(RedisDenied, Servers, 600, 20_000, "redis: the login may not write"),
    rate(RedisFull, Servers, 600, 30_000, "redis: out of memory"),
    rate(PostgresFrozen, Servers, 600, 30_000, "postgres: frozen, sockets open"),
    rate(PostgresAbandoned, Servers, 300, 15_000, "postgres: old sockets silent for ever"),
    rate(PostgresRefused, Servers, 600, 20_000, "postgres: port closed"),
    rate(PostgresReadOnly, Servers, 600, 20_000, "postgres: read-only"),
    rate(PostgresCancels, Servers, 300, 5_000, "postgres: every statement cancelled"),
    rate(ThreadRefused, Intercom, 90, 2_000, "intercom: threads refused (401, 403)"),
    rate(ThreadNotFound, Intercom, 90, 2_000, "intercom: a thread not found once"),
    rate(ThreadGone, Intercom, 90, 2_000, "intercom: a thread gone (410) once"),
    rate(ListRefused, Intercom, 90, 2_000, "intercom: a list refused once"),
    rate(ProxyPage, Intercom, 90, 2_000, "intercom: pages of a proxy"),
    rate(NoPage, Intercom, 90, 2_000, "intercom: 200 and no page"),
    rate(OddPages, Intercom, 90, 2_000, "intercom: pages in no order"),
    rate(Throttled, Intercom, 90, 2_000, "intercom: 429, any Retry-After"),
    rate(ObjectBroken, Intercom, 90, 2_000, "intercom: one object of a page is broken"),
    rate(SublistMissing, Intercom, 90, 2_000, "intercom: objects without their lists"),
    rate(ContactChokes, Intercom, 180, 8_000, "intercom: one contact breaks its pages"),
    rate(SublistFails, Intercom, 90, 2_000, "intercom: a contact's companies fail"),
    rate(ReferenceFails, Intercom, 90, 3_000, "intercom: one reference list fails"),
];

impl Faults {
    pub(super) fn rates(self) -> impl Iterator<Item = &'static Rate> {
        let rough: &'static [Rate] = match self {
            Self::Basic => &[],
            Self::All => &ROUGH_RATES,
        };
        RATES.iter().chain(rough)
    }
}

impl Kind {
    pub(super) fn rate(self) -> &'static Rate {
        let mut rates = Faults::All.rates();
        rates
            .find(|rate| rate.kind == self)
            .expect("every kind has a rate")
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.rate().name)
    }
}
