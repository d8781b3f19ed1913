//! The judgement. A wrong "complete" would be a bug that no customer can see, so this is a pure
//! function with tests.

use super::{
    facts::{Facts, StreamFacts},
    notes::notes,
    reasons::reasons,
    status::{Reason, StreamActivity, StreamStatus, SyncStatus},
    summary::summary,
};

/// Judges one connection. The copy is complete exactly if there is no reason against it.
#[must_use]
pub fn judge(facts: &Facts) -> SyncStatus {
    let (reasons, notes) = (reasons(facts), notes(facts));
    let complete = reasons.is_empty();
    // The proof is as old as the stream that ended its last walk first.
    let proven_at = facts
        .streams
        .iter()
        .filter_map(|stream| stream.last_ok_at)
        .min()
        .filter(|_| complete);
    SyncStatus {
        complete,
        proven_at,
        sentence: summary(facts, &reasons, &notes, proven_at),
        streams: facts
            .streams
            .iter()
            .map(|stream| status(stream, &reasons))
            .collect(),
        reasons,
        notes,
        threads: facts.threads,
        threads_waiting: facts.waiting.count,
        audit: facts.audit,
    }
}

fn status(facts: &StreamFacts, reasons: &[Reason]) -> StreamStatus {
    // The reasons are sorted by importance, so the first one of the stream speaks for it.
    let reason = reasons
        .iter()
        .find(|reason| reason.stream == Some(facts.stream));
    StreamStatus {
        stream: facts.stream,
        status: activity(facts),
        watermark: facts.watermark,
        last_ok_at: facts.last_ok_at,
        held: facts.held,
        expected: facts.expected,
        complete: reason.is_none(),
        reason: reason.map(|reason| reason.message.clone()),
        blocked: facts.blocked.clone(),
    }
}

fn activity(facts: &StreamFacts) -> StreamActivity {
    // A cause that stops the stream hides the work that it stops, so it is asked first.
    if facts.blocked.is_some() {
        StreamActivity::Blocked
    } else if facts.attempts > 0 && facts.last_error.is_some() {
        StreamActivity::Failed
    } else if facts.is_walking || (facts.is_due && facts.is_ticketed) {
        StreamActivity::Running
    } else if facts.is_due && facts.last_ok_at.is_none() {
        StreamActivity::Waiting
    } else {
        StreamActivity::Idle
    }
}

#[cfg(test)]
mod tests;
