//! The ledgers of all budgets in one Redis, and the script that is one call to a ledger.

use std::{sync::Arc, time::Duration};

use redis::{RedisError, Script};

use super::fleet_use::FleetUse;
use super::protocol::{LedgerReply, LedgerRequest, RawLedgerReply};
use crate::{
    config::Config,
    link::{RedisConnection, RedisServer, timed_out},
};

/// The ledger's script. README.md says what each part does.
pub const LEDGER_SCRIPT: &str = concat!(
    include_str!("ledger/state.lua"),
    include_str!("ledger/clock.lua"),
    include_str!("ledger/window.lua"),
    include_str!("ledger/settle.lua"),
    include_str!("ledger/grant.lua"),
    include_str!("ledger/call.lua"),
);

/// A call that takes longer fails, so that no slice hangs on Redis.
const TIMEOUT: Duration = Duration::from_millis(500);

/// The ledgers of all budgets. Cheap to clone.
#[derive(Clone)]
pub(super) struct Ledger {
    redis: RedisConnection,
    script: Arc<Script>,
    prefix: Arc<str>,
    /// Names this process among those that share a budget. It changes with each start.
    process: Arc<str>,
    max_share: f64,
    fleet_use: FleetUse,
}

impl Ledger {
    /// Opens the ledgers. The first connection is made at the first call, because Redis may be away.
    ///
    /// # Errors
    /// If the URL cannot be used.
    pub(super) fn open(config: &Config) -> Result<Self, RedisError> {
        let redis = RedisConnection::shared(&RedisServer::of(config), TIMEOUT)?;
        let prefix: Arc<str> = config.redis_prefix.as_str().into();
        Ok(Self {
            fleet_use: FleetUse::new(redis.clone(), Arc::clone(&prefix)),
            redis,
            script: Arc::new(Script::new(LEDGER_SCRIPT)),
            prefix,
            process: uuid::Uuid::new_v4().simple().to_string().into(),
            max_share: config.intercom.max_share,
        })
    }

    /// What the fleet uses of all budgets.
    pub(super) const fn fleet_use(&self) -> &FleetUse {
        &self.fleet_use
    }

    pub(super) const fn max_share(&self) -> f64 {
        self.max_share
    }

    /// One call to the ledger of a budget.
    ///
    /// # Errors
    /// If Redis fails or takes longer than half a second. The script may have run all the same.
    pub(super) async fn call(
        &self,
        budget: &str,
        request: &LedgerRequest,
    ) -> Result<LedgerReply, RedisError> {
        let started_at = std::time::Instant::now();
        let mut script = self.script.prepare_invoke();
        // Each budget has its own hash tag, so that budgets spread over the nodes of a cluster.
        script.key(format!(
            "{}:{{rate:{}}}",
            self.prefix,
            budget.replace(['{', '}'], "_")
        ));
        // Times are ages, so the script needs no clock but Redis' own.
        for argument in request.arguments(&self.process, self.max_share) {
            script.arg(argument);
        }
        let mut redis = self.redis.clone();
        let reply =
            tokio::time::timeout(TIMEOUT, script.invoke_async::<RawLedgerReply>(&mut redis));
        let reply = reply.await;
        metrics::histogram!("pathbound_redis_op_duration_seconds", "op" => "rate")
            .record(started_at.elapsed().as_secs_f64());
        match reply {
            Ok(reply) => reply.map(LedgerReply::from),
            Err(_) => Err(timed_out()),
        }
    }
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
