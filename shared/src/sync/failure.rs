//! What follows from a failed slice: wait, retry, block the stream, or end the connection.

use std::time::Duration;

use super::{Context, SliceError, SliceOutcome, block_messages};
use crate::{
    backoff::Backoff,
    domain::{Stream, Verdict},
    intercom::{Error, Refusal},
    store::{ConnectionError, CursorAfterFailure, SliceKey, StoreError},
};

/// After this many failures in a row the stream becomes a dead letter. It is still retried, once per
/// [`DEAD_LETTER_RETRY`].
const MAX_ATTEMPTS: i32 = 10;
/// Characters of a failure's cause that Postgres keeps.
const MAX_CAUSE_CHARS: usize = 1000;
/// Full jitter over 2, 4, 8 … seconds, never below half a second.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(15 * 60))
    .with_full_jitter(Duration::from_millis(500));
/// A rolling restart can kill three workers that had leased the same healthy slice. The first quarantine of a slice
/// therefore lasts only this long. The next one lasts for [`DEAD_LETTER_RETRY`].
const FIRST_QUARANTINE: Duration = Duration::from_secs(25);
const DEAD_LETTER_RETRY: Duration = Duration::from_secs(60 * 60);
/// A plan or a scope changes rarely, so a blocked stream is tried once a day.
const BLOCKED_RETRY: Duration = Duration::from_secs(24 * 60 * 60);
/// Longer waits end the ticket, because Postgres remembers the due time.
const MAX_SNOOZE: Duration = Duration::from_secs(30);
/// Postgres is restarting, or another transaction holds a lock. Neither is the slice's fault, so it costs no attempt.
pub(super) const STORE_PAUSE: Duration = Duration::from_secs(2);

/// How often the stream has failed: in a row, and by starting over since its last walk ended.
#[derive(Clone, Copy)]
pub(super) struct Tries {
    pub(super) attempts: i32,
    pub(super) restarts: i32,
}

/// Applies the one consequence of a failure. Waiting costs no attempt.
pub(super) async fn failed(
    ctx: &Context,
    key: SliceKey,
    tries: Tries,
    error: SliceError,
) -> SliceOutcome {
    let consequence = match &error {
        SliceError::Intercom(Error::Exhausted { until } | Error::Throttled { until }) => {
            return SliceOutcome::snooze_until(*until).labelled("rate_limited");
        }
        SliceError::Store(StoreError::Fenced) | SliceError::Intercom(Error::Closed) => {
            tracing::info!("the slice lost its lease, so its unstored objects are dropped");
            return fenced();
        }
        SliceError::Store(error) if error.is_transient() => {
            tracing::warn!(%error, source = ?std::error::Error::source(error), "postgres is busy");
            return store_pause();
        }
        SliceError::Intercom(Error::Refused { refusal, .. }) => match refusal {
            // Some endpoints answer 401 to a missing scope. One call of `/me` tells the two apart
            // before the customer is asked to reconnect.
            Refusal::Unauthorized => match probe(ctx, key).await {
                Probe::Alive => block(ctx, key, &block_messages::missing_scope(key.stream)).await,
                Probe::Dead => reauth(ctx, key).await,
                Probe::Unknown => retry(ctx, key, tries, &error).await,
            },
            Refusal::AppSuspended => suspend(ctx, key).await,
            Refusal::MissingScope => {
                block(ctx, key, &block_messages::missing_scope(key.stream)).await
            }
            Refusal::PlanRestricted => {
                block(ctx, key, &block_messages::plan_restricted(key.stream)).await
            }
            _ => retry(ctx, key, tries, &error).await,
        },
        _ => retry(ctx, key, tries, &error).await,
    };
    match consequence {
        Ok(outcome) => outcome,
        Err(StoreError::Fenced) => fenced(),
        Err(error) => {
            tracing::warn!(%error, "could not store the slice's failure");
            store_pause()
        }
    }
}

/// Postgres did not answer in time: the ticket waits a moment.
pub(super) fn store_pause() -> SliceOutcome {
    SliceOutcome::from(Verdict::Snooze(STORE_PAUSE)).labelled("store")
}

fn fenced() -> SliceOutcome {
    SliceOutcome::from(Verdict::Done).labelled("fenced")
}

type Consequence = Result<SliceOutcome, StoreError>;

