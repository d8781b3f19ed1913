use super::*;

/// A clock that stands still until it is moved on.
struct Clock(Moment);

impl Clock {
    fn start() -> Self {
        Self(Moment {
            at: Instant::now(),
            clock: DateTime::UNIX_EPOCH,
        })
    }

    fn after(&self, seconds: u64) -> Moment {
        let later = Duration::from_secs(seconds);
        Moment {
            at: self.0.at + later,
            clock: self.0.clock + later,
        }
    }
}

const FIRST: Option<Line> = Some(Line {
    repeated: None,
    since: None,
});

fn repeated(times: u64, since: &str) -> Option<Line> {
    Some(Line {
        repeated: Some(times),
        since: Some(since.to_owned()),
    })
}

#[test]
fn equal_failures_are_told_once_and_then_counted_each_minute() {
    let clock = Clock::start();
    let mut trouble = Trouble::new();
    let mut lines = Vec::new();
    for second in 0..=150 {
        if let Some(line) = trouble.failed("away".to_owned(), clock.after(second)) {
            lines.push((second, Some(line)));
        }
    }
    let expected = [
        (0, FIRST),
        (60, repeated(60, "1970-01-01T00:00:00Z")),
        (120, repeated(60, "1970-01-01T00:01:00Z")),
    ];
    assert_eq!(lines, expected);
    let ended = trouble.ended(clock.after(151));
    let expected = Ended {
        failures: 151,
        lasted_seconds: 151.0,
    };
    assert_eq!(ended, Some(expected));
    assert_eq!(trouble.ended(clock.after(152)), None, "it is told once");
}

#[test]
fn another_text_is_another_failure_and_one_end_is_of_all() {
    let clock = Clock::start();
    let mut trouble = Trouble::new();
    let lines: Vec<_> = ["away", "slow", "away", "slow", "away"]
        .into_iter()
        .map(|text| trouble.failed(text.to_owned(), clock.after(1)))
        .collect();
    assert_eq!(lines, [FIRST, FIRST, None, None, None]);
    let ended = trouble.ended(clock.after(3)).expect("it has failed");
    assert_eq!(ended.failures, 5);
    // After the end, the next failure is told at once.
    assert_eq!(trouble.failed("away".to_owned(), clock.after(4)), FIRST);
}

#[test]
fn what_fails_in_turn_is_one_trouble_that_ends_late() {
    let clock = Clock::start();
    let mut trouble = Trouble::new();
    let mut lines = Vec::new();
    for second in (0..120).step_by(2) {
        let failed = trouble.failed("away".to_owned(), clock.after(second));
        let ended = trouble.ended(clock.after(second + 1));
        lines.extend(failed.map(|_| (second, 0)));
        lines.extend(ended.map(|ended| (second + 1, ended.failures)));
    }
    // It begins and ends, and what comes within a minute of that end has its end a minute later.
    let expected = [(0, 0), (1, 1), (2, 0), (61, 30), (62, 0)];
    assert_eq!(lines, expected);
    assert_eq!(trouble.ended(clock.after(120)), None);
    let ended = trouble.ended(clock.after(1_000)).expect("it is told late");
    // It was over with the first success.
    assert_eq!((ended.failures, ended.lasted_seconds), (29, 57.0));
}

#[test]
fn each_thing_fails_for_itself_and_the_quietest_is_forgotten_first() {
    let clock = Clock::start();
    let repeats = RepeatsOf::default();
    let fail = |thing, second| repeats.failed_at(thing, "away".to_owned(), clock.after(second));
    for thing in 0..MAX_THINGS {
        assert_eq!(fail(thing, thing as u64), FIRST);
    }
    let last = MAX_THINGS as u64;
    // The first thing is the last to fail now, so the second one is forgotten for the new one.
    assert!(fail(0, last).is_some_and(|line| line.repeated == Some(1)));
    assert_eq!(fail(MAX_THINGS, last), FIRST);
    assert_eq!(fail(0, last), None);
    assert_eq!(fail(MAX_THINGS - 1, last), None);
    assert_eq!(fail(1, last), FIRST);
    assert_eq!(repeats.0.lock().len(), MAX_THINGS);
}

#[test]
fn kinds_are_bounded_and_none_of_them_is_lost() {
    let clock = Clock::start();
    let mut trouble = Trouble::new();
    for number in 0..MAX_KINDS * 2 {
        assert_eq!(trouble.failed(number.to_string(), clock.after(1)), FIRST);
    }
    assert_eq!(trouble.kinds.len(), MAX_KINDS);
    assert_eq!(trouble.failed("0".to_owned(), clock.after(1)), FIRST);
}

#[derive(Debug, thiserror::Error)]
#[error("outer")]
struct Outer(#[source] std::fmt::Error);

#[test]
fn the_causes_of_an_error_are_part_of_its_text() {
    let text = chain(&Outer(std::fmt::Error));
    assert_eq!(text, format!("outer: {}", std::fmt::Error));
}
