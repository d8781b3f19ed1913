//! The queue as its users see it: push, pause, look.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use redis::RedisError;

use super::{PauseScope, Progress, QueueError, Ticket, scripts::Scripts};
use crate::{
    config::Config,
    domain::{Class, ConnectionId, Secret, Stream, TenantId},
    link::{Link, Server},
};

/// No script is given more than this at once: a call of any other client never waits long behind it. An exchange
/// does four things with as many tickets each.
pub(super) const BITE: usize = 64;

/// Leases that one tenant may have at once, of all classes together, unless told otherwise.
const CAP: u32 = 8;

/// A command that takes longer has lost its server.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);

/// The queue in one Redis. Cheap to clone.
#[derive(Clone)]
pub struct Queue {
    server: Server,
    redis: Link,
    scripts: Arc<Scripts>,
    /// First part of every key, in braces: one hash slot, so that the scripts also run on a cluster.
    prefix: Arc<str>,
    cap: u32,
    progress: Progress,
}

/// How many tickets there are, by what they wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Every live ticket.
    pub live: u64,
    /// Tenants with a fresh ticket that could be leased now, and with a backfill ticket.
    pub fresh_tenants: u64,
    pub backfill_tenants: u64,
    pub parked: u64,
    pub leased: u64,
    /// For how long the oldest ticket that could be leased now has been ready: the oldest among the first tickets
    /// of the 64 tenants whose turn is next. One who had more turns than those may have waited longer.
    pub oldest_fresh: Option<Duration>,
    pub oldest_backfill: Option<Duration>,
    /// Until the next parked ticket becomes ready; zero when it is overdue.
    pub next_parked: Option<Duration>,
    /// Until the first lease runs out; zero when it has and nobody has swept.
    pub next_expiry: Option<Duration>,
    pub fresh: Counts,
    pub backfill: Counts,
}

/// Tickets of one class, by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Could be leased, if their tenants are neither paused nor at their cap.
    pub ready: u64,
    pub leased: u64,
    pub parked: u64,
}

impl Queue {
    /// # Errors
    /// When the URL cannot be used. The first connection is made in the background: Redis may be away.
    pub fn connect(config: &Config) -> Result<Self, QueueError> {
        Self::open_at(Server::of(config), &config.redis_prefix)
    }

    /// The queue of a server that stands alone.
    ///
    /// # Errors
    /// When the URL cannot be used.
    pub fn open(url: &Secret, prefix: &str) -> Result<Self, QueueError> {
        Self::open_at(Server::at(url.clone()), prefix)
    }

    fn open_at(server: Server, prefix: &str) -> Result<Self, QueueError> {
        Ok(Self {
            redis: Link::open(&server, RESPONSE_TIMEOUT, 2)?,
            server,
            scripts: Arc::new(Scripts::new()),
            prefix: format!("{{{prefix}}}").into(),
            cap: CAP,
            progress: Progress::new(),
        })
    }

    /// The same queue with another limit on the leases that a tenant may have at once (8; at least 1).
    #[must_use]
    pub fn with_cap(mut self, cap: u32) -> Self {
        self.cap = cap.max(1);
        self
    }

