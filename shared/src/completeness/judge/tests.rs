use chrono::{DateTime, TimeDelta, Utc};

use super::{
    super::{facts::*, sentences},
    *,
};
use crate::domain::{Mode, Stream};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

/// A connection whose streams have all ended, the first one longest ago.
fn settled() -> Facts {
    let streams = Stream::ALL
        .iter()
        .enumerate()
        .map(|(age, stream)| StreamFacts {
            stream: *stream,
            is_due: false,
            is_ticketed: false,
            is_walking: false,
            is_dead: false,
            watermark: None,
            attempts: 0,
            last_error: None,
            due_at: None,
            walked_at: None,
            last_ok_at: Some(at(1_000 + i64::try_from(age).unwrap())),
            held: 5,
            expected: Some(5),
            blocked: None,
        });
    Facts {
        streams: streams.collect(),
        ..Facts::default()
    }
}

fn blocked() -> Blocked {
    Blocked {
        code: "api_plan_restricted".into(),
        message: "The plan does not include contacts over the API.".into(),
        action: None,
        until: None,
    }
}

fn waiting(count: i64) -> WaitingThreads {
    WaitingThreads {
        count,
        example: "215473840946318".into(),
        error: "intercom refuses to show the conversation (403 forbidden)".into(),
        next_at: Some(at(3_000)),
    }
}

/// Judges the settled facts after a change.
fn judged(change: impl FnOnce(&mut Facts)) -> SyncStatus {
    let mut facts = settled();
    change(&mut facts);
    judge(&facts)
}

#[test]
fn a_settled_connection_is_proven_as_of_its_oldest_stream() {
    let status = judged(|facts| {
        facts.threads = ThreadCounts {
            complete: 5,
            truncated: 1,
            ..ThreadCounts::default()
        };
    });
    assert!(status.complete);
    assert_eq!(status.proven_at, Some(at(1_000)));
}

#[test]
fn a_stream_that_could_change_the_answer_makes_it_incomplete() {
    let changes: [fn(&mut StreamFacts); 6] = [
        |stream| stream.is_walking = true,
        |stream| stream.last_ok_at = None,
        |stream| stream.attempts = 1,
        |stream| stream.expected = Some(6),
        |stream| stream.expected = Some(4),
        |stream| stream.blocked = Some(blocked()),
    ];
    for (which, change) in changes.iter().enumerate() {
        for stream in 0..Stream::ALL.len() {
            let status = judged(|facts| change(&mut facts.streams[stream]));
            assert!(
                !status.complete && status.proven_at.is_none(),
                "change {which} of stream {stream}"
            );
            let named: Vec<usize> = (0..Stream::ALL.len())
                .filter(|other| !status.streams[*other].complete)
                .collect();
            assert_eq!(named, [stream], "change {which}: {:?}", status.reasons);
        }
    }
}

#[test]
fn a_fact_beside_the_streams_makes_it_incomplete() {
    assert!(!judged(|facts| facts.threads.pending = 1).complete);
    assert!(!judged(|facts| drop(facts.streams.remove(0))).complete);
    assert!(!judged(|facts| facts.streams.clear()).complete);
    let changes: [fn(&mut Facts); 6] = [
        |facts| (facts.threads.pending, facts.waiting) = (1, waiting(1)),
        |facts| facts.connection = ConnectionFacts::Stopped(blocked()),
        |facts| facts.connection = ConnectionFacts::Disconnected,
        |facts| {
            facts.open_run = Some(OpenRun {
                mode: Mode::Full,
                requested_at: DateTime::UNIX_EPOCH,
            });
        },
        |facts| facts.pending_companies = 1,
        |facts| {
            facts.quarantined = vec![QuarantineFacts {
                kind: "contact".into(),
                count: 1,
                example: "x".into(),
            }];
        },
    ];
    for (which, change) in changes.into_iter().enumerate() {
        let status = judged(change);
        assert!(
            !status.complete && status.reasons.len() == 1,
            "change {which}: {:?}",
            status.reasons
        );
        assert!(
            status.sentence.starts_with("Not complete: "),
            "{}",
            status.sentence
        );
    }
}

#[test]
fn a_first_walk_that_only_waits_is_told_by_its_threads() {
    let status = judged(|facts| {
        (facts.threads.pending, facts.waiting) = (3, waiting(2));
        for stream in &mut facts.streams {
            if stream.stream == Stream::Threads {
                stream.last_ok_at = None;
            }
        }
    });
    let told: Vec<_> = status
        .reasons
        .iter()
        .map(|reason| (reason.code.as_str(), reason.count))
        .collect();
    assert_eq!(
        told,
        [("waiting_threads", Some(2)), ("pending_threads", Some(1))]
    );
    assert_eq!(status.threads_waiting, 2);
}

