//! The scripts as methods.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use redis::{
    AsyncConnectionConfig, Client, RedisError, Script,
    aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection},
};

use super::{Lease, QueueError, Ticket, Verdict};
use crate::{
    config::Config,
    domain::{Class, Secret},
};

/// How long a lease lasts without renewal, and so how long a dead worker's work waits at most (plus a sweep).
pub(super) const LEASE: Duration = Duration::from_secs(6);

/// A command that takes longer has lost its server.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);

/// The queue in one Redis. Cheap to clone.
#[derive(Clone)]
pub struct Queue {
    client: Client,
    redis: ConnectionManager,
    scripts: Arc<Scripts>,
    /// First part of every key, in braces: one hash slot, so that the scripts also run on a cluster.
    prefix: Arc<str>,
}

struct Scripts {
    push: Script,
    claim: Script,
    settle: Script,
    renew: Script,
    sweep: Script,
    raise_fence: Script,
}

/// How many tickets there are, by what they wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Every live ticket.
    pub live: u64,
    /// Tenants with a ready fresh ticket, and with a ready backfill ticket.
    pub fresh_tenants: u64,
    pub backfill_tenants: u64,
    pub parked: u64,
    pub leased: u64,
}

/// What a claim brought.
pub(super) struct Claimed {
    pub leases: Vec<(String, i64)>,
    /// When the next parked ticket becomes ready.
    pub next_parked: Option<Duration>,
}

impl Queue {
    /// # Errors
    /// When the URL cannot be used. The first connection is made in the background: Redis may be away.
    pub fn connect(config: &Config) -> Result<Self, QueueError> {
        Self::open(&config.redis_url, &config.redis_prefix)
    }

