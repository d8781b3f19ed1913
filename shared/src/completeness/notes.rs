//! Facts that do not change the answer and that a reader should know: objects that cannot be fetched,
//! and objects that may be deleted.

use super::{
    facts::{AuditFacts, Facts},
    sentences,
    status::Reason,
};
use crate::domain::Stream;

pub(super) fn notes(facts: &Facts) -> Vec<Reason> {
    let mut notes = threads(facts);
    for (stream, count) in &facts.absent {
        let note = Reason::new("absent", sentences::absent(*stream, *count));
        notes.push(note.stream(*stream).count(*count));
    }
    if let Some(audit) = &facts.audit {
        notes.extend(count_differs(facts, audit));
    }
    let parts = facts.quarantined_parts;
    if parts > 0 {
        let note = Reason::new("quarantined_parts", sentences::quarantined_parts(parts));
        notes.push(note.stream(Stream::Threads).count(parts));
    }
    notes
}

/// Threads in a final state that is not `complete`.
fn threads(facts: &Facts) -> Vec<Reason> {
    let threads = facts.threads;
    let kinds = [
        (
            "truncated_threads",
            threads.truncated,
            sentences::truncated_threads(threads.truncated, facts.missing_parts),
            sentences::EXPORT_HAS_THEM,
        ),
        (
            "blocked_threads",
            threads.blocked,
            sentences::blocked_threads(threads.blocked),
            sentences::REREAD_THREADS,
        ),
        (
            "gone_threads",
            threads.gone,
            sentences::gone_threads(threads.gone),
            sentences::NOTHING_TO_DO_AT_ALL,
        ),
    ];
    kinds
        .into_iter()
        .filter(|(_, count, ..)| *count > 0)
        .map(|(code, count, message, action)| {
            Reason::new(code, message)
                .stream(Stream::Threads)
                .count(count)
                .action(action)
        })
        .collect()
}

/// The audit counted more objects than are stored, and no full walk since then has explained it.
fn count_differs(facts: &Facts, audit: &AuditFacts) -> impl Iterator<Item = Reason> {
    let counts = [
        (Stream::Contacts, audit.contacts_missing),
        (Stream::Conversations, audit.conversations_missing),
    ];
    counts.into_iter().filter_map(|(stream, missing)| {
        let missing = missing.filter(|missing| *missing > 0)?;
        facts.stream(stream)?;
        if facts.is_walked_since(stream, audit) {
            return None;
        }
        let message = sentences::count_differs(stream, missing);
        Some(
            Reason::new("count_differs", message)
                .stream(stream)
                .count(missing)
                .action(sentences::FULL_SYNC_IF_IT_GROWS),
        )
    })
}
