//! One slice of one stream: take over, do the stream's work, and turn what went wrong into what happens next.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::{
    Context, Progress, SliceError, Sliced, blocked, companies, contacts, conversations, reference,
    still_ours, threads,
};
use crate::{
    domain::{Mode, Secret, Stream},
    intercom::{Answer, Error, Read, Refusal, Workspace, wire::Page},
    store::{Begun, Failed, SliceKey, StoreError, StreamState},
    vault::Place,
};

/// After this many failures in a row a stream becomes a dead letter; it still tries again now and then.
const ATTEMPTS: i32 = 10;
/// So many workers in a row may die of a slice.
const CRASHES: u32 = 3;
/// Of a failure's cause, in characters.
const LONGEST_CAUSE: usize = 1000;
const LONGEST_BACKOFF: Duration = Duration::from_secs(15 * 60);
/// Whoever ends a fleet's workers one after the other may hit the same innocent slice three times: one that was
/// never quarantined before, or has succeeded since, tries again this soon. The next time it waits in full.
const SECOND_CHANCE: Duration = Duration::from_secs(25);
/// How often a dead letter's stream tries to come back by itself.
const RESURRECTION: Duration = Duration::from_secs(60 * 60);
/// A plan or a scope does not change by the minute.
const BLOCKED_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// How soon a full walk is repeated that did not show something that is held.
const SECOND_LOOK: Duration = Duration::from_secs(24 * 60 * 60);
const LONGEST_PARKED: Duration = Duration::from_secs(30);
/// Postgres is restarting, or a neighbour held a lock: soon again, and nobody's fault.
const STORE_PAUSE: Duration = Duration::from_secs(2);

/// What should happen to the work after a slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub next: Next,
    /// Other streams of the connection that are due now.
    pub made_due: Vec<Stream>,
}

/// See [`Outcome`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Done,
    More,
    Wait(Duration),
    /// A lease with at least this fence has begun: ours is an old one, or Redis lost count.
    Stale {
        fence: i64,
    },
}

/// A slice under way: its key, the stream's state when it began, and a reader of its workspace.
#[derive(Debug)]
pub(super) struct Slice<'a> {
    pub(super) ctx: &'a Context,
    pub(super) key: SliceKey,
    pub(super) state: StreamState,
    pub(super) workspace: Workspace,
}

/// Works one slice. Never fails: every error has a consequence, and the consequence is returned.
///
/// `crashes`: how many workers in a row died with this slice in hand. After three nobody else is risked.
#[tracing::instrument(name = "slice", skip_all, fields(tenant = %key.tenant, connection = %key.connection, stream = %key.stream, fence = key.fence))]
pub async fn work(ctx: &Context, key: SliceKey, crashes: u32) -> Outcome {
    let begun = Instant::now();
    let (outcome, name) = match ctx.store.begin_slice(key).await {
        Ok(Begun::NothingOwed) => (Next::Done.into(), "nothing_owed"),
        Ok(Begun::Stale { fence }) => (Next::Stale { fence }.into(), "stale"),
        Ok(Begun::Yes(state)) => {
            let tries = Tries {
                attempts: state.attempts,
                restarts: state.restarts,
            };
            let sliced = if crashes < CRASHES {
                run(ctx, key, *state).await
            } else {
                Err(SliceError::Deadly(crashes))
            };
            match sliced {
                Ok(sliced) => progressed(sliced),
                Err(error) => failed(ctx, key, tries, error).await,
            }
        }
        Err(error) => {
            tracing::warn!(%error, source = ?std::error::Error::source(&error), "could not take over the stream");
            (Next::Wait(STORE_PAUSE).into(), "store")
        }
    };
    metrics::counter!("pathbound_slices_finished_total", "stream" => key.stream.as_str(), "outcome" => name)
        .increment(1);
    metrics::histogram!("pathbound_slice_duration_seconds", "stream" => key.stream.as_str())
        .record(begun.elapsed().as_secs_f64());
    outcome
}

