//! Call reports that wait for the next call to the ledger.

use std::{collections::VecDeque, time::Duration};

use super::super::{
    headers::{RateLimitHeaders, WINDOW},
    protocol::CallReport,
};

/// A report waits this long for a call that takes it along, because other processes need it. Or it waits a third
/// of the usual latency if that is longer, because other processes learn of the window no sooner anyway.
pub const FLUSH_DELAY: Duration = Duration::from_millis(150);
/// This many reports do not wait any longer.
const FLUSH_COUNT: usize = 48;
/// One call takes along at most this many reports.
const MAX_REPORTS: usize = 128;

#[derive(Debug, Default)]
pub(super) struct Reports {
    pending: VecDeque<Finished>,
    flush_at: Option<Duration>,
    /// How long responses take, as a moving mean.
    latency: Duration,
}

/// A finished call. Times become ages when the report is sent.
#[derive(Debug)]
struct Finished {
    tick: i64,
    sent_at: Duration,
    received_at: Duration,
    refused: bool,
    headers: RateLimitHeaders,
}

impl Reports {
    pub(super) fn push(
        &mut self,
        tick: i64,
        sent_at: Duration,
        refused: bool,
        headers: RateLimitHeaders,
        now: Duration,
    ) {
        self.pending.push_back(Finished {
            tick,
            sent_at,
            received_at: now,
            refused,
            headers,
        });
        self.latency = (self.latency * 15 + now.saturating_sub(sent_at).min(WINDOW)) / 16;
        self.flush_at
            .get_or_insert(now + FLUSH_DELAY.max(self.latency / 3));
    }

    /// Makes a call due now.
    pub(super) const fn flush(&mut self, now: Duration) {
        self.flush_at = Some(now);
    }

    /// Whether the reports should not wait any longer.
    pub(super) fn are_due(&self, now: Duration) -> bool {
        self.pending.len() >= FLUSH_COUNT || self.flush_at.is_some_and(|at| at <= now)
    }

    /// The reports that the next call takes along.
    pub(super) fn take(&mut self, now: Duration) -> Vec<CallReport> {
        let count = self.pending.len().min(MAX_REPORTS);
        let reports = self.pending.drain(..count).map(|call| CallReport {
            tick: call.tick,
            sent_ago: now.saturating_sub(call.sent_at),
            received_ago: now.saturating_sub(call.received_at),
            refused: call.refused,
            headers: call.headers,
        });
        let reports = reports.collect();
        self.flush_at = (!self.pending.is_empty()).then_some(now);
        reports
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }
}
