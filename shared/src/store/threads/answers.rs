//! Fetched threads, stored with their fates.
//!
//! The fate is decided in Rust from the locked row: lock, decide, store. Locks are taken in one order, by everything
//! that writes conversations: conversations by source id, then threads by id, then parts, and the stream's row last.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{StubVersion, rows::ThreadRow};
use crate::{
    domain::{
        ConnectionId, ThreadPart,
        records::{Conversation, Thread},
        thread_fate::{ThreadAnswer, ThreadDecision, ThreadFate},
    },
    store::{
        Seen, StoreError, Tx, WriteSummary, conversations::WrittenConversations,
        noted_changes::ChangeOp, parts::WrittenParts, roles::Worker, thread_counts::CountedThread,
    },
};

/// A thread as fetched, and what has to be known about the fetch.
#[derive(Debug)]
pub struct FetchedThread {
    pub conversation: Conversation,
    pub parts: Vec<ThreadPart>,
    /// `conversation_parts.total_count`, which may exceed what was shown.
    pub total_count: Option<i32>,
    /// Fetched so soon after its own `updated_at` that a second change in that second may be missing.
    pub too_fresh: bool,
    /// Parts of it that could not be read.
    pub poisoned: i32,
}

impl From<Thread> for FetchedThread {
    /// A thread whose parts could all be read, and that was fetched long after its last change.
    fn from(thread: Thread) -> Self {
        Self {
            conversation: thread.conversation,
            parts: thread.parts.into_iter().map(ThreadPart::Read).collect(),
            total_count: thread.total_count,
            too_fresh: false,
            poisoned: 0,
        }
    }
}

/// A fetched thread, what its conversation says of it, and its row.
struct Fetched {
    stub: StubVersion,
    answer: ThreadAnswer,
    row: ThreadRow,
}

/// A fetched thread and its fate.
struct Decided {
    row: ThreadRow,
    newest_version: DateTime<Utc>,
    answer: ThreadAnswer,
    decision: ThreadDecision,
}

impl Tx<Worker> {
    /// Writes fetched threads: the conversation if it is newer, every part that is shown, and the thread's fate. Parts
    /// are added or overwritten, never removed.
    #[tracing::instrument(name = "db.write_threads", level = "debug", skip_all)]
    pub async fn write_threads(
        &mut self,
        connection: ConnectionId,
        fetched: Vec<FetchedThread>,
    ) -> Result<WriteSummary, StoreError> {
        let mut answers = HashMap::with_capacity(fetched.len());
        let mut conversations = Vec::with_capacity(fetched.len());
        let mut parts = Vec::new();
        for fetched in fetched {
            let stub = StubVersion::of(connection, &fetched.conversation);
            let answer = answer_of(&fetched);
            parts.extend(fetched.parts.into_iter().map(|part| (stub.id, part)));
            conversations.push(fetched.conversation);
            answers.insert(stub.id, (stub, answer));
        }
        let WrittenConversations {
            first_messages,
            kept_out,
            ..
        } = self
            .write_conversations(connection, conversations, Seen::WithParts)
            .await?;
        answers.retain(|id, _| !kept_out.contains(id));
        parts.retain(|(id, _): &(Uuid, ThreadPart)| !kept_out.contains(id));
        let ids: Vec<Uuid> = answers.keys().copied().collect();
        let mut locked = self.lock_threads(connection, &ids).await?;
        if locked.len() < ids.len() {
            // No stub of these conversations has come yet, and the answer is as good as one.
            let stubs = answers.iter().filter(|(id, _)| !locked.contains_key(id));
            let stubs = stubs.map(|(_, (stub, _))| stub.clone()).collect();
            self.mark_threads_pending(connection, stubs, &HashSet::new())
                .await?;
            locked = self.lock_threads(connection, &ids).await?;
        }
        let fetched: Vec<Fetched> = locked
            .into_iter()
            .filter_map(|(id, row)| {
                let (stub, answer) = answers.remove(&id)?;
                Some(Fetched { stub, answer, row })
            })
            .collect();
        parts.extend(first_messages);
        let empty = self.threads_without_parts(&fetched).await?;
        let WrittenParts {
            summary: mut written,
            inserted,
        } = self.write_parts(connection, parts, &empty).await?;
        let new_parts = self.store_answers(connection, fetched, inserted).await?;
        written.inserted = usize::try_from(new_parts).unwrap_or_default();
        written.updated = written.updated.saturating_sub(written.inserted);
        written.alive = new_parts;
        Ok(written)
    }

    /// Of the locked threads, those that have no part. A first sync writes many of these and no others.
    async fn threads_without_parts(
        &mut self,
        fetched: &[Fetched],
    ) -> Result<HashSet<Uuid>, StoreError> {
        let never_held: Vec<Uuid> = fetched
            .iter()
            .filter(|fetched| fetched.row.held == 0)
            .map(|fetched| fetched.row.id)
            .collect();
        // The parts themselves are asked and not the count alone, because a wrong count must not stop the stream.
        let counts = self.count_parts(&never_held).await?;
        Ok(counts
            .into_iter()
            .filter(|(_, stored)| *stored == 0)
            .map(|(id, _)| id)
            .collect())
    }

