//! One slice of one stream: take over, dispatch to the stream, and report what follows.

use std::time::Instant;

use super::{
    Context, Progress, SliceError, Sliced, companies, contacts, conversations,
    failure::{STORE_PAUSE, Tries, failed},
    fence_gate,
    outcome::{Next, Outcome},
    reference,
    slice::SliceContext,
    threads,
};
use crate::{
    domain::{Secret, Stream},
    store::{Begun, SliceKey, StreamState},
    vault::SealContext,
};

/// The slice is given up without another try after so many workers in a row died of it.
const CRASHES: u32 = 3;

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
            &SealContext::access_token(key.tenant, key.connection),
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
        .behind(fence_gate::gate(&ctx.store, key));
    let cx = SliceContext {
        ctx,
        key,
        state,
        workspace,
    };
    match key.stream {
        Stream::Reference => reference::run(&cx).await,
        _ if !cx.state.active => rest(&cx).await,
        Stream::Contacts => contacts::run(&cx).await,
        Stream::Companies => companies::run(&cx).await,
        Stream::Conversations => conversations::run(&cx).await,
        Stream::Threads => threads::run(&cx).await,
    }
}

/// The connection waits for the customer; `reference` looks whether it lives again.
async fn rest(cx: &SliceContext<'_>) -> Result<Sliced, SliceError> {
    let mut tx = cx.begin().await?;
    tx.rest_stream(cx.key, None).await?;
    tx.commit().await?;
    Ok(Progress::Done.into())
}

fn progressed(sliced: Sliced) -> (Outcome, &'static str) {
    let (next, name) = match sliced.progress {
        Progress::More => (Next::More, "more"),
        Progress::Done => (Next::Done, "done"),
        Progress::Wait(until) => (Next::until(until), "wait"),
    };
    (
        Outcome {
            next,
            made_due: sliced.made_due,
        },
        name,
    )
}
