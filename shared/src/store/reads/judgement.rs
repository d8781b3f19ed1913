//! The judgement: what the rows say of a connection's completeness. A green answer without proof would be a bug, so
//! it is a pure function with tests.

use chrono::{DateTime, Utc};

use super::{
    reasons::{OpenRun, Reason, notes, reasons, sentence},
    sync_status::{AuditStatus, Blocked, StreamState, StreamStatus, SyncStatus, ThreadCounts},
};
use crate::{domain::Stream, store::ConnectionError};

/// Whether the connection syncs.
#[derive(Clone, Debug, Default)]
pub(super) enum Connected {
    #[default]
    Yes,
    No(ConnectionError),
    Ended,
}

/// What the judgement needs beyond streams and threads.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) connected: Connected,
    pub(super) open_run: Option<OpenRun>,
    pub(super) wanted_companies: i64,
    /// Kind, how many, one of their ids; parts are counted apart.
    pub(super) quarantined: Vec<(String, i64, String)>,
    pub(super) parts_quarantined: i64,
    /// Parts of truncated threads that were never shown.
    pub(super) parts_missing: i64,
    pub(super) absent: Vec<(Stream, i64)>,
    pub(super) audit: Option<AuditStatus>,
}

/// What a stream's row says, as far as the judgement needs it.
#[derive(Clone, Debug)]
pub(super) struct StreamRow {
    pub(super) stream: Stream,
    pub(super) due: bool,
    pub(super) ticketed: bool,
    pub(super) walking: bool,
    pub(super) watermark: Option<DateTime<Utc>>,
    pub(super) attempts: i32,
    pub(super) last_error: Option<String>,
    /// It was given up, and nobody has looked yet.
    pub(super) dead: bool,
    pub(super) due_at: Option<DateTime<Utc>>,
    pub(super) walked_at: Option<DateTime<Utc>>,
    pub(super) last_ok_at: Option<DateTime<Utc>>,
    pub(super) held: i64,
    pub(super) expected: Option<i64>,
    pub(super) blocked: Option<Blocked>,
}

pub(super) fn judge(rows: &[StreamRow], threads: ThreadCounts, facts: &Facts) -> SyncStatus {
    let (reasons, notes) = (reasons(rows, threads, facts), notes(rows, threads, facts));
    let complete = reasons.is_empty();
    let proven_at = rows
        .iter()
        .filter_map(|row| row.last_ok_at)
        .min()
        .filter(|_| complete);
    SyncStatus {
        complete,
        proven_at,
        sentence: sentence(rows, threads, &reasons, &notes, proven_at),
        streams: rows.iter().map(|row| row.status(&reasons)).collect(),
        reasons,
        notes,
        threads,
        audit: facts.audit,
    }
}

impl StreamRow {
    fn status(&self, reasons: &[Reason]) -> StreamStatus {
        let reason = reasons
            .iter()
            .find(|reason| reason.stream == Some(self.stream));
        StreamStatus {
            stream: self.stream,
            status: self.state(),
            watermark: self.watermark,
            last_ok_at: self.last_ok_at,
            held: self.held,
            expected: self.expected,
            complete: reason.is_none(),
            reason: reason.map(|reason| reason.message.clone()),
            blocked: self.blocked.clone(),
        }
    }

    fn state(&self) -> StreamState {
        if self.blocked.is_some() {
            StreamState::Blocked
        } else if self.attempts > 0 && self.last_error.is_some() {
            StreamState::Failed
        } else if self.walking || (self.due && self.ticketed) {
            StreamState::Running
        } else if self.due && self.last_ok_at.is_none() {
            StreamState::Waiting
        } else {
            StreamState::Idle
        }
    }

