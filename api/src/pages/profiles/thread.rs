//! How much of a conversation's thread is here.

use shared::{completeness::thread_reason, store::reads::ThreadState};

use crate::pages::text::{counted, number, shown, time};

/// As much of a reason as is repeated.
const REASON: usize = 400;

/// How much of a thread is here, and why not more. The first message is not counted, as Intercom does not.
pub(super) fn sentence(thread: &ThreadState) -> String {
    let reason = || {
        let reason = thread_reason(&thread.status, thread.error.as_deref());
        let reason = reason.map(|reason| shown(reason.trim(), REASON));
        reason.unwrap_or_default()
    };
    let joined = |pieces: &[String]| {
        let pieces: Vec<&str> = pieces
            .iter()
            .map(String::as_str)
            .filter(|piece| !piece.is_empty())
            .collect();
        pieces.join(" ")
    };
    let held = held(thread);
    match thread.status.as_str() {
        "complete" if thread.held == 0 => "It has no further messages.".to_owned(),
        "complete" => format!("All of its {} are here.", messages(thread.held)),
        "pending" if thread.error.is_none() => {
            joined(&[held, "The rest is being fetched.".to_owned()])
        }
        "pending" => {
            let next = thread.retry_at.map_or_else(String::new, |at| {
                format!("The next try is at {}.", time(at))
            });
            let failed = format!("The rest could not be fetched yet. {}", reason());
            joined(&[held, failed, next])
        }
        "truncated" => joined(&[held, "Intercom no longer shows the older ones.".to_owned()]),
        "gone" => joined(&[reason(), held]),
        _ => joined(&[held, format!("The rest cannot be fetched. {}", reason())]),
    }
}

/// Whether something is missing.
pub(super) fn is_whole(thread: &ThreadState) -> bool {
    thread.status == "complete"
}

fn held(thread: &ThreadState) -> String {
    match thread.expected {
        Some(expected) => format!(
            "{} of {} are here.",
            number(thread.held.into()),
            messages(expected)
        ),
        None if thread.held == 0 => "Its messages are not here yet.".to_owned(),
        None => format!("{} are here.", messages(thread.held)),
    }
}

fn messages(count: i32) -> String {
    counted(count.into(), "message", "messages")
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn thread(status: &str, held: i32, expected: Option<i32>, error: Option<&str>) -> String {
        sentence(&ThreadState {
            status: status.to_owned(),
            held,
            expected,
            error: error.map(str::to_owned),
            retry_at: error.and_then(|_| DateTime::from_timestamp(1_764_504_300, 0)),
        })
    }

    #[test]
    fn each_state_says_how_much_is_here_and_why_not_more() {
        for (status, held, expected, error, sentence) in [
            (
                "complete",
                40,
                Some(40),
                None,
                "All of its 40 messages are here.",
            ),
            ("complete", 0, Some(0), None, "It has no further messages."),
            (
                "pending",
                0,
                None,
                None,
                "Its messages are not here yet. The rest is being fetched.",
            ),
            (
                "pending",
                12,
                Some(40),
                None,
                "12 of 40 messages are here. The rest is being fetched.",
            ),
            (
                "pending",
                12,
                Some(40),
                Some("Intercom answered 500."),
                "12 of 40 messages are here. The rest could not be fetched yet. Intercom answered 500. The next try is at 30 \
                 November 2025, 12:05 UTC.",
            ),
            (
                "truncated",
                500,
                Some(612),
                None,
                "500 of 612 messages are here. Intercom no longer shows the older ones.",
            ),
            (
                "gone",
                3,
                None,
                None,
                "The conversation was deleted in Intercom. Its stored copy is kept. 3 messages are here.",
            ),
            (
                "blocked",
                0,
                Some(2),
                Some("Intercom refuses it."),
                "0 of 2 messages are here. The rest cannot be fetched. Intercom refuses it.",
            ),
        ] {
            assert_eq!(thread(status, held, expected, error), sentence);
        }
    }
}