    /// # Errors
    /// When the URL cannot be used.
    pub fn open(url: &Secret, prefix: &str) -> Result<Self, QueueError> {
        let client = Client::open(url.expose())?;
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(RESPONSE_TIMEOUT))
            .set_connection_timeout(Some(RESPONSE_TIMEOUT))
            .set_max_delay(Duration::from_millis(500));
        Ok(Self {
            redis: ConnectionManager::new_lazy_with_config(client.clone(), config)?,
            client,
            scripts: Arc::new(Scripts {
                push: Script::new(include_str!("scripts/push.lua")),
                claim: Script::new(include_str!("scripts/claim.lua")),
                settle: Script::new(include_str!("scripts/settle.lua")),
                renew: Script::new(include_str!("scripts/renew.lua")),
                sweep: Script::new(include_str!("scripts/sweep.lua")),
                raise_fence: Script::new(include_str!("scripts/raise_fence.lua")),
            }),
            prefix: format!("{{{prefix}}}").into(),
        })
    }

    /// Makes tickets ready, unless they are live already. Returns how many were not.
    ///
    /// # Errors
    /// When Redis fails; the scheduler will push them again.
    pub async fn push(&self, tickets: &[Ticket]) -> Result<u64, QueueError> {
        if tickets.is_empty() {
            return Ok(0);
        }
        self.timed("push", |mut redis| async move {
            let mut call = self.scripts.push.prepare_invoke();
            call.key(&*self.prefix);
            for ticket in tickets {
                call.arg(ticket.to_string());
            }
            call.invoke_async(&mut redis).await
        })
        .await
    }

    /// Whether this Redis has been filled since it was last empty: the scheduler's mark.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn is_filled(&self) -> Result<bool, QueueError> {
        self.timed("is_filled", |mut redis| async move {
            redis::cmd("EXISTS").arg(self.key("filled")).query_async(&mut redis).await
        })
        .await
    }

    /// Sets the mark, after every owed ticket was pushed.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn mark_filled(&self) -> Result<(), QueueError> {
        self.timed("mark_filled", |mut redis| async move {
            redis::cmd("SET").arg(self.key("filled")).arg(1).query_async(&mut redis).await
        })
        .await
    }

    /// # Errors
    /// When Redis does not answer.
    pub async fn ping(&self) -> Result<(), QueueError> {
        self.timed("ping", |mut redis| async move { redis::cmd("PING").query_async(&mut redis).await }).await
    }

    /// How deep the queue is: O(1) counts only.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn depth(&self) -> Result<Depth, QueueError> {
        let (live, fresh_tenants, backfill_tenants, parked, leased) = self
            .timed("depth", |mut redis| async move {
                redis::pipe()
                    .cmd("HLEN")
                    .arg(self.key("tickets"))
                    .cmd("ZCARD")
                    .arg(self.key(&format!("ring:{}", Class::Fresh)))
                    .cmd("ZCARD")
                    .arg(self.key(&format!("ring:{}", Class::Backfill)))
                    .cmd("ZCARD")
                    .arg(self.key("parked"))
                    .cmd("ZCARD")
                    .arg(self.key("leases"))
                    .query_async(&mut redis)
                    .await
            })
            .await?;
        Ok(Depth { live, fresh_tenants, backfill_tenants, parked, leased })
    }

    /// The next fence will be above `least`: Postgres has seen a higher one than Redis gives.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn raise_fence(&self, least: i64) -> Result<(), QueueError> {
        self.timed("raise_fence", |mut redis| async move {
            self.scripts.raise_fence.key(&*self.prefix).arg(least).invoke_async::<()>(&mut redis).await
        })
        .await
    }

    pub(super) async fn claim(&self, most: usize, most_backfill: usize) -> Result<Claimed, QueueError> {
        let answer: Vec<String> = self
            .timed("claim", |mut redis| async move {
                self.scripts
                    .claim
                    .key(&*self.prefix)
                    .arg(most)
                    .arg(most_backfill.min(most))
                    .arg(LEASE.as_millis() as u64)
                    .invoke_async(&mut redis)
                    .await
            })
            .await?;
        let mut answer = answer.into_iter();
        let next_parked = answer.next().and_then(|wait| wait.parse::<u64>().ok()).map(Duration::from_millis);
        let mut leases = Vec::new();
        while let (Some(ticket), Some(fence)) = (answer.next(), answer.next()) {
            // A fence that is not a number can only be a foreign hand's; 0 is refused by Postgres.
            leases.push((ticket, fence.parse().unwrap_or(0)));
        }
        Ok(Claimed { leases, next_parked })
    }

    /// Ends a lease. False when it was no longer ours.
    pub(super) async fn settle(&self, ticket: &str, fence: i64, verdict: Verdict) -> Result<bool, QueueError> {
        let wait = if let Verdict::Wait(wait) = verdict { wait.as_millis() as u64 } else { 0 };
        self.timed("settle", |mut redis| async move {
            self.scripts
                .settle
                .key(&*self.prefix)
                .arg(ticket)
                .arg(fence)
                .arg(verdict.as_str())
                .arg(wait)
                .invoke_async(&mut redis)
                .await
        })
        .await
    }

    /// Renews leases; returns the tickets that are no longer ours.
    pub(super) async fn renew(&self, leases: &[Lease]) -> Result<Vec<String>, QueueError> {
        self.timed("renew", |mut redis| async move {
            let mut call = self.scripts.renew.prepare_invoke();
            call.key(&*self.prefix).arg(LEASE.as_millis() as u64);
            for lease in leases {
                call.arg(lease.ticket.to_string()).arg(lease.fence);
            }
            call.invoke_async(&mut redis).await
        })
        .await
    }

    /// Takes back what dead workers held.
    pub(super) async fn sweep(&self) -> Result<u64, QueueError> {
        self.timed(
            "sweep",
            |mut redis| async move { self.scripts.sweep.key(&*self.prefix).invoke_async(&mut redis).await },
        )
        .await
    }

    /// A connection of its own for [`Queue::woken`], which blocks it.
    pub(super) async fn listener(&self) -> Result<MultiplexedConnection, QueueError> {
        let config =
            AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(Some(RESPONSE_TIMEOUT));
        Ok(self.client.get_multiplexed_async_connection_with_config(&config).await?)
    }

    /// Waits until somebody pushes, or `most` has passed.
    pub(super) async fn woken(&self, listener: &mut MultiplexedConnection, most: Duration) -> Result<(), QueueError> {
        let seconds = most.as_secs_f64().max(0.001);
        redis::cmd("BLPOP")
            .arg(self.key("wake"))
            .arg(seconds)
            .query_async::<Option<(String, String)>>(listener)
            .await?;
        Ok(())
    }

    fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.prefix)
    }

    async fn timed<T, F>(&self, op: &'static str, command: impl FnOnce(ConnectionManager) -> F) -> Result<T, QueueError>
    where
        F: Future<Output = Result<T, RedisError>>,
    {
        let begun = Instant::now();
        let answer = command(self.redis.clone()).await;
        metrics::histogram!("pathbound_redis_op_duration_seconds", "op" => op).record(begun.elapsed().as_secs_f64());
        Ok(answer?)
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