    /// What went wrong last, without the full stop.
    pub(super) fn cause(&self) -> &str {
        self.last_error
            .as_deref()
            .unwrap_or("nobody said why")
            .trim_end_matches('.')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled() -> Vec<StreamRow> {
        Stream::ALL
            .iter()
            .enumerate()
            .map(|(age, stream)| StreamRow {
                stream: *stream,
                due: false,
                ticketed: false,
                walking: false,
                watermark: None,
                attempts: 0,
                last_error: None,
                dead: false,
                due_at: None,
                walked_at: None,
                last_ok_at: DateTime::from_timestamp(1_000 + i64::try_from(age).unwrap(), 0),
                held: 5,
                expected: Some(5),
                blocked: None,
            })
            .collect()
    }

    #[test]
    fn a_settled_connection_is_proven_as_of_its_oldest_stream() {
        let status = judge(
            &settled(),
            ThreadCounts {
                complete: 5,
                truncated: 1,
                ..ThreadCounts::default()
            },
            &Facts::default(),
        );
        assert!(status.complete);
        assert_eq!(status.proven_at, DateTime::from_timestamp(1_000, 0));
    }

    #[test]
    fn anything_that_could_change_the_answer_makes_it_incomplete() {
        let changes: [fn(&mut StreamRow); 6] = [
            |row| row.walking = true,
            |row| row.last_ok_at = None,
            |row| row.attempts = 1,
            |row| row.expected = Some(6),
            |row| row.expected = Some(4),
            |row| {
                row.blocked = Some(Blocked {
                    code: "c".into(),
                    message: "m".into(),
                    action: None,
                    until: None,
                });
            },
        ];
        for (which, change) in changes.iter().enumerate() {
            for stream in 0..Stream::ALL.len() {
                let mut rows = settled();
                change(&mut rows[stream]);
                let status = judge(&rows, ThreadCounts::default(), &Facts::default());
                assert!(
                    !status.complete && status.proven_at.is_none(),
                    "change {which} of stream {stream}"
                );
                let named: Vec<usize> = (0..rows.len())
                    .filter(|other| !status.streams[*other].complete)
                    .collect();
                assert_eq!(named, [stream], "change {which}: {:?}", status.reasons);
            }
        }
        let none = ThreadCounts::default();
        assert!(
            !judge(
                &settled(),
                ThreadCounts { pending: 1, ..none },
                &Facts::default()
            )
            .complete
        );
        assert!(!judge(&settled()[1..], none, &Facts::default()).complete);
        assert!(!judge(&[], none, &Facts::default()).complete);
        let error = ConnectionError {
            code: "c".into(),
            message: "m".into(),
            action: "a".into(),
        };
        let run = OpenRun {
            mode: crate::domain::Mode::Full,
            requested_at: DateTime::UNIX_EPOCH,
        };
        for facts in [
            Facts {
                connected: Connected::No(error),
                ..Facts::default()
            },
            Facts {
                connected: Connected::Ended,
                ..Facts::default()
            },
            Facts {
                open_run: Some(run),
                ..Facts::default()
            },
            Facts {
                wanted_companies: 1,
                ..Facts::default()
            },
            Facts {
                quarantined: vec![("contact".into(), 1, "x".into())],
                ..Facts::default()
            },
        ] {
            let status = judge(&settled(), none, &facts);
            assert!(!status.complete && status.reasons.len() == 1, "{facts:?}");
            assert!(
                status.sentence.starts_with("Not complete: "),
                "{}",
                status.sentence
            );
        }
    }

    #[test]
    fn what_will_not_come_is_told_and_changes_nothing() {
        let threads = ThreadCounts {
            complete: 5,
            truncated: 2,
            gone: 1,
            blocked: 1,
            pending: 0,
        };
        let facts = Facts {
            parts_missing: 701,
            parts_quarantined: 3,
            absent: vec![(Stream::Contacts, 1)],
            ..Facts::default()
        };
        let status = judge(&settled(), threads, &facts);
        assert!(status.complete && status.reasons.is_empty());
        let codes: Vec<&str> = status.notes.iter().map(|note| note.code.as_str()).collect();
        assert_eq!(
            codes,
            [
                "truncated_threads",
                "blocked_threads",
                "gone_threads",
                "absent",
                "quarantined_parts"
            ]
        );
        assert!(
            status.sentence.contains("5 companies") && status.sentence.contains("701 older parts"),
            "{}",
            status.sentence
        );
    }

    #[test]
    fn a_stream_says_what_it_does() {
        let state = |change: fn(&mut StreamRow)| {
            let mut row = settled().remove(0);
            change(&mut row);
            row.state()
        };
        assert_eq!(state(|_| {}), StreamState::Idle);
        assert_eq!(
            state(|row| (row.due, row.last_ok_at) = (true, None)),
            StreamState::Waiting
        );
        assert_eq!(
            state(|row| (row.due, row.ticketed) = (true, true)),
            StreamState::Running
        );
        assert_eq!(state(|row| row.walking = true), StreamState::Running);
        let failed = |row: &mut StreamRow| {
            (row.attempts, row.last_error, row.walking) = (2, Some("e".into()), true);
        };
        assert_eq!(state(failed), StreamState::Failed);
    }
}
