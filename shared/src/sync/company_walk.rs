//! When a walk of companies ends, and what it has served.

use chrono::{DateTime, TimeDelta, Utc};

use super::slice::SliceContext;
use crate::{
    domain::Mode,
    store::{CompanyFetches, WalkEnd},
};

/// Every fetch that was queued up to now is served by the calls from now on. A page of contacts that was being stored
/// when the slice began may have queued a later one, and the slice waited for it.
pub(super) fn served_until(cx: &SliceContext<'_>, fetches: &CompanyFetches) -> DateTime<Utc> {
    fetches
        .newest
        .map_or(cx.state.now, |newest| newest.max(cx.state.now))
}

/// The end of a scroll (`full`), or of a batch of companies by id.
pub(super) fn walk_end(
    cx: &SliceContext<'_>,
    started_at: DateTime<Utc>,
    full: bool,
    missing: Option<i64>,
) -> WalkEnd {
    // Counted from the last scroll. Fetches by id would otherwise put the next scroll off for ever.
    let every = cx.config().intervals.company_walk;
    // Single companies do not move the time of the next scroll.
    let next = match cx.state.walked_at {
        Some(walked_at) if !full => (walked_at + TimeDelta::from_std(every).unwrap_or_default()
            - cx.state.now)
            .as_seconds_f64()
            .max(0.0),
        _ => every.as_secs_f64(),
    };
    WalkEnd {
        mode: if full {
            cx.state.mode.max(Mode::Full)
        } else {
            Mode::Incremental
        },
        begun_at: cx.state.now,
        watermark: Some(started_at),
        overlap_probe: None,
        full,
        missing,
        next_in_seconds: Some(next),
    }
}