    /// Counts the stored parts of each answer, decides its fate and stores it. Those of some threads are `counted`
    /// already. Returns how many more parts are stored.
    async fn store_answers(
        &mut self,
        connection: ConnectionId,
        mut fetched: Vec<Fetched>,
        counted: HashMap<Uuid, i32>,
    ) -> Result<i64, StoreError> {
        fetched.sort_by_key(|fetched| fetched.row.id);
        let ids: Vec<Uuid> = fetched
            .iter()
            .map(|fetched| fetched.row.id)
            .filter(|id| !counted.contains_key(id))
            .collect();
        let mut stored = self.count_parts(&ids).await?;
        stored.extend(counted);
        let decided: Vec<Decided> = fetched
            .into_iter()
            .map(|fetched| fetched.decide(&stored))
            .collect();
        let mut new_parts = 0;
        for decided in &decided {
            new_parts += i64::from(decided.answer.stored - decided.row.held);
            self.note_thread(connection, Some(&decided.row.counted()), &decided.counted());
        }
        self.store_decisions(connection, &decided).await?;
        // A reader that follows the changes learns from it that the parts are there.
        let changed = decided.iter().filter(|decided| !decided.is_unchanged());
        self.note_changes(ChangeOp::Link, changed.map(|decided| decided.row.id));
        Ok(new_parts)
    }

    async fn store_decisions(
        &mut self,
        connection: ConnectionId,
        decided: &[Decided],
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        let fates = || decided.iter().map(|decided| decided.decision.fate);
        // The rows exist and are locked. Written as an upsert, each is found by its key, whatever the planner believes of
        // the table.
        sqlx::query!(
            "INSERT INTO threads AS t
                (tenant_id, connection_id, conversation_id, source_id, status, stub_version, fetched_version, held, expected,
                 attempts, error, due_at)
             SELECT $1, $2, id, source_id, status, wanted, fetched, held, expected, attempts, error,
                    now() + make_interval(secs => seconds)
             FROM unnest($3::uuid[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[], $8::int[], $9::int[],
                         $10::int[], $11::text[], $12::float8[])
                AS i(id, source_id, status, wanted, fetched, held, expected, attempts, error, seconds)
             ON CONFLICT (tenant_id, connection_id, conversation_id) DO UPDATE SET
                status = excluded.status, stub_version = excluded.stub_version,
                fetched_version = excluded.fetched_version, held = excluded.held,
                expected = excluded.expected, attempts = excluded.attempts, error = excluded.error,
                due_at = excluded.due_at, failure = NULL, failed_since = NULL, retry_at = NULL",
            tenant,
            connection.0,
            &decided.iter().map(|decided| decided.row.id).collect::<Vec<_>>(),
            &decided.iter().map(|decided| decided.row.source_id.as_str()).collect::<Vec<_>>() as &[&str],
            &fates().map(ThreadFate::as_str).collect::<Vec<_>>() as &[&str],
            &decided.iter().map(|decided| decided.newest_version).collect::<Vec<_>>(),
            &decided.iter().map(|decided| decided.answer.version).collect::<Vec<_>>(),
            &decided.iter().map(|decided| decided.answer.stored).collect::<Vec<_>>(),
            &decided.iter().map(|decided| decided.answer.expected).collect::<Vec<_>>() as &[Option<i32>],
            &decided.iter().map(|decided| decided.decision.attempts).collect::<Vec<_>>(),
            &fates().map(error_of).collect::<Vec<_>>() as &[Option<&str>],
            &fates().map(ThreadFate::due_seconds).collect::<Vec<_>>() as &[Option<f64>],
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}

impl Fetched {
    /// Decides the thread's fate. An answer is as good as a stub and may be newer than the last one, so it reopens the
    /// thread as a stub does first. The result then does not depend on which of the two came first.
    fn decide(mut self, stored: &HashMap<Uuid, i32>) -> Decided {
        self.answer.stored = stored.get(&self.row.id).copied().unwrap_or_default();
        let mut before = self.row.before();
        if self.stub.reopens(&self.row) {
            before.newest_version = self.stub.version;
            before.attempts = 0;
            before.failing = None;
            before.is_blocked = false;
        }
        Decided {
            decision: self.answer.decide(before),
            newest_version: before.newest_version,
            answer: self.answer,
            row: self.row,
        }
    }
}

impl Decided {
    fn counted(&self) -> CountedThread<'_> {
        CountedThread {
            status: self.decision.fate.as_str(),
            has_failed: false,
            held: self.answer.stored,
            expected: self.answer.expected,
        }
    }

    /// Whether readers see the thread as it was before this answer. A walk that reads every thread again changes none.
    fn is_unchanged(&self) -> bool {
        let shown = (self.row.fetched_version, self.row.held, self.row.expected);
        matches!(
            self.decision.fate,
            ThreadFate::Complete | ThreadFate::Truncated
        ) && self.row.failure.is_none()
            && shown
                == (
                    Some(self.answer.version),
                    self.answer.stored,
                    self.answer.expected,
                )
    }
}

/// What counts of an answer, but for the parts that are stored: they are counted after the write.
fn answer_of(fetched: &FetchedThread) -> ThreadAnswer {
    let conversation = &fetched.conversation;
    let shown = fetched.parts.len() as i32 + fetched.poisoned;
    let listed = fetched.total_count;
    ThreadAnswer {
        version: conversation.updated_at,
        expected: conversation.part_count.or(listed),
        // The list's own total may count only what it shows.
        is_counted: conversation.part_count.is_some() || listed.is_some_and(|total| total > shown),
        stored: 0,
        shown,
        poisoned: fetched.poisoned,
        too_fresh: fetched.too_fresh,
    }
}

/// What `threads.error` says of an answered thread. A pending one has no error, because it did not fail.
const fn error_of(fate: ThreadFate) -> Option<&'static str> {
    match fate {
        ThreadFate::Blocked { .. } => Some("parts that cannot be read are in quarantine"),
        ThreadFate::Truncated => Some("intercom does not show every part that it counts"),
        _ => None,
    }
}
