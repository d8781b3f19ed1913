//! What happens to a connection: drawn from a seed, so that it can be told again, and shortened.

use intercom_simulator::{Change, Fault, Kind, Mutation, ScrollEnd, WorkspaceSpec};
use shared::{
    domain::{Mode, Stream},
    store::AfterDisconnect,
};

use simulation::rng::Rng;

use super::faults;
use crate::support::OBJECTS;

/// One thing that happens.
#[derive(Clone, Debug)]
pub(super) enum Op {
    /// Work in Intercom, at this very second.
    Change(Mutation),
    /// A person or the clock asks for a run.
    Request {
        mode: Mode,
        streams: &'static [Stream],
    },
    /// So many slices end, each of a stream that is due.
    Slices {
        count: u32,
        seed: u64,
    },
    /// A slice of every stream that is due, at once.
    AllAtOnce,
    /// Everything that is due ends, and what waits for minutes too.
    Work,
    /// Calls that will break.
    Break(Fault),
    /// One conversation breaks every page that would show it.
    Choke {
        nth: usize,
        status: u16,
    },
    /// Nothing breaks any more.
    Heal,
    /// `kill -9` while the call after so many is under way.
    Kill {
        after: u64,
    },
    /// The worker is stopped there, loses its leases, and goes on later.
    Freeze {
        after: u64,
    },
    /// The worker starts again, and Redis has lost everything.
    Flush,
    Pass {
        seconds: u64,
    },
    /// The slow timers are due.
    PassWeek,
    /// The customer connects the workspace once more.
    Reconnect,
    /// The product backend ends the connection.
    Disconnect(Disconnect),
}

/// The end of a connection, for now or for ever.
#[derive(Clone, Copy, Debug)]
pub(super) struct Disconnect {
    pub(super) data: AfterDisconnect,
    /// While the call after so many is under way, or between two slices if `None`.
    pub(super) after: Option<u64>,
    /// That call's answer comes so much later than the request: before, while or after the connection ends.
    pub(super) millis: u64,
    /// The slices under way end before anything else happens. Else they may meet the next connection.
    pub(super) waits: bool,
}

/// A life of a connection.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) spec: WorkspaceSpec,
    pub(super) version: &'static str,
    pub(super) ops: Vec<Op>,
    pub(super) ending: Ending,
}

/// What is asked of a life's last moment.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ending {
    /// An exact copy, once nothing breaks any more and walks have repaired what no poll shows.
    Repaired,
    /// An exact copy, as soon as nothing is due: no walk had to repair what a fault has cost.
    AtRest,
    /// The connection ends, wherever it is.
    Disconnected(Disconnect),
}

impl Plan {
    pub(super) fn draw(seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0x5052_4f50);
        let is_large = rng.chance(40);
        let spec = spec(&mut rng, seed, is_large);
        let version = *rng.pick(&["2.15", "2.16", "2.16", "2.16", "2.17"]);
        let mut ops: Vec<Op> = (0..rng.between(5, 18))
            .map(|_| op(&mut rng, is_large))
            .collect();
        // What would be seldom met, early, when there is most under way.
        for what in [
            Op::Break(faults::time_out(&mut rng)),
            Op::Disconnect(disconnect(&mut rng)),
        ] {
            if rng.chance(50) {
                ops.insert(rng.between(0, ops.len() as i64 / 2) as usize, what);
            }
        }
        let ending = if rng.chance(25) {
            Ending::Disconnected(disconnect(&mut rng))
        } else {
            Ending::Repaired
        };
        Self {
            spec,
            version,
            ops: connected_again(ops, &mut rng),
            ending,
        }
    }

    /// These things, to the least workspace that has everything.
    pub(super) fn of(ops: Vec<Op>) -> Self {
        let spec = WorkspaceSpec {
            cursor_ttl_seconds: None,
            ..spec(&mut Rng::new(0), 0, false)
        };
        Self {
            spec,
            version: "2.16",
            ops,
            ending: Ending::Repaired,
        }
    }
}

/// A customer who disconnects connects again before long. What happens meanwhile is the history to catch up with.
fn connected_again(ops: Vec<Op>, rng: &mut Rng) -> Vec<Op> {
    let (mut all, mut again) = (Vec::with_capacity(ops.len()), None);
    for op in ops {
        if matches!(op, Op::Disconnect(_)) {
            again = Some(rng.between(0, 4));
        }
        all.push(op);
        again = again.and_then(|left| {
            if left == 0 {
                all.push(Op::Reconnect);
            }
            (left > 0).then(|| left - 1)
        });
    }
    all
}