/// A slice panicked or hung: a failed attempt like any other, but for the slice being unable to say so.
pub async fn crashed(ctx: &Context, key: SliceKey, cause: &'static str) -> Outcome {
    match ctx.store.tries(key).await {
        Ok(Some((attempts, restarts))) => {
            failed(
                ctx,
                key,
                Tries { attempts, restarts },
                SliceError::Crashed(cause),
            )
            .await
            .0
        }
        Ok(None) => Next::Done.into(),
        Err(error) => {
            tracing::warn!(%error, "could not note that the slice crashed");
            Next::Wait(STORE_PAUSE).into()
        }
    }
}

async fn run(ctx: &Context, key: SliceKey, state: StreamState) -> Result<Sliced, SliceError> {
    let token = ctx
        .vault
        .open(
            &Place::access_token(key.tenant, key.connection),
            &state.sealed_token,
        )
        .map_err(|error| SliceError::Token(error.to_string()))?;
    let token =
        std::str::from_utf8(&token).map_err(|error| SliceError::Token(error.to_string()))?;
    let workspace = ctx
        .intercom
        .workspace(
            &state.workspace_id,
            state.region,
            &state.api_version,
            Secret::new(token),
            key.stream.class(),
        )
        .behind(still_ours::gate(&ctx.store, key));
    let slice = Slice {
        ctx,
        key,
        state,
        workspace,
    };
    match key.stream {
        Stream::Reference => reference::slice(&slice).await,
        _ if !slice.state.active => rest(&slice).await,
        Stream::Contacts => contacts::slice(&slice).await,
        Stream::Companies => companies::slice(&slice).await,
        Stream::Conversations => conversations::slice(&slice).await,
        Stream::Threads => threads::slice(&slice).await,
    }
}

/// The connection waits for the customer; `reference` looks whether it lives again.
async fn rest(slice: &Slice<'_>) -> Result<Sliced, SliceError> {
    let mut tx = slice.ctx.store.begin_fenced(slice.key).await?;
    tx.rest_stream(slice.key, None).await?;
    tx.commit().await?;
    Ok(Progress::Done.into())
}

/// How often the stream has failed: in a row, and by starting over since its last walk ended.
#[derive(Clone, Copy)]
struct Tries {
    attempts: i32,
    restarts: i32,
}

fn progressed(sliced: Sliced) -> (Outcome, &'static str) {
    let (next, name) = match sliced.progress {
        Progress::More => (Next::More, "more"),
        Progress::Done => (Next::Done, "done"),
        Progress::Wait(until) => (Next::Wait(from_now(until)), "wait"),
    };
    (
        Outcome {
            next,
            made_due: sliced.made_due,
        },
        name,
    )
}

/// Each failure has one consequence. Waiting burns no attempt.
async fn failed(
    ctx: &Context,
    key: SliceKey,
    tries: Tries,
    error: SliceError,
) -> (Outcome, &'static str) {
    let consequence = match &error {
        SliceError::Intercom(Error::Exhausted { until } | Error::Throttled { until }) => {
            return (Next::Wait(from_now(*until)).into(), "rate_limited");
        }
        SliceError::Store(StoreError::Fenced) | SliceError::Intercom(Error::Closed) => {
            tracing::info!("the slice is no longer ours: what was not stored is dropped");
            return (Next::Done.into(), "fenced");
        }
        SliceError::Store(error) if error.is_transient() => {
            tracing::warn!(%error, source = ?std::error::Error::source(error), "the store is busy");
            return (Next::Wait(STORE_PAUSE).into(), "store");
        }
        SliceError::Intercom(Error::Refused { refusal, .. }) => match refusal {
            Refusal::Unauthorized => match probe(ctx, key).await {
                Probe::Alive => block(ctx, key, &blocked::missing_scope(key.stream)).await,
                Probe::Dead => reauth(ctx, key).await,
                Probe::Unknown => retry(ctx, key, tries, &error).await,
            },
            Refusal::AppSuspended => suspend(ctx, key).await,
            Refusal::MissingScope => block(ctx, key, &blocked::missing_scope(key.stream)).await,
            Refusal::PlanRestricted => block(ctx, key, &blocked::plan_restricted(key.stream)).await,
            _ => retry(ctx, key, tries, &error).await,
        },
        _ => retry(ctx, key, tries, &error).await,
    };
    match consequence {
        Ok((next, name)) => (next.into(), name),
        Err(StoreError::Fenced) => (Next::Done.into(), "fenced"),
        Err(error) => {
            tracing::warn!(%error, "could not note why the slice failed");
            (Next::Wait(STORE_PAUSE).into(), "store")
        }
    }
}

