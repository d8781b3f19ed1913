//! What can happen to the queue, and what it is held against.

use std::{fmt, ops::Range};

use shared::queue::{PauseScope, Ticket};

/// Something that happened, with the recorder's time in milliseconds.
#[derive(Clone, Debug)]
pub struct Event {
    pub at: i64,
    pub what: What,
}

/// What can happen.
#[derive(Clone, Debug)]
pub enum What {
    /// Pages of a ticket's work are owed from now on.
    Owed {
        ticket: Ticket,
        pages: Range<u64>,
    },
    /// A push took effect in Redis.
    Pushed {
        ticket: Ticket,
    },
    /// Redis gave a lease, whether its reply arrived or not.
    Leased {
        ticket: Ticket,
        fence: i64,
        crashes: u32,
    },
    /// A worker was told that its lease is renewed.
    Renewed {
        ticket: Ticket,
        fence: i64,
    },
    /// Redis took a settlement for the lease's own.
    Settled {
        ticket: Ticket,
        fence: i64,
        end: End,
    },
    /// Redis took a lease back.
    Reaped {
        ticket: Ticket,
        fence: i64,
    },
    /// A page was written to Postgres.
    Effect {
        ticket: Ticket,
        page: u64,
        fence: i64,
    },
    /// A pause or its end was acknowledged.
    Paused {
        scope: PauseScope,
    },
    Resumed {
        scope: PauseScope,
    },
    /// Redis was emptied.
    Flushed,
    /// From now on nothing breaks, as far as the recorder has a say in it.
    Quiet,
    /// Something broke after all, such as a worker that died of its work. The time to idle counts from the last
    /// one. No other law is any laxer for it.
    Fault,
    /// Nothing is owed and nothing is under way. It says what Redis still holds beyond its constant keys.
    Idle {
        left_in_redis: Vec<String>,
    },
}

/// How a lease ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Done,
    Requeue,
    Snooze(i64),
    Release,
}

/// What the history is held against. None switches a rule off.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    /// Leases that a tenant may have at once.
    pub cap: Option<usize>,
    /// A lease's life, in milliseconds. No lease is reaped sooner after a renewal.
    pub lease: Option<i64>,
    /// A ticket that could be leased must not see more leases of its class go to others than this many per
    /// tenant of the history.
    pub turns: Option<usize>,
    /// In the quiet, a ticket that could be leased is, within this many milliseconds.
    pub wait: Option<i64>,
    /// From the last fault to idle, in milliseconds.
    pub idle_within: Option<i64>,
}

/// A law that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub law: &'static str,
    pub what: String,
    /// Which event showed it.
    pub event: usize,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (event {}): {}", self.law, self.event, self.what)
    }
}

impl What {
    pub(super) const fn ticket(&self) -> Option<Ticket> {
        match self {
            Self::Owed { ticket, .. }
            | Self::Pushed { ticket }
            | Self::Leased { ticket, .. }
            | Self::Renewed { ticket, .. }
            | Self::Settled { ticket, .. }
            | Self::Reaped { ticket, .. }
            | Self::Effect { ticket, .. } => Some(*ticket),
            _ => None,
        }
    }
}
