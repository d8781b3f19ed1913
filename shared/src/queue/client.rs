//! The queue as its users see it: push, pause, resume.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use redis::RedisError;

use super::{Heartbeat, PauseScope, QueueError, Ticket, scripts::Scripts};
use crate::{
    config::Config,
    domain::{Class, ConnectionId, Secret, Stream, TenantId},
    link::{RedisConnection, RedisServer, timed_out},
    telemetry::Repeats,
};

/// The most tickets in one call of a script, so that no other client waits long for the server. A poll has four
/// steps, and each takes as many tickets.
pub(super) const BATCH_SIZE: usize = 64;

/// Leases that one tenant may have at once, of both classes together.
const CAP: u32 = 8;

/// A command without an answer for this long fails.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);

/// A probe that is not answered for this long has failed, before whatever probes us gives up.
const PROBE_LIMIT: Duration = Duration::from_secs(2);

/// The queue in one Redis. Cheap to clone.
#[derive(Clone)]
pub struct Queue {
    server: RedisServer,
    redis: RedisConnection,
    scripts: Arc<Scripts>,
    /// First part of every key. Its second half stands in braces, so that all keys share a hash slot and the scripts
    /// run on a cluster too.
    prefix: Arc<str>,
    cap: u32,
    heartbeat: Heartbeat,
    /// Pushes that were left to the scheduler.
    unpushed: Arc<Repeats>,
}

impl Queue {
    /// The queue of the configured Redis. The first call connects, so Redis may be away now.
    ///
    /// # Errors
    /// If the URL cannot be used.
    pub fn connect(config: &Config) -> Result<Self, QueueError> {
        Self::open_at(RedisServer::of(config), &config.redis_prefix)
    }

    /// The queue of a server that is no cluster.
    ///
    /// # Errors
    /// If the URL cannot be used.
    pub fn open(url: &Secret, prefix: &str) -> Result<Self, QueueError> {
        Self::open_at(RedisServer::at(url.clone()), prefix)
    }

    fn open_at(server: RedisServer, prefix: &str) -> Result<Self, QueueError> {
        Ok(Self {
            redis: RedisConnection::shared(&server, RESPONSE_TIMEOUT)?,
            server,
            scripts: Arc::new(Scripts::new()),
            // It begins with the configured prefix itself, so that an ACL can restrict a login to it.
            prefix: format!("{prefix}:{{{prefix}}}").into(),
            cap: CAP,
            heartbeat: Heartbeat::new(),
            unpushed: Arc::default(),
        })
    }

    /// The same queue with another limit on the leases of one tenant at a time. The default is 8, the least is 1.
    #[must_use]
    pub fn with_cap(mut self, cap: u32) -> Self {
        self.cap = cap.max(1);
        self
    }

    /// When this process's worker last completed a round.
    #[must_use]
    pub fn heartbeat(&self) -> Heartbeat {
        self.heartbeat.clone()
    }

    /// Makes tickets ready, unless they are live already. Returns how many became ready.
    ///
    /// # Errors
    /// If Redis fails. The scheduler then pushes the tickets again.
    pub async fn push(&self, tickets: &[Ticket]) -> Result<u64, QueueError> {
        let mut pushed = 0;
        for batch in tickets.chunks(BATCH_SIZE) {
            pushed += self
                .timed("push", |mut redis| async move {
                    let mut call = self.scripts.push.prepare_invoke();
                    call.key(&*self.prefix);
                    for ticket in batch {
                        call.arg(ticket.to_string());
                    }
                    call.invoke_async::<u64>(&mut redis).await
                })
                .await?;
        }
        Ok(pushed)
    }

    /// Pushes the tickets of streams that were just made due. Losing the push is harmless, because the streams
    /// are due in Postgres and the scheduler makes their tickets with its next tick.
    pub async fn push_due(&self, tenant: TenantId, connection: ConnectionId, streams: &[Stream]) {
        let tickets: Vec<Ticket> = streams
            .iter()
            .map(|stream| Ticket::new(tenant, connection, *stream))
            .collect();
        self.push_due_tickets(&tickets).await;
    }

    /// The same as [`push_due`](Self::push_due) for streams of several connections.
    pub async fn push_due_tickets(&self, tickets: &[Ticket]) {
        match self.push(tickets).await {
            Ok(_) => {
                crate::log_end!(self.unpushed.ended(), "pushes due tickets again");
            }
            Err(error) => {
                crate::log_failure!(self.unpushed.failed(&error), warn, { %error }, "could not push due tickets, leaving them to the scheduler");
            }
        }
    }

    /// Stops leasing tickets of these scopes. Slices that run go on.
    ///
    /// # Errors
    /// If Redis fails. It is safe to pause again.
    pub async fn pause(&self, scopes: &[PauseScope]) -> Result<(), QueueError> {
        self.change_pause("pause", scopes).await
    }

    /// Undoes [`pause`](Self::pause). A tenant comes back at the current virtual time, so that it has no advantage
    /// over the others.
    ///
    /// # Errors
    /// If Redis fails. It is safe to resume again.
    pub async fn resume(&self, scopes: &[PauseScope]) -> Result<(), QueueError> {
        self.change_pause("resume", scopes).await
    }

