//! The whole answer in brief, for a person.

use chrono::{DateTime, Utc};

use super::{
    facts::Facts,
    sentences::{counted, time},
    status::Reason,
};
use crate::domain::Stream;

/// The most important reason against completeness, or what is stored if there is none.
pub(super) fn summary(
    facts: &Facts,
    reasons: &[Reason],
    notes: &[Reason],
    proven_at: Option<DateTime<Utc>>,
) -> String {
    let Some((first, others)) = reasons.split_first() else {
        return complete(facts, notes, proven_at);
    };
    let others = match others.len() {
        0 => String::new(),
        1 => " There is one more reason.".to_owned(),
        others => format!(" There are {others} more reasons."),
    };
    format!("Not complete: {}{others}", first.message)
}

fn complete(facts: &Facts, notes: &[Reason], proven_at: Option<DateTime<Utc>>) -> String {
    let held = |stream| facts.stream(stream).map_or(0, |facts| facts.held);
    let mut text = format!(
        "Complete as of {}: {}, {}, {} and {} are stored, which is everything that Intercom shows.",
        proven_at.map_or_else(|| "never".to_owned(), time),
        counted(held(Stream::Contacts), "contact"),
        counted(held(Stream::Companies), "company"),
        counted(held(Stream::Conversations), "conversation"),
        counted(facts.threads.complete, "whole thread"),
    );
    if !notes.is_empty() {
        text.push_str(" Please note:");
    }
    for note in notes {
        text.push(' ');
        text.push_str(&note.message);
    }
    text
}
