//! One slice of one stream: take the stream over, run its job, and report what follows.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::BoxFuture;

use super::{
    Context, SliceError, SliceOutcome,
    attempt::Tries,
    failure::{failed, store_pause},
    fence_gate,
    slice::SliceContext,
};
use crate::{
    domain::{Class, Stream, Verdict},
    store::{ClaimedStream, SliceKey, StreamClaim},
};

/// How the slices of one stream are worked. `worker/src/jobs.rs` lists every job.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    pub run: for<'a> fn(&'a SliceContext<'a>) -> BoxFuture<'a, Result<SliceOutcome, SliceError>>,
    /// The class of the job's tickets and of its calls: fresh work goes before backfill.
    pub class: Class,
    /// A slice that takes longer hangs, and is abandoned.
    pub time_limit: Duration,
}

/// After this many workers in a row died in the slice, it is quarantined.
const MAX_CRASHES: u32 = 3;

/// Works one slice. It has no error, because each failure has a consequence, and the consequence is returned.
///
/// `crashes` is the number of workers in a row that died with this slice leased. The slice is not run again once
/// three did that had taken the stream over. The others waited for Postgres, so they did not die of the slice.
#[tracing::instrument(name = "slice", skip_all, fields(tenant = %key.tenant, connection = %key.connection, stream = %key.stream, fence = key.fence))]
pub async fn work(ctx: &Context, key: SliceKey, crashes: u32, job: Job) -> SliceOutcome {
    let started_at = Instant::now();
    let calls = Arc::new(AtomicU32::new(0));
    let claimed = ctx.store.claim_stream(key, crashes).await;
    if claimed.is_ok() {
        ctx.failures.postgres_answered();
    }
    let mut outcome = match claimed {
        Ok(StreamClaim::NotDue) => SliceOutcome::from(Verdict::Done).labelled("nothing_due"),
        Ok(StreamClaim::Stale { fence }) => SliceOutcome::stale(fence),
        Ok(StreamClaim::Acquired(state)) => {
            let tries = Tries {
                attempts: state.attempts,
                restarts: state.restarts,
                active: state.active,
            };
            let crashes = state.crashes;
            let ended = if crashes < MAX_CRASHES {
                run(ctx, key, *state, job, &calls).await
            } else {
                // The slice is not run, because it would probably end this worker as well.
                Err(SliceError::Deadly(crashes))
            };
            match ended {
                Ok(outcome) => {
                    ctx.failures.stream_succeeded(key);
                    outcome
                }
                Err(error) => failed(ctx, key, tries, error).await,
            }
        }
        Err(error) => {
            let consequence = "could not take over the stream";
            ctx.failures.postgres_failed(&error, consequence);
            store_pause()
        }
    };
    outcome.calls = calls.load(Ordering::Relaxed);
    metrics::counter!("pathbound_slices_finished_total", "stream" => key.stream.as_str(), "outcome" => outcome.label)
        .increment(1);
    metrics::histogram!("pathbound_slice_duration_seconds", "stream" => key.stream.as_str())
        .record(started_at.elapsed().as_secs_f64());
    outcome
}

/// Counts a slice that panicked or hung as a failed attempt, because the slice could not report it.
pub async fn crashed(ctx: &Context, key: SliceKey, cause: &'static str) -> SliceOutcome {
    match ctx.store.tries(key).await {
        Ok(Some((attempts, restarts))) => {
            let tries = Tries {
                attempts,
                restarts,
                active: true,
            };
            failed(ctx, key, tries, SliceError::Crashed(cause)).await
        }
        // Another lease has the stream, and its slice reports for itself.
        Ok(None) => Verdict::Done.into(),
        Err(error) => {
            let consequence = "could not store the slice's crash";
            ctx.failures.postgres_failed(&error, consequence);
            store_pause()
        }
    }
}

async fn run(
    ctx: &Context,
    key: SliceKey,
    state: ClaimedStream,
    job: Job,
    calls: &Arc<AtomicU32>,
) -> Result<SliceOutcome, SliceError> {
    // Opened for one slice only, so that no token stays in memory between slices.
    let token = ctx.open_token(key, &state.sealed_token)?;
    let workspace = ctx
        .intercom
        .workspace(
            &state.workspace_id,
            state.region,
            &state.api_version,
            token,
            job.class,
        )
        .behind(fence_gate::gate(ctx, key))
        .counting(Arc::clone(calls));
    let cx = SliceContext {
        ctx,
        key,
        state,
        workspace,
    };
    // While the connection waits for the customer, only `reference` runs. It detects that the token works again.
    if cx.state.active || key.stream == Stream::Reference {
        (job.run)(&cx).await
    } else {
        idle(&cx).await
    }
}

/// Leaves the stream without a due time, until its connection is active again.
async fn idle(cx: &SliceContext<'_>) -> Result<SliceOutcome, SliceError> {
    let mut tx = cx.begin().await?;
    tx.idle_stream(cx.key, None).await?;
    tx.commit().await?;
    Ok(Verdict::Done.into())
}
