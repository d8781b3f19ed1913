//! What is missing and why, in words: a connection is complete exactly when nothing is left to say here.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{
    judgement::{Connected, Facts, StreamRow},
    sync_status::{AuditStatus, Blocked, ThreadCounts},
};
use crate::domain::{Mode, Stream};

/// Something that is missing, or that keeps us from saying that nothing is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// `walking`, `retrying`, `quarantined` …: for programs.
    pub code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<Stream>,
    /// How many objects it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<i64>,
    /// A sentence, for people.
    pub message: String,
    /// The next step, and whose it is.
    pub action: String,
    /// When it is looked at again by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
}

impl Reason {
    fn new(code: &str, message: String) -> Self {
        Self {
            code: code.to_owned(),
            stream: None,
            count: None,
            message,
            action: "None: it goes on by itself.".to_owned(),
            until: None,
        }
    }

    fn of(mut self, stream: Stream) -> Self {
        self.stream = Some(stream);
        self
    }

    const fn count(mut self, count: i64) -> Self {
        self.count = Some(count);
        self
    }

    fn action(mut self, action: &str) -> Self {
        action.clone_into(&mut self.action);
        self
    }

    const fn until(mut self, until: Option<DateTime<Utc>>) -> Self {
        self.until = until;
        self
    }
}

/// Why the connection is not complete, most telling first. Empty: it is.
pub(super) fn reasons(rows: &[StreamRow], threads: ThreadCounts, facts: &Facts) -> Vec<Reason> {
    let mut reasons = Vec::new();
    reasons.extend(of_connection(&facts.connected));
    reasons.extend(rows.iter().filter_map(of_stream));
    for stream in Stream::ALL
        .iter()
        .filter(|stream| !rows.iter().any(|row| row.stream == **stream))
    {
        reasons.push(
            Reason::new("not_planned", format!("{stream} is not planned at all.")).of(*stream),
        );
    }
    if threads.pending > 0 {
        let message = format!(
            "{} not fetched yet, newest change first.",
            are(threads.pending, "thread")
        );
        reasons.push(
            Reason::new("pending_threads", message)
                .of(Stream::Threads)
                .count(threads.pending),
        );
    }
    if facts.wanted_companies > 0 {
        let message = format!(
            "{} still to be asked for by id.",
            are(facts.wanted_companies, "company")
        );
        reasons.push(
            Reason::new("wanted_companies", message)
                .of(Stream::Companies)
                .count(facts.wanted_companies),
        );
    }
    for quarantined in &facts.quarantined {
        reasons.push(of_quarantine(quarantined));
    }
    reasons.extend(
        facts
            .audit
            .as_ref()
            .and_then(|audit| of_differing(rows, audit)),
    );
    if let Some(run) = &facts.open_run {
        let message = format!(
            "A run ({}) asked for at {} has not ended.",
            run.mode,
            time(run.requested_at)
        );
        reasons.push(Reason::new("run_open", message));
    }
    reasons
}

/// What is not held and will not come, or may not stay: told beside completeness, which it does not change.
pub(super) fn notes(rows: &[StreamRow], threads: ThreadCounts, facts: &Facts) -> Vec<Reason> {
    let mut notes = Vec::new();
    if threads.truncated > 0 {
        let message = format!(
            "{} truncated: Intercom shows the newest 500 parts of a conversation, and {} never shown to us.",
            are(threads.truncated, "thread"),
            were(facts.parts_missing, "older part"),
        );
        let action = "None over the API: an export of the workspace's data from Intercom has them.";
        notes.push(
            Reason::new("truncated_threads", message)
                .of(Stream::Threads)
                .count(threads.truncated)
                .action(action),
        );
    }
    if threads.blocked > 0 {
        let message = format!(
            "{} unreadable in part or whole.",
            are(threads.blocked, "thread")
        );
        let action =
            "None: each is read again when its conversation changes, or by a reconcile run.";
        notes.push(
            Reason::new("blocked_threads", message)
                .of(Stream::Threads)
                .count(threads.blocked)
                .action(action),
        );
    }
    if threads.gone > 0 {
        let message = format!(
            "{} deleted in Intercom; what was held stays.",
            were(threads.gone, "conversation")
        );
        notes.push(
            Reason::new("gone_threads", message)
                .of(Stream::Threads)
                .count(threads.gone)
                .action("None."),
        );
    }
    for (stream, count) in &facts.absent {
        let message = format!(
            "{} held that the last full walk did not show: kept until a second walk and a question by id say that \
             they were deleted.",
            are(*count, one_of(*stream)),
        );
        notes.push(Reason::new("absent", message).of(*stream).count(*count));
    }
    if let Some(audit) = &facts.audit {
        notes.extend(of_audit(rows, audit));
    }
    if facts.parts_quarantined > 0 {
        let message = format!(
            "{} unreadable: kept as they came.",
            are(facts.parts_quarantined, "part")
        );
        notes.push(
            Reason::new("quarantined_parts", message)
                .of(Stream::Threads)
                .count(facts.parts_quarantined),
        );
    }
    notes
}

