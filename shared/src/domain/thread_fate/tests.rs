use super::*;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(seconds)
}

fn before(attempts: i32) -> ThreadBefore {
    ThreadBefore {
        newest_version: at(100),
        attempts,
        failing: None,
        is_blocked: false,
        now: at(1_000_000),
    }
}

const PATIENCE: ThreadPatience = ThreadPatience {
    first_retry: Duration::from_secs(5),
    refusal: Duration::from_secs(3600),
    deletion: Duration::from_secs(300),
};

/// A thread that has failed this often, for this reason since so many seconds.
fn failing(failure: ThreadFailure, attempts: i32, seconds: i64) -> ThreadBefore {
    let before = before(attempts);
    ThreadBefore {
        failing: Some(FailingThread {
            failure,
            since: before.now - chrono::TimeDelta::seconds(seconds),
        }),
        ..before
    }
}

const BLOCKED: ThreadFate = ThreadFate::Blocked { again: None };
const BLOCKED_FOR_A_DAY: ThreadFate = ThreadFate::Blocked {
    again: Some(BLOCKED_RETRY),
};

/// Of the newest version, with ten of ten parts stored.
const WHOLE: ThreadAnswer = ThreadAnswer {
    version: DateTime::UNIX_EPOCH,
    expected: Some(10),
    is_counted: true,
    stored: 10,
    shown: 10,
    poisoned: 0,
    too_fresh: false,
};

fn answer(change: impl FnOnce(&mut ThreadAnswer)) -> ThreadAnswer {
    let mut answer = ThreadAnswer {
        version: at(100),
        ..WHOLE
    };
    change(&mut answer);
    answer
}

const fn again(seconds: u64) -> ThreadFate {
    ThreadFate::Pending(Duration::from_secs(seconds))
}

#[test]
fn an_answer_decides_by_version_readability_and_count() {
    use ThreadFate::{Complete, Truncated};
    let short = |a: &mut ThreadAnswer| a.stored = 9;
    let cut = |a: &mut ThreadAnswer| {
        (a.expected, a.stored, a.shown) = (Some(700), 500, PARTS_SHOWN);
    };
    let cases: Vec<(&str, ThreadAnswer, i32, ThreadFate, i32)> = vec![
        ("whole", answer(|_| {}), 4, Complete, 0),
        (
            "more than counted",
            answer(|a| a.stored = 11),
            0,
            Complete,
            0,
        ),
        ("not counted", answer(|a| a.expected = None), 0, Complete, 0),
        (
            "newer than the stub",
            answer(|a| a.version = at(101)),
            0,
            Complete,
            0,
        ),
        (
            "older than the stub",
            answer(|a| a.version = at(99)),
            0,
            again(3),
            1,
        ),
        (
            "older again",
            answer(|a| a.version = at(99)),
            3,
            again(24),
            4,
        ),
        (
            "older for long",
            answer(|a| a.version = at(99)),
            40,
            again(3600),
            41,
        ),
        ("too fresh", answer(|a| a.too_fresh = true), 0, again(3), 0),
        (
            "too fresh and poisoned",
            answer(|a| (a.too_fresh, a.poisoned) = (true, 1)),
            2,
            again(12),
            0,
        ),
        ("poisoned", answer(|a| a.poisoned = 1), 1, BLOCKED, 0),
        (
            "poisoned and short",
            answer(|a| (a.poisoned, a.stored) = (1, 9)),
            1,
            BLOCKED,
            2,
        ),
        ("short once", answer(short), 0, again(3), 1),
        ("short twice", answer(short), 1, again(6), 2),
        ("short three times", answer(short), 2, Truncated, 3),
        ("cut at 500", answer(cut), 0, Truncated, 1),
        (
            "cut at 500, of which 500 are counted because they are shown",
            answer(|a| {
                (a.expected, a.stored, a.shown) = (Some(500), 500, PARTS_SHOWN);
                a.is_counted = false;
            }),
            0,
            Truncated,
            0,
        ),
        (
            "500 of 500",
            answer(|a| (a.expected, a.stored, a.shown) = (Some(500), 500, PARTS_SHOWN)),
            0,
            Complete,
            0,
        ),
        (
            "cut, but all of it is stored",
            answer(|a| {
                cut(a);
                a.stored = 700;
            }),
            0,
            Complete,
            0,
        ),
    ];
    for (name, answer, attempts, fate, attempts_after) in cases {
        let decision = answer.decide(before(attempts));
        assert_eq!(
            (decision.fate, decision.attempts),
            (fate, attempts_after),
            "{name}"
        );
    }
}