    /// When this process's worker last completed a round.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Makes tickets ready, unless they are live already. Returns how many were not.
    ///
    /// # Errors
    /// When Redis fails; the scheduler will push them again.
    pub async fn push(&self, tickets: &[Ticket]) -> Result<u64, QueueError> {
        let mut pushed = 0;
        for bite in tickets.chunks(BITE) {
            pushed += self
                .timed("push", |mut redis| async move {
                    let mut call = self.scripts.push.prepare_invoke();
                    call.key(&*self.prefix);
                    for ticket in bite {
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
        if let Err(error) = self.push(tickets).await {
            tracing::warn!(%error, "could not push due tickets, leaving them to the scheduler");
        }
    }

    /// Leases nothing more of these scopes. What is leased goes on.
    ///
    /// # Errors
    /// When Redis fails; pausing again is safe.
    pub async fn pause(&self, scopes: &[PauseScope]) -> Result<(), QueueError> {
        self.change_pause("pause", scopes).await
    }

    /// Undoes [`pause`](Self::pause): a tenant comes back at the current virtual time.
    ///
    /// # Errors
    /// When Redis fails; resuming again is safe.
    pub async fn resume(&self, scopes: &[PauseScope]) -> Result<(), QueueError> {
        self.change_pause("resume", scopes).await
    }

    /// What is paused, as far as Redis knows.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn paused(&self) -> Result<Vec<PauseScope>, QueueError> {
        let paused: Vec<String> = self
            .timed("paused", |mut redis| async move {
                redis::cmd("SMEMBERS")
                    .arg(self.key("paused"))
                    .query_async(&mut redis)
                    .await
            })
            .await?;
        // What is not a scope was written by another hand, and pauses nothing.
        Ok(paused
            .iter()
            .filter_map(|scope| scope.parse().ok())
            .collect())
    }

    /// Makes exactly these scopes paused: applies Postgres' truth after Redis was emptied.
    ///
    /// # Errors
    /// When Redis fails; setting it again is safe.
    pub async fn set_paused(&self, scopes: &[PauseScope]) -> Result<(), QueueError> {
        let before: HashSet<PauseScope> = self.paused().await?.into_iter().collect();
        let after: HashSet<PauseScope> = scopes.iter().copied().collect();
        self.pause(&after.difference(&before).copied().collect::<Vec<_>>())
            .await?;
        self.resume(&before.difference(&after).copied().collect::<Vec<_>>())
            .await
    }

    /// Whether this Redis has been filled since it was last empty: the scheduler's mark.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn is_filled(&self) -> Result<bool, QueueError> {
        self.timed("is_filled", |mut redis| async move {
            redis::cmd("EXISTS")
                .arg(self.key("filled"))
                .query_async(&mut redis)
                .await
        })
        .await
    }

    /// Sets the mark, after every owed ticket was pushed.
    ///
    /// # Errors
    /// When Redis fails.
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

    /// # Errors
    /// When Redis does not answer.
    pub async fn ping(&self) -> Result<(), QueueError> {
        self.timed("ping", |mut redis| async move {
            redis::cmd("PING").query_async(&mut redis).await
        })
        .await
    }

    /// How deep the queue is, and how old: a few constant steps, however deep it is.
    ///
    /// # Errors
    /// When Redis fails.
    pub async fn depth(&self) -> Result<Depth, QueueError> {
        type Look = ([u64; 5], [i64; 4], [u64; 6]);
        let (
            [live, fresh_tenants, backfill_tenants, parked, leased],
            times,
            [
                fresh_ready,
                fresh_leased,
                fresh_parked,
                backfill_ready,
                backfill_leased,
                backfill_parked,
            ],
        ): Look = self
            .timed("look", |mut redis| async move {
                self.scripts
                    .look
                    .key(&*self.prefix)
                    .invoke_async(&mut redis)
                    .await
            })
            .await?;
        let [oldest_fresh, oldest_backfill, next_parked, next_expiry] =
            times.map(|milliseconds| u64::try_from(milliseconds).ok().map(Duration::from_millis));
        Ok(Depth {
            live,
            fresh_tenants,
            backfill_tenants,
            parked,
            leased,
            oldest_fresh,
            oldest_backfill,
            next_parked,
            next_expiry,
            fresh: Counts {
                ready: fresh_ready,
                leased: fresh_leased,
                parked: fresh_parked,
            },
            backfill: Counts {
                ready: backfill_ready,
                leased: backfill_leased,
                parked: backfill_parked,
            },
        })
    }

    /// Sets the gauges `queue_tickets` and `queue_oldest_ready_age_seconds`. Workers do it now and then.
    ///
    /// # Errors
    /// When Redis fails: the gauges stay as they are.
    pub async fn record_depth(&self) -> Result<(), QueueError> {
        let depth = self.depth().await?;
        for (class, age, counts) in [
            (Class::Fresh, depth.oldest_fresh, depth.fresh),
            (Class::Backfill, depth.oldest_backfill, depth.backfill),
        ] {
            metrics::gauge!("pathbound_queue_oldest_ready_age_seconds", "class" => class.as_str())
                .set(age.unwrap_or_default().as_secs_f64());
            for (state, count) in [
                ("ready", counts.ready),
                ("leased", counts.leased),
                ("parked", counts.parked),
            ] {
                metrics::gauge!("pathbound_queue_tickets", "class" => class.as_str(), "state" => state)
                    .set(count as f64);
            }
        }
        Ok(())
    }

    /// The next fence will be above `least`: Postgres has seen a higher one than Redis gives.
    ///
    /// # Errors
    /// When Redis fails.
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

    /// A connection of its own for [`Queue::woken`], which blocks it.
    pub(super) async fn listener(&self) -> Result<Link, QueueError> {
        Ok(Link::own(&self.server, RESPONSE_TIMEOUT).await?)
    }

    /// Waits until there may be something to take of these classes, or `most` has passed. Whoever is told and
    /// takes nothing must pass it on.
    pub(super) async fn woken(
        &self,
        listener: &mut Link,
        classes: &[Class],
        most: Duration,
    ) -> Result<Option<Class>, QueueError> {
        let mut wait = redis::cmd("BLPOP");
        for class in classes {
            wait.arg(self.key(&format!("wake:{class}")));
        }
        let token: Option<(String, String)> =
            wait.arg(most.as_secs_f64()).query_async(listener).await?;
        Ok(token.and_then(|(list, _)| list.rsplit(':').next()?.parse().ok()))
    }

    async fn change_pause(
        &self,
        verb: &'static str,
        scopes: &[PauseScope],
    ) -> Result<(), QueueError> {
        for bite in scopes.chunks(BITE) {
            self.timed(verb, |mut redis| async move {
                let mut call = self.scripts.pause.prepare_invoke();
                call.key(&*self.prefix).arg(verb);
                for scope in bite {
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
        command: impl FnOnce(Link) -> F,
    ) -> Result<T, QueueError>
    where
        F: Future<Output = Result<T, RedisError>>,
    {
        let begun = Instant::now();
        // Over all, with whatever connecting it takes.
        let answer = tokio::time::timeout(RESPONSE_TIMEOUT, command(self.redis.clone())).await;
        let answer = answer
            .unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()));
        metrics::histogram!("pathbound_redis_op_duration_seconds", "op" => op)
            .record(begun.elapsed().as_secs_f64());
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