/// Threads were not what they were called, and not every thread has been read again since.
fn of_differing(rows: &[StreamRow], audit: &AuditStatus) -> Option<Reason> {
    let (read, differing) = (
        audit.found.threads_read,
        i64::from(audit.found.threads_differing),
    );
    let walked_at = rows
        .iter()
        .find(|row| row.stream == Stream::Conversations)?
        .walked_at;
    if differing == 0 || walked_at.is_some_and(|walked_at| walked_at > audit.audited_at) {
        return None;
    }
    let message = format!(
        "The audit at {} found {differing} of {read} threads not to be what Intercom shows: every thread is read again.",
        time(audit.audited_at),
    );
    Some(
        Reason::new("audit_differs", message)
            .of(Stream::Threads)
            .count(differing),
    )
}

/// A count that was off, and that no full walk since has explained.
fn of_audit(rows: &[StreamRow], audit: &AuditStatus) -> impl Iterator<Item = Reason> {
    let counts = [
        (Stream::Contacts, audit.found.contacts_missing),
        (Stream::Conversations, audit.found.conversations_missing),
    ];
    counts.into_iter().filter_map(|(stream, missing)| {
        let missing = missing.filter(|missing| *missing > 0)?;
        let walked_at = rows.iter().find(|row| row.stream == stream)?.walked_at;
        if walked_at.is_some_and(|walked_at| walked_at > audit.audited_at) {
            return None;
        }
        let message = format!(
            "Intercom's search counts {missing} more of {stream} than are held, and its list does not show them."
        );
        let action = "None: a full walk is made due when that number rises.";
        Some(Reason::new("count_differs", message).of(stream).count(missing).action(action))
    })
}

fn of_connection(connected: &Connected) -> Option<Reason> {
    match connected {
        Connected::Yes => None,
        Connected::No(error) => {
            Some(Reason::new(&error.code, error.message.clone()).action(&error.action))
        }
        Connected::Ended => {
            let message = "The connection was ended: nothing is read any more.".to_owned();
            Some(
                Reason::new("disconnected", message)
                    .action("Connect the workspace again to go on."),
            )
        }
    }
}