    /// The scopes that are paused in Redis.
    ///
    /// # Errors
    /// If Redis fails.
    pub async fn paused(&self) -> Result<Vec<PauseScope>, QueueError> {
        let paused: Vec<String> = self
            .timed("paused", |mut redis| async move {
                redis::cmd("SMEMBERS")
                    .arg(self.key("paused"))
                    .query_async(&mut redis)
                    .await
            })
            .await?;
        // A member that is no scope was not written by us, and it pauses nothing.
        Ok(paused
            .iter()
            .filter_map(|scope| scope.parse().ok())
            .collect())
    }

    /// Pauses exactly these scopes and resumes all others. The scheduler copies Postgres' pauses to Redis with it,
    /// because Redis may have been emptied.
    ///
    /// # Errors
    /// If Redis fails. It is safe to set them again.
    pub async fn set_paused(&self, scopes: &[PauseScope]) -> Result<(), QueueError> {
        let before: HashSet<PauseScope> = self.paused().await?.into_iter().collect();
        // Only differences are sent, so that a tick without a change costs one read.
        let after: HashSet<PauseScope> = scopes.iter().copied().collect();
        self.pause(&after.difference(&before).copied().collect::<Vec<_>>())
            .await?;
        self.resume(&before.difference(&after).copied().collect::<Vec<_>>())
            .await
    }

    /// Whether the scheduler has filled this Redis since it was last empty.
    ///
    /// # Errors
    /// If Redis fails.
    pub async fn is_filled(&self) -> Result<bool, QueueError> {
        self.timed("is_filled", |mut redis| async move {
            redis::cmd("EXISTS")
                .arg(self.key("filled"))
                .query_async(&mut redis)
                .await
        })
        .await
    }

    /// Marks this Redis as filled, after every due ticket was pushed.
    ///
    /// # Errors
    /// If Redis fails.
    pub async fn mark_filled(&self) -> Result<(), QueueError> {
        self.timed("mark_filled", |mut redis| async move {
            redis::cmd("SET")
                .arg(self.key("filled"))
                .arg(1)
                .query_async(&mut redis)
                .await
        })
        .await
    }

    /// Whether Redis does its work: it runs a script that writes, as every call of a worker does.
    ///
    /// # Errors
    /// If Redis does not answer, or if it answers and refuses to write.
    pub async fn check_writable(&self) -> Result<(), QueueError> {
        let probe = self.timed("probe", |mut redis| async move {
            self.scripts
                .probe
                .key(&*self.prefix)
                .invoke_async::<()>(&mut redis)
                .await
        });
        let proved = tokio::time::timeout(PROBE_LIMIT, probe).await;
        proved.unwrap_or_else(|_| Err(timed_out().into()))
    }

    /// Makes the next fence higher than `least`, because Postgres has seen a higher one than Redis gives.
    ///
    /// # Errors
    /// If Redis fails.
    pub async fn raise_fence(&self, least: i64) -> Result<(), QueueError> {
        self.timed("raise_fence", |mut redis| async move {
            self.scripts
                .raise_fence
                .key(&*self.prefix)
                .arg(least)
                .invoke_async::<()>(&mut redis)
                .await
        })
        .await
    }

    /// A dedicated connection for [`wait_for_wakeup`](Self::wait_for_wakeup), which blocks it.
    pub(super) async fn dedicated_connection(&self) -> Result<RedisConnection, QueueError> {
        Ok(RedisConnection::dedicated(&self.server).await?)
    }

    /// Waits until a ticket of these classes may be ready, or until `limit` has passed. A worker that is woken and
    /// claims no ticket must pass the wake-up on.
    pub(super) async fn wait_for_wakeup(
        &self,
        connection: &mut RedisConnection,
        classes: &[Class],
        limit: Duration,
    ) -> Result<Option<Class>, QueueError> {
        // Redis looks at the lists in this order, so a fresh wake-up comes before one for backfill.
        let mut wait = redis::cmd("BLPOP");
        for class in classes {
            wait.arg(self.key(&format!("wake:{class}")));
        }
        let token: Option<(String, String)> = wait
            .arg(limit.as_secs_f64())
            .query_async(connection)
            .await?;
        // The list's name ends in the class. The token itself says nothing.
        Ok(token.and_then(|(list, _)| list.rsplit(':').next()?.parse().ok()))
    }

    async fn change_pause(
        &self,
        verb: &'static str,
        scopes: &[PauseScope],
    ) -> Result<(), QueueError> {
        for batch in scopes.chunks(BATCH_SIZE) {
            self.timed(verb, |mut redis| async move {
                let mut call = self.scripts.pause.prepare_invoke();
                call.key(&*self.prefix).arg(verb);
                for scope in batch {
                    call.arg(scope.to_string());
                }
                call.invoke_async::<()>(&mut redis).await
            })
            .await?;
        }
        Ok(())
    }

    pub(super) fn scripts(&self) -> &Scripts {
        &self.scripts
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) const fn cap(&self) -> u32 {
        self.cap
    }

    fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.prefix)
    }

    pub(super) async fn timed<T, F>(
        &self,
        op: &'static str,
        command: impl FnOnce(RedisConnection) -> F,
    ) -> Result<T, QueueError>
    where
        F: Future<Output = Result<T, RedisError>>,
    {
        let started_at = Instant::now();
        // One limit over the whole call, because a lost connection is made anew within it.
        let answer = tokio::time::timeout(RESPONSE_TIMEOUT, command(self.redis.clone())).await;
        let answer = answer.unwrap_or_else(|_| Err(timed_out()));
        metrics::histogram!("pathbound_redis_op_duration_seconds", "op" => op)
            .record(started_at.elapsed().as_secs_f64());
        Ok(answer?)
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