#[test]
fn notes_are_told_and_change_nothing() {
    let status = judged(|facts| {
        facts.threads = ThreadCounts {
            complete: 5,
            truncated: 2,
            gone: 1,
            blocked: 1,
            pending: 0,
        };
        facts.missing_parts = 701;
        facts.quarantined_parts = 3;
        facts.absent = vec![(Stream::Contacts, 1)];
    });
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
    let state = |change: fn(&mut StreamFacts)| {
        judged(|facts| change(&mut facts.streams[0])).streams[0].status
    };
    assert_eq!(state(|_| {}), StreamActivity::Idle);
    assert_eq!(
        state(|stream| (stream.is_due, stream.last_ok_at) = (true, None)),
        StreamActivity::Waiting
    );
    assert_eq!(
        state(|stream| (stream.is_due, stream.is_ticketed) = (true, true)),
        StreamActivity::Running
    );
    assert_eq!(
        state(|stream| stream.is_walking = true),
        StreamActivity::Running
    );
    let failed = |stream: &mut StreamFacts| {
        (stream.attempts, stream.last_error, stream.is_walking) = (2, Some("e".into()), true);
    };
    assert_eq!(state(failed), StreamActivity::Failed);
}

/// Every sentence of the judgement, with one object and with several.
#[test]
fn every_sentence_reads_well() {
    let mut told = String::new();
    let mut tell = |status: &SyncStatus| {
        told.push_str(&status.sentence);
        told.push('\n');
        for (kind, reason) in status
            .reasons
            .iter()
            .map(|reason| ("reason", reason))
            .chain(status.notes.iter().map(|note| ("note", note)))
        {
            let stream = reason.stream.map_or("-", Stream::as_str);
            told.push_str(&format!(
                "  {kind} {} ({stream})\n    {}\n    {}\n",
                reason.code, reason.message, reason.action
            ));
        }
        told.push('\n');
    };
    tell(&judge(&settled()));
    tell(&judged(|facts| facts.streams.clear()));
    tell(&judged(|facts| {
        facts.connection = ConnectionFacts::Disconnected;
    }));
    tell(&judged(|facts| {
        facts.connection = ConnectionFacts::Stopped(blocked());
    }));
    let stream_changes: [fn(&mut StreamFacts); 11] = [
        |stream| stream.blocked = Some(blocked()),
        |stream| (stream.is_dead, stream.last_error) = (true, Some("status 503.".into())),
        |stream| (stream.attempts, stream.last_error) = (1, Some("status 503".into())),
        |stream| stream.attempts = 3,
        |stream| (stream.is_walking, stream.last_ok_at) = (true, None),
        |stream| stream.is_walking = true,
        |stream| stream.last_ok_at = None,
        |stream| stream.expected = Some(6),
        |stream| stream.expected = Some(8),
        |stream| stream.expected = Some(4),
        |stream| (stream.held, stream.expected) = (1, Some(0)),
    ];
    let place = |stream| {
        Stream::ALL
            .iter()
            .position(|known| *known == stream)
            .unwrap()
    };
    let (contacts, reference) = (place(Stream::Contacts), place(Stream::Reference));
    for change in stream_changes {
        tell(&judged(|facts| change(&mut facts.streams[contacts])));
    }
    tell(&judged(|facts| facts.streams[reference].is_walking = true));
    tell(&judged(|facts| facts.streams[reference].last_ok_at = None));
    for count in [1, 2] {
        tell(&judged(|facts| {
            facts.threads.pending = count;
            facts.waiting = waiting(count);
        }));
        tell(&judged(|facts| {
            facts.threads.pending = count;
            facts.pending_companies = count;
            facts.quarantined = ["contact", "company", "conversation", "reference"]
                .map(|kind| QuarantineFacts {
                    kind: kind.into(),
                    count,
                    example: "65a1f0".into(),
                })
                .into();
            facts.set_aside = ["contact", "company", "conversation"]
                .map(|kind| SetAsideFacts {
                    kind: kind.into(),
                    count,
                    example: "65a1f1".into(),
                    reason: "its own call fails: intercom is unavailable: status 500".into(),
                    next_try_at: Some(at(3_000)),
                })
                .into();
            facts.audit = Some(AuditFacts {
                audited_at: at(2_000),
                contacts_missing: None,
                conversations_missing: None,
                threads_read: 4,
                threads_differing: i32::try_from(count).unwrap(),
            });
        }));
        tell(&judged(|facts| facts.threads.truncated = count));
        tell(&judged(|facts| {
            facts.threads = ThreadCounts {
                pending: 0,
                complete: count,
                truncated: count,
                gone: count,
                blocked: count,
            };
            facts.missing_parts = count;
            facts.quarantined_parts = count;
            facts.absent = vec![(Stream::Contacts, count), (Stream::Companies, count)];
            facts.audit = Some(AuditFacts {
                audited_at: at(2_000),
                contacts_missing: Some(count),
                conversations_missing: Some(count),
                threads_read: 4,
                threads_differing: 0,
            });
        }));
    }
    for mode in [Mode::Incremental, Mode::Full, Mode::Reconcile] {
        tell(&judged(|facts| {
            facts.open_run = Some(OpenRun {
                mode,
                requested_at: at(0),
            });
        }));
    }
    for (status, error) in [
        ("complete", None),
        ("gone", None),
        ("pending", None),
        ("pending", Some("Intercom answered with status 500.")),
    ] {
        let reason = sentences::thread_reason(status, error);
        told.push_str(&format!("thread {status}: {reason:?}\n"));
    }
    insta::assert_snapshot!(told);
}
