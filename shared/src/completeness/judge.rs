//! The judgement. A wrong "complete" would be a bug that no customer can see, so this is a pure
//! function with tests.

use super::{
    facts::{Facts, StreamFacts},
    notes::notes,
    reasons::reasons,
    sentences,
    status::{Reason, StreamState, StreamStatus, SyncStatus},
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
        sentence: sentences::summary(facts, &reasons, &notes, proven_at),
        streams: facts
            .streams
            .iter()
            .map(|stream| status(stream, &reasons))
            .collect(),
        reasons,
        notes,
        threads: facts.threads,
        audit: facts.audit,
    }
}

fn status(facts: &StreamFacts, reasons: &[Reason]) -> StreamStatus {
    let reason = reasons
        .iter()
        .find(|reason| reason.stream == Some(facts.stream));
    StreamStatus {
        stream: facts.stream,
        status: state(facts),
        watermark: facts.watermark,
        last_ok_at: facts.last_ok_at,
        held: facts.held,
        expected: facts.expected,
        complete: reason.is_none(),
        reason: reason.map(|reason| reason.message.clone()),
        blocked: facts.blocked.clone(),
    }
}

fn state(facts: &StreamFacts) -> StreamState {
    if facts.blocked.is_some() {
        StreamState::Blocked
    } else if facts.attempts > 0 && facts.last_error.is_some() {
        StreamState::Failed
    } else if facts.is_walking || (facts.is_due && facts.is_ticketed) {
        StreamState::Running
    } else if facts.is_due && facts.last_ok_at.is_none() {
        StreamState::Waiting
    } else {
        StreamState::Idle
    }
}

#[cfg(test)]
mod tests;
