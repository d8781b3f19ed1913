//! The fleet's ledger of one budget, as a process asks it: what goes to `ledger.lua`, and what comes back.

use std::time::Duration;

use redis::{FromRedisValue, RedisError, Script, ToRedisArgs};

use super::{RateLimitHeaders, Seen};
use crate::{
    config::Config,
    domain::Class,
    link::{RedisConnection, RedisServer},
};

/// The ledger's script, in its parts.
pub const LEDGER_SCRIPT: &str = concat!(
    include_str!("ledger/state.lua"),
    include_str!("ledger/clock.lua"),
    include_str!("ledger/window.lua"),
    include_str!("ledger/settle.lua"),
    include_str!("ledger/grant.lua"),
    include_str!("ledger/call.lua"),
);

/// A call that takes longer is given up, so that no slice hangs on Redis; what it settled is not sent again.
const PATIENCE: Duration = Duration::from_millis(500);

/// One call: what is known, and what is wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LedgerRequest {
    pub class: Option<Class>,
    /// Permits wanted of that class.
    pub want: u32,
    pub answers: Vec<CallReport>,
    /// Permits that were not used, by the tick of their grant.
    pub unused: Vec<(i64, u32)>,
}

/// A call's answer, as the ledger takes it. Times are ages, so that no two clocks have to agree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CallReport {
    /// The tick of the permit's grant; 0 for a call without one.
    pub tick: i64,
    pub sent_ago: Duration,
    pub got_ago: Duration,
    /// It was a 429.
    pub refused: bool,
    pub headers: RateLimitHeaders,
}

/// What the ledger says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LedgerReply {
    pub granted: u32,
    /// The tick of the grant.
    pub tick: i64,
    /// A permit that was not used by then is void.
    pub valid: Duration,
    /// Nothing granted: when to ask again.
    pub wait: Duration,
    pub status: BudgetStatus,
    /// Processes that asked in the last 15 seconds.
    pub processes: u32,
    /// 429s of the answers that were settled, by cause.
    pub throttled: ThrottleCauses,
    /// A window that ended with this call, by the share of the limit that was used.
    pub closed: Option<f64>,
}

/// How a budget stands now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BudgetStatus {
    /// Calls per window, by the last header.
    pub limit: u32,
    /// Our share of them.
    pub allowed: u32,
    /// Calls that were counted in the window, everybody's.
    pub used: u32,
    /// Until the window's end; `None` while it is not known.
    pub reset_in: Option<Duration>,
}

/// 429s: calls of ours beyond the limit, others' that we could not know of, and those before the window was known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThrottleCauses {
    pub own: u32,
    pub foreign: u32,
    pub cold: u32,
}

/// The ledger's answer as it comes.
pub type RawReply = [i64; 14];

impl LedgerRequest {
    /// The script's arguments. No class looks and changes nothing.
    #[must_use]
    pub fn arguments(&self, process: &str, max_share: f64) -> Vec<Vec<u8>> {
        let mut arguments = Vec::with_capacity(6 + 9 * self.answers.len() + 2 * self.unused.len());
        process.write_redis_args(&mut arguments);
        max_share.write_redis_args(&mut arguments);
        self.class
            .map_or("look", Class::as_str)
            .write_redis_args(&mut arguments);
        self.want.write_redis_args(&mut arguments);
        self.answers.len().write_redis_args(&mut arguments);
        self.unused.len().write_redis_args(&mut arguments);
        let header = |value: Option<u64>| {
            value
                .and_then(|value| i64::try_from(value).ok())
                .unwrap_or(-1)
        };
        for answer in &self.answers {
            for number in [
                answer.tick,
                milliseconds(answer.sent_ago),
                milliseconds(answer.got_ago),
                i64::from(answer.refused),
                header(answer.headers.limit),
                header(answer.headers.remaining),
                header(answer.headers.reset),
                header(answer.headers.date),
                answer.headers.retry_after.map_or(-1, milliseconds),
            ] {
                number.write_redis_args(&mut arguments);
            }
        }
        for (tick, count) in &self.unused {
            tick.write_redis_args(&mut arguments);
            count.write_redis_args(&mut arguments);
        }
        arguments
    }
}