fn disconnect(rng: &mut Rng) -> Disconnect {
    Disconnect {
        data: if rng.chance(70) {
            AfterDisconnect::Retain
        } else {
            AfterDisconnect::Purge
        },
        after: rng.chance(75).then(|| rng.between(0, 12) as u64),
        millis: *rng.pick(&[1, 5, 20, 200]),
        waits: rng.chance(60),
    }
}

fn spec(rng: &mut Rng, seed: u64, is_large: bool) -> WorkspaceSpec {
    // More than a page of everything, or the least that has everything.
    let (contacts, companies, conversations, parts) = if is_large {
        (153, 102, 153, 0.0)
    } else {
        (7, 4, 5, 3.0)
    };
    WorkspaceSpec {
        seed: seed + 1,
        contacts,
        companies,
        conversations,
        parts,
        admins: 2,
        teams: 1,
        tags: 12,
        segments: 1,
        leads: 0.4,
        contacts_over_10_companies: if is_large { 0.02 } else { 0.0 },
        contacts_over_10_tags: 0.0,
        companies_without_users: if rng.chance(30) { 0.3 } else { 0.0 },
        scroll_end: if rng.chance(20) {
            ScrollEnd::NotFound
        } else {
            ScrollEnd::EmptyPage
        },
        survivor_moves: rng.chance(75),
        cursor_ttl_seconds: rng.chance(20).then_some(30),
        conversation_bounds_inclusive: rng.chance(30),
        parts_total_is_full: rng.chance(75),
        retry_after: rng.chance(30),
        limit_per_window: 100_000,
        ..WorkspaceSpec::default()
    }
}

fn op(rng: &mut Rng, is_large: bool) -> Op {
    match rng.between(0, 100) {
        0..32 => change(rng, is_large),
        32..44 => request(rng),
        44..54 => Op::Slices {
            count: rng.between(1, 6) as u32,
            seed: rng.next(),
        },
        54..60 => Op::AllAtOnce,
        60..66 => Op::Work,
        66..77 => Op::Break(faults::fault(rng)),
        77..80 => Op::Break(faults::time_out(rng)),
        80..82 => Op::Choke {
            nth: rng.between(0, 150) as usize,
            status: *rng.pick(&[404, 500]),
        },
        82..84 => Op::Heal,
        84..90 => Op::Kill {
            after: rng.between(0, 9) as u64,
        },
        90..93 => Op::Freeze {
            after: rng.between(0, 9) as u64,
        },
        93..95 => Op::Flush,
        95..97 => Op::Pass {
            seconds: *rng.pick(&[1, 3, 31, 62, 400, 4_000]),
        },
        97..98 => Op::Disconnect(disconnect(rng)),
        98..99 => Op::PassWeek,
        _ => Op::Reconnect,
    }
}

fn change(rng: &mut Rng, is_large: bool) -> Op {
    let (change, kind) = *rng.pick(&[
        (Change::Update, Kind::Contact),
        (Change::Update, Kind::Contact),
        (Change::Add, Kind::Contact),
        (Change::Grow, Kind::Contact),
        (Change::Delete, Kind::Contact),
        (Change::Archive, Kind::Contact),
        (Change::Unarchive, Kind::Contact),
        (Change::Merge, Kind::Contact),
        (Change::Update, Kind::Company),
        (Change::Add, Kind::Company),
        (Change::Grow, Kind::Company),
        (Change::Delete, Kind::Company),
        (Change::Update, Kind::Conversation),
        (Change::Update, Kind::Conversation),
        (Change::Add, Kind::Conversation),
        (Change::Grow, Kind::Conversation),
        (Change::Grow, Kind::Conversation),
        (Change::Redact, Kind::Conversation),
        (Change::Delete, Kind::Conversation),
        (Change::Merge, Kind::Conversation),
    ]);
    // Endings in great number would leave nothing to change.
    let is_ending = matches!(change, Change::Delete | Change::Archive | Change::Merge);
    let most = if is_large && !is_ending { 60 } else { 3 };
    // Twice this many parts are more than Intercom shows.
    let parts = if rng.chance(10) {
        270
    } else {
        rng.between(1, 4) as u32
    };
    let mutation = Mutation::new(change, kind, rng.between(1, most) as u32).parts(parts);
    Op::Change(mutation.seed(rng.next() % 1_000))
}

fn request(rng: &mut Rng) -> Op {
    let mode = *rng.pick(&[
        Mode::Incremental,
        Mode::Incremental,
        Mode::Full,
        Mode::Reconcile,
    ]);
    let streams = *rng.pick(&[
        OBJECTS,
        Stream::ALL,
        &[Stream::Contacts],
        &[Stream::Conversations, Stream::Threads],
    ]);
    Op::Request { mode, streams }
}
