//! Every sentence about completeness that a customer or an operator reads.
//!
//! The voice is a friend in a hurry: what is so, what it means, what to do. `judge/tests.rs`
//! keeps a snapshot of all of them, so a change of wording shows in review.

use chrono::{DateTime, Utc};

use super::facts::{
    AuditFacts, OpenRun, QuarantineFacts, SetAsideFacts, StreamFacts, WaitingThreads,
};
use crate::domain::{Mode, Stream};

pub(super) const NOTHING_TO_DO: &str = "Nothing to do. The sync continues on its own.";
pub(super) const NOTHING_TO_DO_AT_ALL: &str = "Nothing to do.";
pub(super) const CONNECT_AGAIN: &str = "Connect the workspace again to resume syncing.";
pub(super) const CONNECT_AGAIN_TO_SCHEDULE: &str =
    "Connect the workspace again, because that schedules every sync.";
pub(super) const RETRY_DEAD_LETTER: &str = "Nothing to do for the customer. The sync is retried on its own, and operators can \
     retry it now with `pathbound dead retry`.";
pub(super) const REREAD_THREADS: &str = "Nothing to do. A thread is read again when its conversation changes, and in every full sync. One \
     that Intercom refuses is also asked for once a day.";
pub(super) const RETRY_THREADS: &str = "Nothing to do. Each of them is tried again on its own, and a requested sync tries them at once.";
pub(super) const EXPORT_HAS_THEM: &str =
    "The API cannot provide them. An export of the workspace's data from Intercom can.";
pub(super) const FULL_SYNC_IF_IT_GROWS: &str =
    "Nothing to do. If the difference grows, a full sync starts on its own.";
pub(super) const ASKED_AGAIN: &str = "Nothing to do. The question is asked again on its own, ever less often. Operators can ask it \
     now with `pathbound replay`.";
pub(super) const DISCONNECTED: &str = "The workspace is disconnected, so nothing is synced.";

pub(super) fn not_scheduled(stream: Stream) -> String {
    format!("No sync of {} is scheduled.", name(stream))
}

pub(super) fn pending_threads(count: i64) -> String {
    match count {
        1 => "1 thread is waiting to be fetched.".to_owned(),
        _ => format!("{count} threads are waiting to be fetched, most recently changed first."),
    }
}

pub(super) fn waiting_threads(waiting: &WaitingThreads) -> String {
    let WaitingThreads {
        count,
        example,
        error,
        ..
    } = waiting;
    let error = error.trim_end_matches('.');
    match count {
        1 => format!("1 thread could not be fetched yet, of conversation {example}: {error}."),
        _ => format!(
            "{count} threads could not be fetched yet. The next one to be tried is of conversation {example}: {error}."
        ),
    }
}

pub(super) fn pending_companies(count: i64) -> String {
    match count {
        1 => "1 company is waiting to be fetched by its id.".to_owned(),
        _ => format!("{count} companies are waiting to be fetched by their ids."),
    }
}

pub(super) fn open_run(run: OpenRun) -> String {
    let run_of = match run.mode {
        Mode::Incremental => "An incremental run",
        Mode::Full => "A full run",
        Mode::Reconcile => "A reconcile run",
    };
    format!(
        "{run_of} that was requested at {} has not finished.",
        time(run.requested_at)
    )
}

pub(super) fn dead_letter(facts: &StreamFacts) -> String {
    format!(
        "Syncing {} failed too often in a row, so it is now retried less often. Last error: {}.",
        name(facts.stream),
        last_error(facts)
    )
}

pub(super) fn retrying(facts: &StreamFacts) -> String {
    let times = match facts.attempts {
        1 => "once".to_owned(),
        attempts => format!("{attempts} times in a row"),
    };
    format!(
        "Syncing {} failed {times} and is retried soon. Last error: {}.",
        name(facts.stream),
        last_error(facts)
    )
}

pub(super) fn walking(facts: &StreamFacts) -> String {
    let which = if facts.last_ok_at.is_none() {
        "The first sync"
    } else {
        "A sync"
    };
    let stored = match facts.stream {
        // Its lists are replaced as a whole, so a count would say nothing about progress.
        Stream::Reference => String::new(),
        _ => format!(", with {} stored so far", facts.held),
    };
    format!("{which} of {} is under way{stored}.", name(facts.stream))
}

pub(super) fn not_synced_yet(stream: Stream) -> String {
    match stream {
        Stream::Reference => "Reference data has not been synced yet.".to_owned(),
        _ => format!("{} have not been synced yet.", capitalized(name(stream))),
    }
}

pub(super) fn short(facts: &StreamFacts, missing: i64) -> String {
    let (noun, them) = match missing {
        1 => (facts.stream.noun().to_owned(), "it"),
        _ => (plural(facts.stream.noun()), "them"),
    };
    format!(
        "Intercom counts {missing} more {noun} than the {} stored here. The next sync looks for \
         {them}.",
        facts.held
    )
}

pub(super) fn surplus(facts: &StreamFacts) -> String {
    format!(
        "{} stored here, but Intercom is known to have {}. A full sync settles the difference.",
        are(facts.held, facts.stream.noun()),
        facts.expected.unwrap_or_default()
    )
}