type Consequence = Result<(Next, &'static str), StoreError>;

/// Exponential with full jitter, capped, counted in Postgres; then a dead letter that keeps the cause.
async fn retry(ctx: &Context, key: SliceKey, tries: Tries, error: &SliceError) -> Consequence {
    let walk = match error {
        SliceError::StartOver(_) => Failed::StartsOver,
        _ if key.stream == Stream::Companies => Failed::AsksAgain,
        _ => Failed::GoesOn,
    };
    // Pages between two restarts are no progress.
    let attempts = 1 + if walk == Failed::GoesOn {
        tries.attempts
    } else {
        tries.attempts.max(tries.restarts)
    };
    let cause = describe(error);
    let deadly = matches!(error, SliceError::Deadly(_));
    let dead = attempts >= ATTEMPTS || deadly;
    let wait = match attempts {
        1 if deadly => SECOND_CHANCE,
        _ if dead => RESURRECTION,
        _ => backoff(attempts),
    };
    tracing::warn!(attempts, wait_seconds = wait.as_secs_f64(), error = %cause, "the slice failed");
    let mut tx = ctx.store.begin_fenced(key).await?;
    if dead {
        tx.write_dead_letter(key, &cause, attempts).await?;
        if wait > SECOND_CHANCE {
            tx.drop_from_runs(key, "failed", &cause).await?;
        }
    }
    tx.fail_stream(key, &cause, wait.as_secs_f64(), walk)
        .await?;
    tx.commit().await?;
    // A long wait is Postgres' to remember: whoever makes the stream due meanwhile finds no parked ticket.
    let next = if wait > LONGEST_PARKED {
        Next::Done
    } else {
        Next::Wait(wait)
    };
    Ok((next, if dead { "dead" } else { "retry" }))
}

async fn block(ctx: &Context, key: SliceKey, why: &crate::store::ConnectionError) -> Consequence {
    tracing::warn!(code = %why.code, "the stream is blocked");
    let mut tx = ctx.store.begin_fenced(key).await?;
    tx.drop_from_runs(key, &why.code, &why.message).await?;
    tx.block_stream(key, why, BLOCKED_FOR.as_secs_f64()).await?;
    tx.commit().await?;
    Ok((Next::Done, "blocked"))
}

async fn reauth(ctx: &Context, key: SliceKey) -> Consequence {
    tracing::warn!("the token no longer works: the customer has to reconnect");
    end_connection(ctx, key, "reauth_required", &blocked::token_refused()).await
}

async fn suspend(ctx: &Context, key: SliceKey) -> Consequence {
    tracing::error!("intercom has suspended this app's token");
    end_connection(ctx, key, "error", &blocked::app_suspended()).await
}

async fn end_connection(
    ctx: &Context,
    key: SliceKey,
    state: &str,
    why: &crate::store::ConnectionError,
) -> Consequence {
    let mut tx = ctx.store.begin_fenced_whole(key).await?;
    tx.require_reauth(key, state, why, ctx.config.rhythm.reference.as_secs_f64())
        .await?;
    tx.commit().await?;
    Ok((Next::Done, "reauth_required"))
}

/// What `/me` says of a token that a stream was refused with.
enum Probe {
    Alive,
    Dead,
    Unknown,
}

/// A 401 may be a missing scope: only a token that cannot even say who it is counts as dead.
async fn probe(ctx: &Context, key: SliceKey) -> Probe {
    let Ok(Some((region, sealed))) = ctx.store.sealed_token(key.tenant, key.connection).await
    else {
        return Probe::Unknown;
    };
    let Ok(token) = ctx
        .vault
        .open(&Place::access_token(key.tenant, key.connection), &sealed)
    else {
        return Probe::Unknown;
    };
    let Ok(token) = std::str::from_utf8(&token) else {
        return Probe::Unknown;
    };
    match ctx.intercom.me(region, &Secret::new(token)).await {
        // A token without the admins scope is refused here too, and lives.
        Ok(_)
        | Err(Error::Refused {
            refusal: Refusal::MissingScope,
            ..
        }) => Probe::Alive,
        Err(Error::Refused {
            refusal: Refusal::Unauthorized,
            ..
        }) => Probe::Dead,
        Err(_) => Probe::Unknown,
    }
}

/// Full jitter over 2, 4, 8 … seconds; never at once.
fn backoff(attempts: i32) -> Duration {
    let most = Duration::from_secs(1 << attempts.clamp(1, 20)).min(LONGEST_BACKOFF);
    Duration::from_millis(rand::random_range(500..=most.as_millis() as u64))
}

fn from_now(until: Instant) -> Duration {
    until
        .saturating_duration_since(Instant::now())
        .max(Duration::from_millis(1))
}

/// The error and its causes, in one line.
fn describe(error: &SliceError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    // Postgres keeps it, and an operator reads it.
    text.replace('\0', "\u{fffd}")
        .chars()
        .take(LONGEST_CAUSE)
        .collect()
}

impl From<Next> for Outcome {
    fn from(next: Next) -> Self {
        Self {
            next,
            made_due: Vec::new(),
        }
    }
}

impl Slice<'_> {
    /// Keeps where the walk is when nothing was stored that would say so.
    pub(super) async fn save_place(&self, walk: &impl Serialize) -> Result<(), StoreError> {
        let mut tx = self.ctx.store.begin_fenced(self.key).await?;
        tx.save_place(self.key, walk).await?;
        tx.commit().await
    }

    /// What a search that started then leaves: who has just changed may not be found by it yet.
    pub(super) fn watermark(&self, started_at: DateTime<Utc>) -> DateTime<Utc> {
        started_at - TimeDelta::from_std(self.ctx.config.rhythm.index_lag).unwrap_or_default()
    }

    /// Reads, and waits where the rate budget is spent for no longer than `longest`.
    pub(super) async fn read_patiently(
        &self,
        read: &Read<'_>,
        longest: Duration,
    ) -> Result<Answer, Error> {
        loop {
            match self.workspace.read(read).await {
                Err(Error::Exhausted { until } | Error::Throttled { until }) => {
                    let wait = until.saturating_duration_since(Instant::now());
                    if wait > longest {
                        return Err(Error::Throttled { until });
                    }
                    tokio::time::sleep(wait).await;
                }
                answer => return answer,
            }
        }
    }

    /// Changes after this are asked for. `None` walks everything: the first time, when asked to, and on the
    /// slow timer that repairs what a search by time never shows.
    pub(super) fn since(&self) -> Option<DateTime<Utc>> {
        let walked_lately = self.walked_within(self.ctx.config.rhythm.reconcile);
        self.state
            .watermark
            .filter(|_| self.state.mode == Mode::Incremental && walked_lately)
    }

    /// Whether the last full walk is no longer ago than this; a day, where it did not show something that is held.
    pub(super) fn walked_within(&self, every: Duration) -> bool {
        let every = if self.state.absent {
            every.min(SECOND_LOOK)
        } else {
            every
        };
        let every = TimeDelta::from_std(every).unwrap_or(TimeDelta::MAX);
        self.state
            .walked_at
            .is_some_and(|walked_at| self.state.now - walked_at < every)
    }

    /// Whether the last full walk saw fewer than there are. What was created while it went on comes with the
    /// next walk, and only a new count can tell whether that was all.
    pub(super) fn is_short(&self) -> bool {
        self.state
            .expected
            .is_some_and(|expected| expected > self.state.held)
    }

    /// How many objects a search over all times finds now.
    pub(super) async fn total(&self, count: &Read<'_>) -> Result<Option<i64>, SliceError> {
        Ok(Page::split(&self.workspace.read(count).await?.body)?.total_count)
    }

    /// Seconds of an interval, as the store takes them: with jitter, so that what began together drifts apart.
    pub(super) fn every(interval: Duration) -> Option<f64> {
        Some(interval.as_secs_f64() * rand::random_range(0.95..=1.05))
    }
}
