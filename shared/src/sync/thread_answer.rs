//! What an answer shows of the thread that was asked for.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::future_dated;
use crate::{
    domain::{
        ThreadPart, UnreadPart,
        records::{Conversation, Poison},
        thread_fate::ThreadFailure,
    },
    intercom::{MemoryPermit, Response, wire},
    store::FetchedThread,
};

/// A thread that was fetched this soon after its own change is fetched again. Times are in whole seconds, so a second
/// change in the same second would otherwise never be seen.
const SETTLED_AFTER: TimeDelta = TimeDelta::seconds(2);
/// How far ahead of Intercom's clock one of its servers may stamp a change. A later time does not settle soon, so the
/// thread is not fetched again for it.
const CLOCK_SKEW: TimeDelta = TimeDelta::seconds(60);
/// The parts of a larger answer stay in it until they are written. Read all at once, they would take twice its size
/// beside it.
const GIANT_BYTES: usize = 2 << 20;

/// Why an answer is not the thread that was asked for.
#[derive(Debug)]
enum NoThread {
    /// Its conversation cannot be read.
    Unreadable(Poison),
    /// It is something else, for this reason.
    Garbled(String),
}

/// An answer as it was read. That takes a core for milliseconds, so it is done where the call ran.
pub(super) struct ThreadRead {
    /// The thread, and the parts of it that could not be read. Or why there is none, and what came instead.
    pub(super) thread: Result<(FetchedThread, Vec<Poison>), (ThreadFailure, Poison)>,
    /// Of the answer, in bytes.
    pub(super) size: usize,
    pub(super) permit: MemoryPermit,
}

impl ThreadRead {
    /// The answer when the thread of `source_id` was asked for.
    pub(super) fn of(answer: Response, source_id: &str) -> Self {
        let at = answer.at;
        let (body, permit) = answer.into_parts();
        let size = body.len();
        let body = Arc::new(body);
        let thread = read(&body, at, source_id).map_err(|no_thread| match no_thread {
            // The thread is unreadable until its conversation changes.
            NoThread::Unreadable(poison) => (ThreadFailure::Unreadable, poison),
            // The next answer may be the thread. The bytes are kept once it is given up.
            NoThread::Garbled(reason) => {
                let poison = Poison {
                    kind: "part",
                    source_id: String::new(),
                    reason,
                    raw: Arc::unwrap_or_clone(body).into_bytes(),
                };
                (ThreadFailure::Garbled, poison)
            }
        });
        Self {
            thread,
            size,
            permit,
        }
    }
}

/// Reads the answer that came at `at`, by Intercom's clock, when the thread of `source_id` was asked for. Returns the
/// thread, and the parts of it that could not be read.
fn read(
    body: &Arc<String>,
    at: DateTime<Utc>,
    source_id: &str,
) -> Result<(FetchedThread, Vec<Poison>), NoThread> {
    let sent = wire::split_thread(body).map_err(|error| NoThread::Garbled(error.to_string()))?;
    let conversation = sent.conversation.map_err(NoThread::Unreadable)?;
    if conversation.source_id != source_id {
        // Stored, it would leave the requested thread pending, to be requested again at once.
        let reason = "the answer is another conversation".to_owned();
        return Err(NoThread::Garbled(reason));
    }
    if future_dated::is_future_dated(&conversation, at) {
        return Err(NoThread::Unreadable(future_dated::poison(conversation)));
    }
    let (mut parts, mut poisons) = (Vec::with_capacity(sent.parts.len()), Vec::new());
    for raw in sent.parts {
        match read_part(body, at, raw) {
            Ok(part) => parts.push(part),
            Err(poison) => poisons.push(wire::poison_of_part(&conversation, poison)),
        }
    }
    let fetched = FetchedThread {
        parts,
        total_count: sent.total_count,
        too_fresh: is_too_fresh(&conversation, at),
        poisoned: poisons.len() as i32,
        conversation,
    };
    Ok((fetched, poisons))
}

/// Reads one part of the answer, even if it stays there, so that what is bad about it shows before anything is written.
fn read_part(body: &Arc<String>, at: DateTime<Utc>, raw: &str) -> Result<ThreadPart, Poison> {
    let part = wire::read_part(raw)?;
    if future_dated::is_future_dated(&part, at) {
        return Err(future_dated::poison(part));
    }
    Ok(if body.len() > GIANT_BYTES {
        ThreadPart::Unread(UnreadPart::of(part, body, raw, wire::read_part))
    } else {
        ThreadPart::Read(part)
    })
}

/// Both times are by Intercom's clocks, so an offset of ours does not matter.
fn is_too_fresh(conversation: &Conversation, at: DateTime<Utc>) -> bool {
    let age = at - conversation.updated_at;
    -CLOCK_SKEW < age && age < SETTLED_AFTER
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: DateTime<Utc> = DateTime::from_timestamp(1_000, 0).expect("a time");

    /// A thread with three parts of so many bytes: a good one, one of next year, and one without a time.
    fn body(bytes: usize) -> Arc<String> {
        let text = "x\\n".repeat(bytes / 3);
        Arc::new(format!(
            r#"{{"id":"215","created_at":1,"updated_at":2,"conversation_parts":{{"conversation_parts":[
                {{"id":"1","created_at":5,"updated_at":6,"body":"{text}"}},
                {{"id":"2","created_at":40000000}},{{"id":"3"}}]}}}}"#
        ))
    }

    fn thread(body: &Arc<String>) -> (FetchedThread, Vec<Poison>) {
        read(body, AT, "215").unwrap()
    }

    #[test]
    fn a_part_is_the_same_whether_it_stays_in_its_answer_or_not() {
        for (bytes, stays) in [(1_000, false), (GIANT_BYTES, true)] {
            let body = body(bytes);
            let (mut fetched, poisons) = thread(&body);
            let bad: Vec<&str> = poisons.iter().map(|bad| &*bad.source_id).collect();
            assert_eq!((fetched.poisoned, &*bad), (2, &["215/2", "215/3"][..]));
            let part = fetched.parts.pop().unwrap();
            assert_eq!(matches!(part, ThreadPart::Unread(_)), stays);
            assert_eq!((part.source_id(), part.updated_at().timestamp()), ("1", 6));
            assert!(part.bytes() > bytes, "{}", part.bytes());
            let part = part.into_part().unwrap();
            let text = "x\n".repeat(bytes / 3);
            assert_eq!(part.body.as_ref(), Some(&text));
            assert!(part.raw.starts_with(r#"{"id":"1""#) && part.raw.ends_with(r#"\n"}"#));
            assert!(body.contains(&part.raw));
        }
    }

    #[test]
    fn an_answer_is_let_go_with_its_last_part() {
        let body = body(GIANT_BYTES);
        let (fetched, _) = thread(&body);
        assert_eq!(Arc::strong_count(&body), 2, "its one good part");
        drop(fetched.parts.into_iter().map(ThreadPart::into_part).last());
        assert_eq!(Arc::strong_count(&body), 1);
    }

    #[test]
    fn another_conversation_is_not_the_thread() {
        assert!(matches!(
            read(&body(9), AT, "216"),
            Err(NoThread::Garbled(_))
        ));
    }
}