/// Retries with exponential backoff and full jitter. After [`MAX_ATTEMPTS`] a dead letter keeps the cause.
async fn retry(ctx: &Context, key: SliceKey, tries: Tries, error: &SliceError) -> Consequence {
    let cursor = match error {
        SliceError::StartOver(_) => CursorAfterFailure::Discard,
        _ if key.stream == Stream::Companies => CursorAfterFailure::Refetch,
        _ => CursorAfterFailure::Keep,
    };
    // A page that lands resets `attempts`. A walk that starts over again and again lands pages without progress, so
    // its restarts count as attempts.
    let attempts = 1 + if cursor == CursorAfterFailure::Keep {
        tries.attempts
    } else {
        tries.attempts.max(tries.restarts)
    };
    // The stored cause is what operators read, so it names the whole chain.
    let cause = describe(error);
    let is_deadly = matches!(error, SliceError::Deadly(_));
    let is_dead = attempts >= MAX_ATTEMPTS || is_deadly;
    let wait = match attempts {
        1 if is_deadly => FIRST_QUARANTINE,
        _ if is_dead => DEAD_LETTER_RETRY,
        _ => BACKOFF.delay(attempts.unsigned_abs()),
    };
    tracing::warn!(attempts, wait_seconds = wait.as_secs_f64(), error = %cause, "the slice failed");
    let mut tx = ctx.store.begin_fenced(key).await?;
    if is_dead {
        tx.write_dead_letter(key, &cause, attempts).await?;
        // A short quarantine keeps its place in the runs, because it may still end well.
        if wait > FIRST_QUARANTINE {
            tx.drop_from_runs(key, "failed", &cause).await?;
        }
    }
    tx.fail_stream(key, &cause, wait.as_secs_f64(), cursor)
        .await?;
    tx.commit().await?;
    // A parked ticket would delay a resync that makes the stream due meanwhile.
    let verdict = if wait > MAX_SNOOZE {
        Verdict::Done
    } else {
        Verdict::Snooze(wait)
    };
    Ok(SliceOutcome::from(verdict).labelled(if is_dead { "dead" } else { "retry" }))
}

async fn block(ctx: &Context, key: SliceKey, why: &ConnectionError) -> Consequence {
    tracing::warn!(code = %why.code, "the stream is blocked");
    let mut tx = ctx.store.begin_fenced(key).await?;
    // The run ends without this stream, or it would stay open for as long as the block lasts.
    tx.drop_from_runs(key, &why.code, &why.message).await?;
    tx.block_stream(key, why, BLOCKED_RETRY.as_secs_f64())
        .await?;
    tx.commit().await?;
    Ok(SliceOutcome::from(Verdict::Done).labelled("blocked"))
}

async fn reauth(ctx: &Context, key: SliceKey) -> Consequence {
    tracing::warn!("intercom refuses the token, so the customer has to reconnect");
    let why = block_messages::token_refused();
    end_connection(ctx, key, "reauth_required", &why).await
}

async fn suspend(ctx: &Context, key: SliceKey) -> Consequence {
    tracing::error!("intercom has suspended this app's token");
    end_connection(ctx, key, "error", &block_messages::app_suspended()).await
}

async fn end_connection(
    ctx: &Context,
    key: SliceKey,
    state: &str,
    why: &ConnectionError,
) -> Consequence {
    // All streams are locked in their one order, because another stream may find the token dead at the same moment.
    let mut tx = ctx.store.begin_fenced_connection(key).await?;
    tx.require_reauth(
        key,
        state,
        why,
        ctx.config.intervals.reference.as_secs_f64(),
    )
    .await?;
    tx.commit().await?;
    Ok(SliceOutcome::from(Verdict::Done).labelled("reauth_required"))
}

/// The answer of `/me` to a token that a stream was refused with.
enum Probe {
    Alive,
    Dead,
    Unknown,
}

/// Asks `/me` with the connection's token, because a 401 may also mean a missing scope.
async fn probe(ctx: &Context, key: SliceKey) -> Probe {
    let Ok(Some((region, sealed))) = ctx.store.sealed_token(key.tenant, key.connection).await
    else {
        return Probe::Unknown;
    };
    let Ok(token) = ctx.open_token(key, &sealed) else {
        return Probe::Unknown;
    };
    match ctx.intercom.me(region, &token).await {
        // `/me` needs the admins scope. A token without it is refused here too, but it is alive.
        Ok(_)
        | Err(Error::Refused {
            refusal: Refusal::MissingScope,
            ..
        }) => Probe::Alive,
        Err(Error::Refused {
            refusal: Refusal::Unauthorized,
            ..
        }) => Probe::Dead,
        // An outage proves nothing about the token.
        Err(_) => Probe::Unknown,
    }
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
    // Postgres refuses NUL in text.
    text.replace('\0', "\u{fffd}")
        .chars()
        .take(MAX_CAUSE_CHARS)
        .collect()
}