/// The one most telling reason of a stream.
fn of_stream(row: &StreamRow) -> Option<Reason> {
    let stream = row.stream;
    let held = row.held;
    let reason = if let Some(Blocked {
        code,
        message,
        action,
        until,
    }) = &row.blocked
    {
        let action = action.as_deref().unwrap_or("None.");
        Reason::new(code, message.clone())
            .action(action)
            .until(*until)
    } else if row.dead {
        let message = format!("{stream} failed too often and waits: {}.", row.cause());
        let action =
            "Operators: `pathbound dead list`, then `dead retry`; else it tries again by itself.";
        Reason::new("dead_letter", message)
            .action(action)
            .until(row.due_at)
    } else if row.attempts > 0 {
        let message = format!(
            "{stream} failed {} and is tried again: {}.",
            times(row.attempts),
            row.cause()
        );
        Reason::new("retrying", message).until(row.due_at)
    } else if row.walking {
        let (code, which) = if row.last_ok_at.is_none() {
            ("first_walk", "The first walk")
        } else {
            ("walking", "A walk")
        };
        let far = if stream == Stream::Reference {
            String::new()
        } else {
            format!(": {held} held so far")
        };
        Reason::new(code, format!("{which} through {stream} is under way{far}."))
    } else if row.last_ok_at.is_none() {
        Reason::new("not_begun", format!("{stream} was not read yet.")).until(row.due_at)
    } else {
        match row.expected {
            Some(expected) if expected > held => {
                let missing = expected - held;
                let message = format!(
                    "Intercom counts {missing} more of {stream} than the {held} that are held: the next walk looks for them."
                );
                Reason::new("short", message)
                    .count(missing)
                    .until(row.due_at)
            }
            Some(expected) if expected < held => {
                let message = format!(
                    "{held} of {stream} are held where {expected} are known to exist: a full walk settles it."
                );
                Reason::new("surplus", message)
                    .count(held - expected)
                    .until(row.due_at)
            }
            _ => return None,
        }
    };
    Some(reason.of(stream))
}

fn of_quarantine((kind, count, example): &(String, i64, String)) -> Reason {
    let stream = match kind.as_str() {
        "contact" => Stream::Contacts,
        "company" => Stream::Companies,
        "conversation" => Stream::Conversations,
        _ => Stream::Reference,
    };
    let noun = if kind == "reference" {
        "list item"
    } else {
        kind
    };
    let message = format!(
        "{} unreadable and kept as it came, {example} among them.",
        are(*count, noun)
    );
    Reason::new("quarantined", message)
        .of(stream)
        .count(*count)
        .action("None: each is read again when it changes, and by every full walk.")
}

/// The whole answer in one sentence.
pub(super) fn sentence(
    rows: &[StreamRow],
    threads: ThreadCounts,
    reasons: &[Reason],
    notes: &[Reason],
    proven_at: Option<DateTime<Utc>>,
) -> String {
    match reasons {
        [] => {
            let held = |stream| {
                rows.iter()
                    .find(|row| row.stream == stream)
                    .map_or(0, |row| row.held)
            };
            let mut text = format!(
                "Complete as of {}: {}, {}, {} and {} are held, all that Intercom shows",
                proven_at.map_or_else(|| "never".to_owned(), time),
                counted(held(Stream::Contacts), "contact"),
                counted(held(Stream::Companies), "company"),
                counted(held(Stream::Conversations), "conversation"),
                counted(threads.complete, "whole thread"),
            );
            match notes {
                [] => text.push('.'),
                notes => {
                    let said: Vec<&str> = notes
                        .iter()
                        .map(|note| note.message.trim_end_matches('.'))
                        .collect();
                    text.push_str("; beside it: ");
                    text.push_str(&said.join("; "));
                    text.push('.');
                }
            }
            text
        }
        [first, rest @ ..] => {
            let more = match rest.len() {
                0 => String::new(),
                1 => " One more reason is listed.".to_owned(),
                more => format!(" {more} more reasons are listed."),
            };
            format!("Not complete: {}{more}", first.message)
        }
    }
}

const fn one_of(stream: Stream) -> &'static str {
    match stream {
        Stream::Contacts => "contact",
        Stream::Companies => "company",
        Stream::Conversations => "conversation",
        Stream::Threads => "thread",
        Stream::Reference => "list item",
    }
}

fn counted(count: i64, noun: &str) -> String {
    match (count, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{count} {stem}ies"),
        (_, None) => format!("{count} {noun}s"),
    }
}

fn are(count: i64, noun: &str) -> String {
    format!(
        "{} {}",
        counted(count, noun),
        if count == 1 { "is" } else { "are" }
    )
}

fn were(count: i64, noun: &str) -> String {
    format!(
        "{} {}",
        counted(count, noun),
        if count == 1 { "was" } else { "were" }
    )
}

fn times(attempts: i32) -> String {
    if attempts == 1 {
        "once".to_owned()
    } else {
        format!("{attempts} times in a row")
    }
}

fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A run that has not ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpenRun {
    pub(super) mode: Mode,
    pub(super) requested_at: DateTime<Utc>,
}
