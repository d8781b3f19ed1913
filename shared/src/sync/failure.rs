//! What follows from a failed slice: wait, retry, or doubt a refusal (`refusal.rs`).

use std::time::Duration;

use super::{
    Context, SliceError, SliceOutcome,
    attempt::{Consequence, Tries, describe, retry_after},
    refusal,
};
use crate::{
    backoff::Backoff,
    domain::{Stream, Verdict},
    intercom::Error,
    store::{CursorAfterFailure, SliceKey, StoreError},
};

/// After this many failures in a row the stream becomes a dead letter. It is still retried, once per
/// [`DEAD_LETTER_RETRY`].
const MAX_ATTEMPTS: i32 = 10;
/// Full jitter over 2, 4, 8 … seconds, never below half a second.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(15 * 60))
    .with_full_jitter(Duration::from_millis(500));
/// A rolling restart can kill three workers that had leased the same healthy slice. The first quarantine of a slice
/// therefore lasts only this long. The next one lasts for [`DEAD_LETTER_RETRY`].
const FIRST_QUARANTINE: Duration = Duration::from_secs(25);
const DEAD_LETTER_RETRY: Duration = Duration::from_secs(60 * 60);
/// Postgres is restarting, or another transaction holds a lock. Neither is the slice's fault, so it costs no attempt.
pub(super) const STORE_PAUSE: Duration = Duration::from_secs(2);

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
            ctx.failures.postgres_failed(error, "postgres is busy");
            return store_pause();
        }
        _ => match refusal::doubt(ctx, key, tries, &error).await {
            Some(consequence) => consequence,
            None => retry(ctx, key, tries, &error).await,
        },
    };
    match consequence {
        Ok(outcome) => outcome,
        Err(StoreError::Fenced) => fenced(),
        Err(error) => {
            let consequence = "could not store the slice's failure";
            ctx.failures.postgres_failed(&error, consequence);
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
    let mut tx = ctx.store.begin_fenced(key).await?;
    let wait = if !is_dead {
        BACKOFF.delay(attempts.unsigned_abs())
    } else if tx.write_dead_letter(key, &cause, attempts).await? && is_deadly {
        // A short quarantine keeps its place in the runs, because it may still end well.
        FIRST_QUARANTINE
    } else {
        tx.drop_from_runs(key, "failed", &cause).await?;
        DEAD_LETTER_RETRY
    };
    crate::log_failure!(ctx.failures.stream_failed(key, &cause), warn, { attempts, wait_seconds = wait.as_secs_f64(), error = %cause }, "the slice failed");
    tx.fail_stream(key, &cause, wait.as_secs_f64(), cursor)
        .await?;
    tx.commit().await?;
    Ok(retry_after(wait).labelled(if is_dead { "dead" } else { "retry" }))
}
