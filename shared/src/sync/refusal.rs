//! What follows from a refusal: it is asked about again, and once it is believed, it stops a stream or the connection.
//!
//! A refusal of a stream is believed only from the stream's own list or search, because the refusal of one object says
//! nothing about the others. Threads have no list of their own. There, several threads must be refused and none served.

use super::{
    Context, SliceError, SliceOutcome,
    attempt::{Consequence, Tries, describe, retry_after},
    belief, block_messages,
    thread_doubt::SEVERAL,
};
use crate::{
    domain::{Stream, Verdict},
    intercom::{Error, Refusal},
    store::{ConnectionError, SliceKey},
};

/// The consequence of a refusal. `None` if the error is no refusal, or one that says nothing about the whole stream.
pub(super) async fn doubt(
    ctx: &Context,
    key: SliceKey,
    tries: Tries,
    error: &SliceError,
) -> Option<Consequence> {
    let (refusal, endpoint) = match error {
        SliceError::RefusedLists(kinds) => {
            return Some(of_stream(ctx, key, &block_messages::missing_lists(kinds), error).await);
        }
        SliceError::Intercom(Error::Refused {
            refusal, endpoint, ..
        }) => (refusal, *endpoint),
        _ => return None,
    };
    let why = match refusal {
        // Some endpoints answer 401 to a missing scope. One call of `/me` tells the two apart before the customer is
        // asked to reconnect.
        Refusal::Unauthorized => match probe(ctx, key).await {
            Probe::Alive => block_messages::missing_scope(key.stream),
            Probe::Dead => {
                let why = block_messages::token_refused();
                return Some(of_token(ctx, key, tries, "reauth_required", &why, error).await);
            }
            Probe::Unknown => return None,
        },
        Refusal::AppSuspended => {
            let why = block_messages::app_suspended();
            return Some(of_token(ctx, key, tries, "error", &why, error).await);
        }
        Refusal::MissingScope => block_messages::missing_scope(key.stream),
        Refusal::PlanRestricted => block_messages::plan_restricted(key.stream),
        _ => return None,
    };
    if speaks_for(key.stream, endpoint) {
        Some(of_stream(ctx, key, &why, error).await)
    } else {
        None
    }
}

/// Whether a refusal of this endpoint concerns the whole stream. A slice of threads returns a refusal only if it
/// concerns several of them. The lists of reference data have an error of their own.
fn speaks_for(stream: Stream, endpoint: &str) -> bool {
    match stream {
        Stream::Contacts => matches!(endpoint, "contacts_list" | "contacts_search"),
        Stream::Companies => endpoint == "companies_scroll",
        Stream::Conversations => endpoint == "conversations_search",
        Stream::Threads => endpoint == "conversation",
        Stream::Reference => false,
    }
}

/// Doubts a refusal of a stream, or blocks the stream.
async fn of_stream(
    ctx: &Context,
    key: SliceKey,
    why: &ConnectionError,
    error: &SliceError,
) -> Consequence {
    let doubt = &ctx.config.doubt;
    let mut tx = ctx.store.begin_fenced(key).await?;
    let before = tx.refusals(key).await?;
    let mut again = belief::doubt(&why.code, &before, doubt.refusal);
    // Threads that are refused one by one are set aside one by one.
    if key.stream == Stream::Threads
        && before.blocked_times == 0
        && tx.refused_threads(key).await? < SEVERAL as i64
    {
        again = again.or(Some(doubt.refusal / 3));
    }
    if let Some(wait) = again {
        let line = ctx
            .failures
            .stream_failed(key, &format!("refuses the stream: {}", why.code));
        crate::log_failure!(line, warn, { code = %why.code, times = before.times + 1 }, "intercom refuses the stream, so it is asked again");
        tx.doubt_refusal(key, &why.code, &describe(error), wait.as_secs_f64())
            .await?;
        tx.commit().await?;
        return Ok(retry_after(wait));
    }
    let line = ctx
        .failures
        .stream_failed(key, &format!("blocked: {}", why.code));
    crate::log_failure!(line, warn, { code = %why.code, checks = before.blocked_times }, "the stream is blocked");
    let mut wait = belief::next_check(doubt.block_check, before.blocked_times);
    if key.stream == Stream::Reference {
        // The other lists, the deletions and the audit go on.
        wait = wait.min(ctx.config.intervals.reference);
    }
    // The run ends without this stream, or it would stay open for as long as the block lasts.
    tx.drop_from_runs(key, &why.code, &why.message).await?;
    tx.block_stream(key, why, wait.as_secs_f64()).await?;
    tx.count_block(key).await?;
    tx.commit().await?;
    Ok(SliceOutcome::from(Verdict::Done).labelled("blocked"))
}

/// Doubts that the token is dead, or stops the connection.
async fn of_token(
    ctx: &Context,
    key: SliceKey,
    tries: Tries,
    state: &str,
    why: &ConnectionError,
    error: &SliceError,
) -> Consequence {
    // A connection that has stopped asks now and then whether the token works again. That is no news.
    if tries.active {
        let confirmation = belief::token_confirmation(ctx.config.doubt.refusal);
        let mut tx = ctx.store.begin_fenced(key).await?;
        let before = tx.refusals(key).await?;
        if let Some(wait) = belief::doubt(&why.code, &before, confirmation) {
            let line = ctx
                .failures
                .stream_failed(key, &format!("refuses the token: {}", why.code));
            crate::log_failure!(line, warn, { code = %why.code, times = before.times + 1 }, "intercom refuses the token, so it is asked again");
            tx.doubt_refusal(key, &why.code, &describe(error), wait.as_secs_f64())
                .await?;
            tx.commit().await?;
            return Ok(retry_after(wait));
        }
    }
    if state == "error" {
        tracing::error!("intercom has suspended this app's token");
    } else {
        tracing::warn!("intercom refuses the token, so the customer has to reconnect");
    }
    end_connection(ctx, key, state, why).await
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
pub(super) enum Probe {
    Alive,
    Dead,
    Unknown,
}

/// Asks `/me` with the connection's token, because a 401 may also mean a missing scope.
pub(super) async fn probe(ctx: &Context, key: SliceKey) -> Probe {
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
