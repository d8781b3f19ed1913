//! Fetched threads, stored with their fates.
//!
//! The fate is decided in Rust from the locked row: lock, decide, store. Locks are taken in one order, by everything
//! that writes conversations: conversations by source id, then threads by id, then parts, and the stream's row last.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    domain::{
        ConnectionId, ThreadPart, ids,
        records::{Conversation, FIRST_MESSAGE, Thread},
        thread_fate::{
            FailingThread, ThreadAnswer, ThreadBefore, ThreadDecision, ThreadFailure, ThreadFate,
        },
    },
    store::{Seen, StoreError, Tx, WriteSummary, roles::Worker, threads::StubVersion},
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

/// A fetched thread whose parts are stored and not counted yet.
struct StoredAnswer {
    id: Uuid,
    answer: ThreadAnswer,
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
        let mut answers = Vec::with_capacity(fetched.len());
        let mut conversations = Vec::with_capacity(fetched.len());
        let mut stubs = Vec::with_capacity(fetched.len());
        let mut parts = Vec::new();
        for fetched in fetched {
            let id = ids::conversation_id(connection, &fetched.conversation.source_id);
            let answer = answer_of(&fetched);
            answers.push(StoredAnswer { id, answer });
            stubs.push(StubVersion::of(connection, &fetched.conversation));
            parts.extend(fetched.parts.into_iter().map(|part| (id, part)));
            conversations.push(fetched.conversation);
        }
        let (_, first_messages) = self
            .write_conversations(connection, conversations, Seen::WithParts)
            .await?;
        // An answer is as good as a stub, and may be newer than the last one. Treated alike, the result does not depend
        // on which came first. This also locks the threads' rows.
        self.mark_threads_pending(connection, stubs).await?;
        parts.extend(first_messages);
        let written = self.write_parts(parts).await?;
        self.store_answers(connection, answers).await?;
        Ok(written)
    }

    /// Counts the stored parts of each answer, decides its fate and stores it.
    async fn store_answers(
        &mut self,
        connection: ConnectionId,
        mut answers: Vec<StoredAnswer>,
    ) -> Result<(), StoreError> {
        answers.sort_by_key(|answer| answer.id);
        answers.dedup_by_key(|answer| answer.id);
        let ids: Vec<Uuid> = answers.iter().map(|answer| answer.id).collect();
        let locked = self.lock_threads(connection, ids).await?;
        let mut decided = Vec::with_capacity(answers.len());
        for StoredAnswer { id, mut answer } in answers {
            let Some(row) = locked.get(&id) else {
                continue;
            };
            // Counted after the write, so that the count cannot drift from the rows.
            answer.stored = row.stored;
            let decision = answer.decide(row.before);
            decided.push((id, row, answer, decision));
        }
        self.store_decisions(connection, &decided).await?;
        // A reader that follows the changes learns from it that the parts are there.
        let ids: Vec<Uuid> = decided
            .iter()
            .filter(|(_, row, answer, decision)| !row.is_unchanged(answer, decision))
            .map(|(id, ..)| *id)
            .collect();
        self.touch_conversations(&ids).await
    }

    /// Locks threads and reads what their fates depend on.
    pub(super) async fn lock_threads(
        &mut self,
        connection: ConnectionId,
        mut ids: Vec<Uuid>,
    ) -> Result<HashMap<Uuid, LockedThread>, StoreError> {
        let tenant = self.tenant().0;
        ids.sort_unstable();
        // A lateral subquery with a lock of its own is never flattened into a join. Each row is therefore found by its
        // key, even if the plan was made when the table was empty.
        let rows = sqlx::query!(
            r#"SELECT i.id AS "id!", t.source_id, t.wanted_version AS newest_version, t.attempts, t.failure, t.failed_since,
                      t.fetched_version, t.held, t.expected,
                      t.status = 'blocked' AS "is_blocked!", now() AS "now!",
                      (SELECT count(*) FROM parts p
                       WHERE p.tenant_id = $1 AND p.conversation_id = i.id AND p.source_id <> $4)::int AS "stored!"
               FROM unnest($3::uuid[]) AS i(id)
               CROSS JOIN LATERAL (SELECT source_id, wanted_version, attempts, failure, failed_since, status, fetched_version, held,
                                          expected FROM threads
                                   WHERE tenant_id = $1 AND connection_id = $2 AND conversation_id = i.id
                                   FOR UPDATE) t"#,
            tenant,
            connection.0,
            &ids,
            FIRST_MESSAGE,
        )
        .fetch_all(self.session())
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let failure = row.failure.as_deref().and_then(ThreadFailure::named);
                let locked = LockedThread {
                    before: ThreadBefore {
                        newest_version: row.newest_version,
                        attempts: row.attempts,
                        failing: failure
                            .zip(row.failed_since)
                            .map(|(failure, since)| FailingThread { failure, since }),
                        is_blocked: row.is_blocked,
                        now: row.now,
                    },
                    source_id: row.source_id,
                    stored: row.stored,
                    shown: (row.fetched_version, row.held, row.expected),
                };
                (row.id, locked)
            })
            .collect())
    }

    async fn store_decisions(
        &mut self,
        connection: ConnectionId,
        decided: &[(Uuid, &LockedThread, ThreadAnswer, ThreadDecision)],
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        let fates = || decided.iter().map(|(.., decision)| decision.fate);
        // The rows exist and are locked. Written as an upsert, each is found by its key, even if the plan was made when
        // the table was empty.
        sqlx::query!(
            "INSERT INTO threads AS t
                (tenant_id, connection_id, conversation_id, source_id, status, wanted_version, fetched_version, held, expected,
                 attempts, error, due_at)
             SELECT $1, $2, id, source_id, status, wanted, fetched, held, expected, attempts, error,
                    now() + make_interval(secs => seconds)
             FROM unnest($3::uuid[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[], $8::int[], $9::int[],
                         $10::int[], $11::text[], $12::float8[])
                AS i(id, source_id, status, wanted, fetched, held, expected, attempts, error, seconds)
             ON CONFLICT (tenant_id, connection_id, conversation_id) DO UPDATE SET
                status = excluded.status, fetched_version = excluded.fetched_version, held = excluded.held,
                expected = excluded.expected, attempts = excluded.attempts, error = excluded.error,
                due_at = excluded.due_at, failure = NULL, failed_since = NULL, retry_at = NULL",
            tenant,
            connection.0,
            &decided.iter().map(|(id, ..)| *id).collect::<Vec<_>>(),
            &decided.iter().map(|(_, row, ..)| row.source_id.as_str()).collect::<Vec<_>>() as &[&str],
            &fates().map(ThreadFate::as_str).collect::<Vec<_>>() as &[&str],
            &decided.iter().map(|(_, row, ..)| row.before.newest_version).collect::<Vec<_>>(),
            &decided.iter().map(|(_, _, answer, _)| answer.version).collect::<Vec<_>>(),
            &decided.iter().map(|(_, _, answer, _)| answer.stored).collect::<Vec<_>>(),
            &decided.iter().map(|(_, _, answer, _)| answer.expected).collect::<Vec<_>>() as &[Option<i32>],
            &decided.iter().map(|(.., decision)| decision.attempts).collect::<Vec<_>>(),
            &fates().map(error_of).collect::<Vec<_>>() as &[Option<&str>],
            &fates().map(ThreadFate::due_seconds).collect::<Vec<_>>() as &[Option<f64>],
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}

/// A thread whose row is locked, and the number of its stored parts without the first message.
pub(super) struct LockedThread {
    pub(super) before: ThreadBefore,
    source_id: String,
    stored: i32,
    /// What the attempt before has left: the version, the parts that are stored, and those that Intercom counts.
    shown: (Option<DateTime<Utc>>, i32, Option<i32>),
}

impl LockedThread {
    /// Whether readers see the thread as it was before this answer. A walk that reads every thread again changes none.
    fn is_unchanged(&self, answer: &ThreadAnswer, decision: &ThreadDecision) -> bool {
        matches!(decision.fate, ThreadFate::Complete | ThreadFate::Truncated)
            && self.before.failing.is_none()
            && self.shown == (Some(answer.version), answer.stored, answer.expected)
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