pub(super) fn quarantined(stream: Stream, quarantined: &QuarantineFacts) -> String {
    let QuarantineFacts { count, example, .. } = quarantined;
    match count {
        1 => format!(
            "1 {} could not be read and is stored exactly as Intercom sent it: {example}.",
            stream.noun()
        ),
        _ => format!(
            "{count} {} could not be read and are stored exactly as Intercom sent them, for \
             example {example}.",
            plural(stream.noun())
        ),
    }
}

pub(super) fn set_aside(stream: Stream, set_aside: &SetAsideFacts) -> String {
    let SetAsideFacts {
        count,
        example,
        reason,
        ..
    } = set_aside;
    let which = match count {
        1 => format!("1 {} was", stream.noun()),
        _ => format!("{count} {} were", plural(stream.noun())),
    };
    let example = match count {
        1 => example.clone(),
        _ => format!("for example {example}"),
    };
    format!(
        "{which} not given in full by Intercom ({example}): {}.",
        reason.trim_end_matches('.')
    )
}

pub(super) fn reread_quarantine(count: i64) -> String {
    let (it, changes) = match count {
        1 => ("It is", "it changes"),
        _ => ("They are", "they change"),
    };
    format!("Nothing to do. {it} read again when {changes}, and in every full sync.")
}

pub(super) fn audit_differs(audit: &AuditFacts) -> String {
    format!(
        "The audit at {} read {} again and found that {} from Intercom. Every thread is now read \
         again.",
        time(audit.audited_at),
        counted(audit.threads_read.into(), "thread"),
        match audit.threads_differing {
            1 => "1 differs".to_owned(),
            differing => format!("{differing} differ"),
        },
    )
}

pub(super) fn truncated_threads(threads: i64, parts: i64) -> String {
    format!(
        "{} truncated, because Intercom shows only the newest 500 parts of a conversation and {} \
         never shown.",
        are(threads, "thread"),
        match parts {
            // Intercom does not always count them.
            0 => "older parts were".to_owned(),
            _ => were(parts, "older part"),
        },
    )
}

pub(super) fn blocked_threads(count: i64) -> String {
    format!("{} could not be read in full.", counted(count, "thread"))
}

pub(super) fn gone_threads(count: i64) -> String {
    let copy = match count {
        1 => "Its stored copy is kept.",
        _ => "Their stored copies are kept.",
    };
    format!(
        "{} deleted in Intercom. {copy}",
        were(count, "conversation")
    )
}

pub(super) fn absent(stream: Stream, count: i64) -> String {
    let (it, was) = match count {
        1 => ("It is", "it was"),
        _ => ("They are", "they were"),
    };
    format!(
        "{} stored here, but the last full sync did not find {} in Intercom. {it} kept until a \
         second full sync and a lookup by id confirm that {was} deleted.",
        are(count, stream.noun()),
        if count == 1 { "it" } else { "them" },
    )
}

pub(super) fn count_differs(stream: Stream, missing: i64) -> String {
    let noun = stream.noun();
    let (more, them) = match missing {
        1 => (format!("1 more {noun} than is"), "it"),
        _ => (format!("{missing} more {} than are", plural(noun)), "them"),
    };
    format!("Intercom's search counts {more} stored here, but its list does not show {them}.")
}

pub(super) fn quarantined_parts(count: i64) -> String {
    match count {
        1 => "1 part could not be read and is stored exactly as Intercom sent it.".to_owned(),
        _ => {
            format!("{count} parts could not be read and are stored exactly as Intercom sent them.")
        }
    }
}

/// Why the thread of one conversation is not whole, or not yet. `None` if it is whole.
///
/// `status` and `error` are the columns of `threads`. A conversation whose thread has no row yet is
/// pending.
#[must_use]
pub fn thread_reason(status: &str, error: Option<&str>) -> Option<String> {
    match (status, error) {
        ("complete", _) => None,
        ("gone", _) => {
            Some("The conversation was deleted in Intercom. Its stored copy is kept.".to_owned())
        }
        ("pending", None) => Some(
            "The thread is waiting to be fetched. Threads with the most recent changes come first."
                .to_owned(),
        ),
        (_, error) => error.map(str::to_owned),
    }
}

/// The last error without its full stop, because the sentence around it adds one.
fn last_error(facts: &StreamFacts) -> &str {
    facts
        .last_error
        .as_deref()
        .unwrap_or("no cause was recorded")
        .trim_end_matches('.')
}

/// A stream as it stands in the middle of a sentence.
const fn name(stream: Stream) -> &'static str {
    match stream {
        Stream::Reference => "reference data",
        _ => stream.as_str(),
    }
}

fn plural(noun: &str) -> String {
    match noun.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{noun}s"),
    }
}

pub(super) fn counted(count: i64, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {}", plural(noun)),
    }
}

fn are(count: i64, noun: &str) -> String {
    let verb = if count == 1 { "is" } else { "are" };
    format!("{} {verb}", counted(count, noun))
}

fn were(count: i64, noun: &str) -> String {
    let verb = if count == 1 { "was" } else { "were" };
    format!("{} {verb}", counted(count, noun))
}

fn capitalized(text: &str) -> String {
    let mut text = text.to_owned();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

pub(super) fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}