#[test]
fn an_answer_after_failures_counts_from_one() {
    let outage = failing(ThreadFailure::Unanswered, 40, 10_000);
    let short = answer(|a| a.stored = 9).decide(outage);
    assert_eq!(
        (short.fate, short.attempts, short.failing),
        (again(3), 1, None)
    );
    let refused = ThreadFailure::Refused.decide(before(7), PATIENCE);
    assert_eq!((refused.fate, refused.attempts), (again(5), 1));
}

#[test]
fn a_failure_waits_longer_each_time_and_only_a_refusal_is_believed() {
    use ThreadFailure::{Garbled, Missing, Refused, Unanswered, Unreadable};
    let cases = [
        ("the first outage", Unanswered, before(0), again(5)),
        (
            "the second",
            Unanswered,
            failing(Unanswered, 1, 5),
            again(10),
        ),
        (
            "the fifth",
            Unanswered,
            failing(Unanswered, 4, 75),
            again(80),
        ),
        (
            "one of a week",
            Unanswered,
            failing(Unanswered, 700, 604_800),
            again(900),
        ),
        ("refused once", Refused, before(0), again(5)),
        (
            "refused often and not long",
            Refused,
            failing(Refused, 8, 3_599),
            again(900),
        ),
        (
            "refused long and not often",
            Refused,
            failing(Refused, 3, 9_000),
            again(40),
        ),
        (
            "refused often and long",
            Refused,
            failing(Refused, 9, 3_600),
            BLOCKED_FOR_A_DAY,
        ),
        (
            "refused after an outage",
            Refused,
            failing(Unanswered, 9, 9_000),
            again(900),
        ),
        (
            "no thread for long",
            Garbled,
            failing(Garbled, 9, 3_600),
            BLOCKED_FOR_A_DAY,
        ),
        ("not found", Missing, before(0), again(300)),
        (
            "not found again, too soon",
            Missing,
            failing(Missing, 1, 100),
            again(200),
        ),
        (
            "not found again",
            Missing,
            failing(Missing, 1, 300),
            ThreadFate::Gone,
        ),
        (
            "not found after an outage",
            Missing,
            failing(Unanswered, 9, 9_000),
            again(300),
        ),
        ("unreadable", Unreadable, before(0), BLOCKED),
    ];
    for (name, failure, before, fate) in cases {
        let decision = failure.decide(before, PATIENCE);
        assert_eq!(decision.fate, fate, "{name}");
        assert_eq!(
            decision.failing.map(|failing| failing.failure),
            Some(failure)
        );
    }
}

#[test]
fn a_blocked_thread_stays_blocked_unless_it_may_be_deleted() {
    use ThreadFailure::{Missing, Refused, Unanswered};
    for (failure, fate) in [
        (Refused, BLOCKED_FOR_A_DAY),
        (Unanswered, BLOCKED_FOR_A_DAY),
        (Missing, again(300)),
    ] {
        let before = ThreadBefore {
            is_blocked: true,
            ..failing(Refused, 30, 90_000)
        };
        assert_eq!(failure.decide(before, PATIENCE).fate, fate, "{failure:?}");
    }
}

#[test]
fn every_failure_has_one_name() {
    for (name, failure) in ThreadFailure::NAMED {
        assert_eq!(
            (failure.as_str(), ThreadFailure::named(name)),
            (name, Some(failure))
        );
    }
    assert_eq!(ThreadFailure::named("of a newer build"), None);
}
