//! What follows from a failed slice: wait, retry, block the stream, or end the connection.

use std::time::Duration;

use super::{
    Context, SliceError, block_messages,
    outcome::{Next, Outcome},
};
use crate::{
    domain::{Secret, Stream},
    intercom::{Error, Refusal},
    store::{Failed, SliceKey, StoreError},
    vault::SealContext,
};

/// After this many failures in a row a stream becomes a dead letter; it still tries again now and then.
const ATTEMPTS: i32 = 10;
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
const LONGEST_PARKED: Duration = Duration::from_secs(30);
/// Postgres is restarting, or a neighbour held a lock: soon again, and nobody's fault.
pub(super) const STORE_PAUSE: Duration = Duration::from_secs(2);

/// How often the stream has failed: in a row, and by starting over since its last walk ended.
#[derive(Clone, Copy)]
pub(super) struct Tries {
    pub(super) attempts: i32,
    pub(super) restarts: i32,
}

/// Each failure has one consequence. Waiting burns no attempt.
pub(super) async fn failed(
    ctx: &Context,
    key: SliceKey,
    tries: Tries,
    error: SliceError,
) -> (Outcome, &'static str) {
    let consequence = match &error {
        SliceError::Intercom(Error::Exhausted { until } | Error::Throttled { until }) => {
            return (Next::until(*until).into(), "rate_limited");
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
    end_connection(
        ctx,
        key,
        "reauth_required",
        &block_messages::token_refused(),
    )
    .await
}

async fn suspend(ctx: &Context, key: SliceKey) -> Consequence {
    tracing::error!("intercom has suspended this app's token");
    end_connection(ctx, key, "error", &block_messages::app_suspended()).await
}

async fn end_connection(
    ctx: &Context,
    key: SliceKey,
    state: &str,
    why: &crate::store::ConnectionError,
) -> Consequence {
    let mut tx = ctx.store.begin_fenced_whole(key).await?;
    tx.require_reauth(
        key,
        state,
        why,
        ctx.config.intervals.reference.as_secs_f64(),
    )
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
    let Ok(token) = ctx.vault.open(
        &SealContext::access_token(key.tenant, key.connection),
        &sealed,
    ) else {
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
