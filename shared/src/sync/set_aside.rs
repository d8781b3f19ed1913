//! How long a record that Intercom does not give is set aside.

use std::time::Duration;

use super::{SliceError, slice::SliceContext};
use crate::{
    backoff::Backoff,
    store::{Retry, SetAside, WorkerTx},
};

/// The longest wait before a record that was set aside is asked for again.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);
/// A record whose id is unknown is looked for by a walk, which costs far more than a question. Its first wait is this
/// many times as long.
const WALK_COST: u32 = 20;

/// Sets records aside until their next try. Returns how many no longer count as unreadable.
pub(super) async fn set_aside(
    tx: &mut WorkerTx,
    cx: &SliceContext<'_>,
    kind: &'static str,
    records: &[SetAside],
) -> Result<i64, SliceError> {
    let (walks, questions): (Vec<_>, Vec<_>) = records
        .iter()
        .cloned()
        .partition(|record| record.retry == Retry::Walk);
    let wait = |first: Duration| {
        move |tries: u32| {
            Backoff::new(first, LONGEST_WAIT)
                .with_half_jitter()
                .delay(tries)
        }
    };
    let connection = cx.key.connection;
    let first = cx.config().intervals.record_retry;
    let converted = tx
        .set_aside(connection, kind, &questions, wait(first))
        .await?;
    let of_walks = tx
        .set_aside(
            connection,
            kind,
            &walks,
            wait(first.saturating_mul(WALK_COST)),
        )
        .await?;
    Ok(converted + of_walks)
}
