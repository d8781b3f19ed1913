//! How a slice ends: what happens to its ticket, and which other streams are due.

use std::time::{Duration, Instant};

use crate::domain::{Stream, Verdict};

/// The end of a slice, from the stream to the queue. Every slice has one, because a failure has a consequence too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SliceOutcome {
    pub verdict: Verdict,
    /// Other streams of the connection that the slice made due.
    pub also_due: Vec<Stream>,
    /// The fence of another lease, at least as high as this slice's, under which the stream was taken over before.
    /// Either this slice's lease is an old one, or Redis lost count of the fences.
    pub stale_fence: Option<i64>,
    /// The label `outcome` of `pathbound_slices_finished_total`.
    pub(super) label: &'static str,
    /// Calls to Intercom that the slice has sent.
    pub calls: u32,
}

impl SliceOutcome {
    /// Ends the slice at once and continues at `instant`, which is never now.
    pub(super) fn snooze_until(instant: Instant) -> Self {
        let wait = instant.saturating_duration_since(Instant::now());
        Verdict::Snooze(wait.max(Duration::from_millis(1))).into()
    }

    /// The slice did nothing, because its fence is not above the stream's.
    pub(super) fn stale(fence: i64) -> Self {
        Self {
            stale_fence: Some(fence),
            ..Self::from(Verdict::Requeue)
        }
        .labelled("stale")
    }

    pub(super) fn labelled(self, label: &'static str) -> Self {
        Self { label, ..self }
    }

    /// Whether its work could not be done: an attempt failed, Intercom refused, or Postgres was away.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        ["retry", "dead", "store", "blocked", "reauth_required"].contains(&self.label)
    }

    pub(super) fn with_due(self, also_due: Vec<Stream>) -> Self {
        Self { also_due, ..self }
    }
}

impl From<Verdict> for SliceOutcome {
    fn from(verdict: Verdict) -> Self {
        Self {
            verdict,
            also_due: Vec::new(),
            stale_fence: None,
            label: verdict.as_str(),
            calls: 0,
        }
    }
}
