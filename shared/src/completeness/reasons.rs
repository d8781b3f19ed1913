//! The facts that keep a copy from being complete. It is complete exactly if there are none.

use super::{
    facts::{
        AuditFacts, Blocked, ConnectionFacts, Facts, QuarantineFacts, SetAsideFacts, StreamFacts,
    },
    sentences,
    status::Reason,
};
use crate::domain::Stream;

/// Why the copy is not complete, most important first.
pub(super) fn reasons(facts: &Facts) -> Vec<Reason> {
    let mut reasons = Vec::new();
    // A stopped connection explains every reason behind it, so it comes first.
    reasons.extend(connection(&facts.connection));
    reasons.extend(
        facts
            .streams
            .iter()
            .filter(|stream| !has_waiting_threads_only(facts, stream))
            .filter_map(stream),
    );
    reasons.extend(
        Stream::ALL
            .iter()
            .copied()
            .filter(|stream| facts.stream(*stream).is_none())
            .map(|stream| {
                // Only the end of a connect makes the rows of streams, so waiting would not help.
                Reason::new("not_planned", sentences::not_scheduled(stream))
                    .stream(stream)
                    .action(sentences::CONNECT_AGAIN_TO_SCHEDULE)
            }),
    );
    let waiting = &facts.waiting;
    if waiting.count > 0 {
        reasons.push(
            Reason::new("waiting_threads", sentences::waiting_threads(waiting))
                .stream(Stream::Threads)
                .count(waiting.count)
                .action(sentences::RETRY_THREADS)
                .until(waiting.next_at),
        );
    }
    let pending = facts.threads.pending - waiting.count;
    if pending > 0 {
        reasons.push(
            Reason::new("pending_threads", sentences::pending_threads(pending))
                .stream(Stream::Threads)
                .count(pending),
        );
    }
    let pending = facts.pending_companies;
    if pending > 0 {
        reasons.push(
            Reason::new("wanted_companies", sentences::pending_companies(pending))
                .stream(Stream::Companies)
                .count(pending),
        );
    }
    reasons.extend(facts.quarantined.iter().map(quarantine));
    reasons.extend(facts.set_aside.iter().map(set_aside));
    reasons.extend(
        facts
            .audit
            .as_ref()
            .and_then(|audit| audit_differs(facts, audit)),
    );
    reasons.extend(
        facts
            .open_run
            .map(|run| Reason::new("run_open", sentences::open_run(run))),
    );
    reasons
}

/// Whether the first walk of the threads has ended but for threads that wait. Those are a reason of their own.
fn has_waiting_threads_only(facts: &Facts, stream: &StreamFacts) -> bool {
    stream.stream == Stream::Threads
        && stream.last_ok_at.is_none()
        && stream.attempts == 0
        && !stream.is_dead
        && stream.blocked.is_none()
        && facts.waiting.count > 0
}

fn connection(connection: &ConnectionFacts) -> Option<Reason> {
    match connection {
        ConnectionFacts::Active => None,
        ConnectionFacts::Stopped(stopped) => Some(blocked(stopped)),
        ConnectionFacts::Disconnected => Some(
            Reason::new("disconnected", sentences::DISCONNECTED.to_owned())
                .action(sentences::CONNECT_AGAIN),
        ),
    }
}

fn blocked(blocked: &Blocked) -> Reason {
    let action = blocked
        .action
        .as_deref()
        .unwrap_or(sentences::NOTHING_TO_DO_AT_ALL);
    Reason::new(&blocked.code, blocked.message.clone())
        .action(action)
        .until(blocked.until)
}

/// The most important reason of one stream. The order of the branches is the order of importance: a
/// cause that stops the stream comes before one that only delays it.
fn stream(facts: &StreamFacts) -> Option<Reason> {
    let reason = if let Some(cause) = &facts.blocked {
        blocked(cause)
    } else if facts.is_dead {
        Reason::new("dead_letter", sentences::dead_letter(facts))
            .action(sentences::RETRY_DEAD_LETTER)
            .until(facts.due_at)
    } else if facts.attempts > 0 {
        Reason::new("retrying", sentences::retrying(facts)).until(facts.due_at)
    } else if facts.is_walking {
        let code = if facts.last_ok_at.is_none() {
            "first_walk"
        } else {
            "walking"
        };
        Reason::new(code, sentences::walking(facts))
    } else if facts.last_ok_at.is_none() {
        Reason::new("not_begun", sentences::not_synced_yet(facts.stream)).until(facts.due_at)
    } else {
        count_mismatch(facts)?
    };
    Some(reason.stream(facts.stream))
}

/// The stored count against Intercom's, once a walk has ended.
fn count_mismatch(facts: &StreamFacts) -> Option<Reason> {
    let difference = facts.expected? - facts.held;
    let reason = match difference {
        0 => return None,
        1.. => Reason::new("short", sentences::short(facts, difference)).count(difference),
        _ => Reason::new("surplus", sentences::surplus(facts)).count(-difference),
    };
    Some(reason.until(facts.due_at))
}

fn stream_of(kind: &str) -> Stream {
    match kind {
        "contact" => Stream::Contacts,
        "company" => Stream::Companies,
        "conversation" => Stream::Conversations,
        _ => Stream::Reference,
    }
}

fn set_aside(set_aside: &SetAsideFacts) -> Reason {
    let stream = stream_of(&set_aside.kind);
    let message = sentences::set_aside(stream, set_aside);
    Reason::new("set_aside", message)
        .stream(stream)
        .count(set_aside.count)
        .action(sentences::ASKED_AGAIN)
        .until(set_aside.next_try_at)
}

fn quarantine(quarantined: &QuarantineFacts) -> Reason {
    let stream = stream_of(&quarantined.kind);
    let message = sentences::quarantined(stream, quarantined);
    Reason::new("quarantined", message)
        .stream(stream)
        .count(quarantined.count)
        .action(&sentences::reread_quarantine(quarantined.count))
}

/// The last audit found threads that differ, and not every thread was read again since then.
fn audit_differs(facts: &Facts, audit: &AuditFacts) -> Option<Reason> {
    facts.stream(Stream::Conversations)?;
    if audit.threads_differing == 0 || facts.is_walked_since(Stream::Conversations, audit) {
        return None;
    }
    Some(
        Reason::new("audit_differs", sentences::audit_differs(audit))
            .stream(Stream::Threads)
            .count(audit.threads_differing.into()),
    )
}
