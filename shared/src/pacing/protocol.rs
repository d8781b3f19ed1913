//! What a process sends to the ledger, and what the ledger replies. Both are lists of numbers on the wire.

use std::time::Duration;

use redis::ToRedisArgs;

use super::headers::RateLimitHeaders;
use crate::domain::Class;

/// One call to the ledger: reports of responses, unused permits, and the permits that the process asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LedgerRequest {
    /// The class of the permits. `None` reads the ledger and changes nothing.
    pub class: Option<Class>,
    pub requested: u32,
    pub reports: Vec<CallReport>,
    /// Permits that were not used, by the tick of their grant.
    pub unused: Vec<(i64, u32)>,
}

/// A finished call to Intercom. Times are ages, so that no two clocks have to agree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CallReport {
    /// The tick of the permit's grant, or 0 for a call without a permit.
    pub tick: i64,
    pub sent_ago: Duration,
    pub received_ago: Duration,
    /// The response was a 429.
    pub refused: bool,
    pub headers: RateLimitHeaders,
}

/// The ledger's reply.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LedgerReply {
    pub granted: u32,
    /// The tick of the grant.
    pub tick: i64,
    /// A permit is void after this time.
    pub valid: Duration,
    /// When to ask again if nothing was granted.
    pub wait: Duration,
    pub status: BudgetStatus,
    /// Processes that called the ledger in the last 15 seconds.
    pub processes: u32,
    /// 429s among the reports, by cause.
    pub throttled: ThrottleCauses,
    /// If a window ended with this call, the share of its limit that was used.
    pub closed: Option<f64>,
    /// The calls of the window so far. `None` until the window is known.
    pub window: Option<WindowUse>,
}

/// The state of a budget now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BudgetStatus {
    /// Calls per window, by the last header.
    pub limit: u32,
    /// The fleet's share of the limit.
    pub allowed: u32,
    /// Calls that Intercom counted in the window, those of other apps included.
    pub used: u32,
    /// Time until the window's end, or `None` while it is not known.
    pub reset_in: Option<Duration>,
}

/// 429s by cause: calls of the fleet beyond the limit, calls of other apps, and calls before the window was known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThrottleCauses {
    pub own: u32,
    pub foreign: u32,
    pub cold: u32,
}

/// The calls of one window of one budget, as the whole fleet reported them so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowUse {
    /// The window's end, in Unix seconds of Intercom's clock.
    pub reset: i64,
    pub limit: u32,
    /// Calls that Intercom counted.
    pub used: u32,
    /// Calls of the fleet.
    pub own: u32,
    /// Counted calls that neither the fleet's reports nor its open permits explain. 0 while the ledger is new.
    pub foreign: u32,
}

/// The ledger's reply as Redis sends it.
pub type RawLedgerReply = [i64; 17];

impl LedgerRequest {
    /// The script's arguments, in the order that `ledger/state.lua` documents.
    #[must_use]
    pub fn arguments(&self, process: &str, max_share: f64) -> Vec<Vec<u8>> {
        let mut arguments = Vec::with_capacity(6 + 9 * self.reports.len() + 2 * self.unused.len());
        process.write_redis_args(&mut arguments);
        max_share.write_redis_args(&mut arguments);
        self.class
            // The script then grants nothing and forgets nothing.
            .map_or("look", Class::as_str)
            .write_redis_args(&mut arguments);
        self.requested.write_redis_args(&mut arguments);
        self.reports.len().write_redis_args(&mut arguments);
        self.unused.len().write_redis_args(&mut arguments);
        for number in self.reports.iter().flat_map(CallReport::numbers) {
            number.write_redis_args(&mut arguments);
        }
        for (tick, count) in &self.unused {
            tick.write_redis_args(&mut arguments);
            count.write_redis_args(&mut arguments);
        }
        arguments
    }
}

impl CallReport {
    fn numbers(&self) -> [i64; 9] {
        // -1 stands for a missing header, because Redis arguments have no null.
        let header = |value: Option<u64>| {
            value
                .and_then(|value| i64::try_from(value).ok())
                .unwrap_or(-1)
        };
        [
            self.tick,
            milliseconds(self.sent_ago),
            milliseconds(self.received_ago),
            i64::from(self.refused),
            header(self.headers.limit),
            header(self.headers.remaining),
            header(self.headers.reset),
            header(self.headers.date),
            self.headers.retry_after.map_or(-1, milliseconds),
        ]
    }
}

impl From<RawLedgerReply> for LedgerReply {
    fn from(reply: RawLedgerReply) -> Self {
        let [
            granted,
            tick,
            valid,
            wait,
            limit,
            used,
            reset_in,
            processes,
            ..,
        ] = reply;
        let [
            ..,
            own_429,
            foreign_429,
            cold_429,
            closed_used,
            closed_limit,
            allowed,
            _,
            _,
            _,
        ] = reply;
        let [.., reset, own, foreign] = reply;
        Self {
            granted: count(granted),
            tick,
            valid: Duration::from_millis(valid.unsigned_abs()),
            wait: Duration::from_millis(u64::try_from(wait).unwrap_or(0)),
            status: BudgetStatus {
                limit: count(limit),
                allowed: count(allowed),
                used: count(used),
                reset_in: u64::try_from(reset_in).ok().map(Duration::from_millis),
            },
            // The caller counts itself, even if the ledger was emptied meanwhile.
            processes: count(processes).max(1),
            throttled: ThrottleCauses {
                own: count(own_429),
                foreign: count(foreign_429),
                cold: count(cold_429),
            },
            // The script sends -1 when no window ended.
            closed: (closed_used >= 0 && closed_limit > 0)
                .then(|| closed_used as f64 / closed_limit as f64),
            window: (reset >= 0).then(|| WindowUse {
                reset,
                limit: count(limit),
                used: count(used),
                own: count(own),
                foreign: count(foreign),
            }),
        }
    }
}

fn count(number: i64) -> u32 {
    u32::try_from(number.max(0)).unwrap_or(u32::MAX)
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