impl From<RawReply> for LedgerReply {
    fn from(reply: RawReply) -> Self {
        let [
            granted,
            tick,
            valid,
            wait,
            limit,
            used,
            reset,
            processes,
            own,
            foreign,
            cold,
            closed,
            of,
            allowed,
        ] = reply;
        Self {
            granted: count(granted),
            tick,
            valid: Duration::from_millis(valid.unsigned_abs()),
            wait: Duration::from_millis(u64::try_from(wait).unwrap_or(0)),
            status: BudgetStatus {
                limit: count(limit),
                allowed: count(allowed),
                used: count(used),
                reset_in: u64::try_from(reset).ok().map(Duration::from_millis),
            },
            processes: count(processes).max(1),
            throttled: ThrottleCauses {
                own: count(own),
                foreign: count(foreign),
                cold: count(cold),
            },
            closed: (closed >= 0 && of > 0).then(|| closed as f64 / of as f64),
        }
    }
}

fn count(number: i64) -> u32 {
    u32::try_from(number.max(0)).unwrap_or(u32::MAX)
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The ledgers of all budgets, in one Redis. Cheap to clone.
#[derive(Clone)]
pub(super) struct Ledger {
    redis: RedisConnection,
    script: std::sync::Arc<Script>,
    app_script: std::sync::Arc<Script>,
    prefix: std::sync::Arc<str>,
    /// This process among those that share a budget; another one after each start.
    process: std::sync::Arc<str>,
    max_share: f64,
}

impl Ledger {
    /// # Errors
    /// When the URL cannot be used. The first connection is made at the first call: Redis may be away.
    pub(super) fn open(config: &Config) -> Result<Self, RedisError> {
        Ok(Self {
            redis: RedisConnection::shared(&RedisServer::of(config), PATIENCE, 1)?,
            script: std::sync::Arc::new(Script::new(LEDGER_SCRIPT)),
            app_script: std::sync::Arc::new(Script::new(include_str!("app.lua"))),
            prefix: config.redis_prefix.as_str().into(),
            process: uuid::Uuid::new_v4().simple().to_string().into(),
            max_share: config.intercom.max_share,
        })
    }

    pub(super) const fn max_share(&self) -> f64 {
        self.max_share
    }

    /// One call for the budget of a workspace.
    ///
    /// # Errors
    /// When Redis fails or takes longer than half a second: whether it settled anything is not known then.
    pub(super) async fn ask(
        &self,
        workspace_id: &str,
        request: &LedgerRequest,
    ) -> Result<LedgerReply, RedisError> {
        let arguments = request.arguments(&self.process, self.max_share);
        Ok(self
            .call::<RawReply>(&self.script, workspace_id, arguments)
            .await?
            .into())
    }

    /// Tells the fleet what this process saw of a window; `None` tells nothing. Returns whether all workspaces share
    /// the app's bucket, as the fleet judges.
    ///
    /// # Errors
    /// When Redis fails or takes longer than half a second.
    pub(super) async fn is_shared(
        &self,
        app: &str,
        seen: Option<&Seen>,
    ) -> Result<bool, RedisError> {
        let arguments = seen.map(Seen::arguments).unwrap_or_default();
        Ok(self.call::<u8>(&self.app_script, app, arguments).await? == 1)
    }

    async fn call<T: FromRedisValue>(
        &self,
        script: &Script,
        budget: &str,
        arguments: Vec<Vec<u8>>,
    ) -> Result<T, RedisError> {
        let begun = std::time::Instant::now();
        let mut call = script.prepare_invoke();
        // One hash tag per budget: on a cluster, budgets spread over the nodes.
        call.key(format!(
            "{{{}:rate:{}}}",
            self.prefix,
            budget.replace(['{', '}'], "_")
        ));
        for argument in arguments {
            call.arg(argument);
        }
        let mut redis = self.redis.clone();
        let reply = tokio::time::timeout(PATIENCE, call.invoke_async::<T>(&mut redis)).await;
        metrics::histogram!("pathbound_redis_op_duration_seconds", "op" => "rate")
            .record(begun.elapsed().as_secs_f64());
        reply.unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
    }
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
