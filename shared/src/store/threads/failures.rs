//! Threads that could not be fetched, stored with their fates. See `answers.rs` for the order of the locks.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    domain::{
        ConnectionId, Stream,
        thread_fate::{ThreadDecision, ThreadFailure, ThreadFate, ThreadPatience},
    },
    store::{
        ProofDelta, StoreError, Tx,
        noted_changes::{ChangeOp, ObjectFate},
        roles::Worker,
        thread_counts::CountedThread,
    },
};

/// A thread that could not be fetched.
#[derive(Clone, Copy, Debug)]
pub struct FailedThread<'a> {
    pub conversation_id: Uuid,
    pub failure: ThreadFailure,
    pub error: &'a str,
}

impl Tx<Worker> {
    /// Stores the fates of threads that could not be fetched, in the order given. `None` for one that was deleted
    /// meanwhile.
    #[tracing::instrument(name = "db.fail_threads", level = "debug", skip_all)]
    pub async fn fail_threads(
        &mut self,
        connection: ConnectionId,
        failed: &[FailedThread<'_>],
        patience: ThreadPatience,
    ) -> Result<Vec<Option<ThreadFate>>, StoreError> {
        let missing: Vec<Uuid> = failed
            .iter()
            .filter(|failed| failed.failure == ThreadFailure::Missing)
            .map(|failed| failed.conversation_id)
            .collect();
        if !missing.is_empty() {
            // A conversation that turns out to be gone is subtracted from its own stream. Its row is locked before those
            // of the conversations, in the order of a page of stubs.
            self.lock_stream(connection, Stream::Conversations).await?;
            self.lock_conversations(&missing).await?;
        }
        let ids: Vec<Uuid> = failed.iter().map(|failed| failed.conversation_id).collect();
        let locked = self.lock_threads(connection, &ids).await?;
        let mut decisions = Vec::with_capacity(failed.len());
        let mut fates = Vec::with_capacity(failed.len());
        for failed in failed {
            let decision = locked
                .get(&failed.conversation_id)
                .map(|row| failed.failure.decide(row.before(), patience));
            if let Some((row, decision)) = locked.get(&failed.conversation_id).zip(decision) {
                let after = CountedThread {
                    status: decision.fate.as_str(),
                    has_failed: true,
                    ..row.counted()
                };
                self.note_thread(connection, Some(&row.counted()), &after);
                if after.status != row.status {
                    // Readers see the status of a thread in its conversation.
                    self.note_changes(ChangeOp::Link, [row.id]);
                }
            }
            fates.push(decision.map(|decision| decision.fate));
            decisions.extend(decision.map(|decision| (failed, decision)));
        }
        let gone: Vec<Uuid> = decisions
            .iter()
            .filter(|(_, decision)| decision.fate == ThreadFate::Gone)
            .map(|(failed, _)| failed.conversation_id)
            .collect();
        if !gone.is_empty() {
            self.mark_gone(connection, &gone).await?;
        }
        self.store_failures(connection, &decisions).await?;
        Ok(fates)
    }

    /// Marks conversations whose deletion is confirmed. Their rows and that of their stream are locked.
    async fn mark_gone(
        &mut self,
        connection: ConnectionId,
        conversations: &[Uuid],
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        let marked = sqlx::query_scalar!(
            "INSERT INTO conversations (tenant_id, id, connection_id, source_id, source_created_at, source_updated_at, open, raw_hash, raw)
             SELECT $1, c.id, c.connection_id, '', c.source_updated_at, c.source_updated_at, false, 0, ''
             FROM unnest($2::uuid[]) AS i(id)
             CROSS JOIN LATERAL (SELECT id, connection_id, source_updated_at, deleted_at FROM conversations
                                 WHERE tenant_id = $1 AND id = i.id OFFSET 0) c
             WHERE c.deleted_at IS NULL
             ON CONFLICT (tenant_id, id) DO UPDATE SET deleted_at = now()
             RETURNING id",
            tenant,
            conversations,
        )
        .fetch_all(self.session())
        .await?;
        let ended = ProofDelta::ended(marked.len() as u64);
        self.note_ends(ChangeOp::Delete, ObjectFate::Deleted, marked);
        self.add_to_proof(connection, Stream::Conversations, ended)
            .await
    }

    /// Marks the threads of conversations that are gone.
    pub(in crate::store) async fn end_threads(
        &mut self,
        connection: ConnectionId,
        conversations: &[Uuid],
    ) -> Result<(), StoreError> {
        let mut locked = self.lock_threads(connection, conversations).await?;
        locked.retain(|_, thread| thread.status != "gone");
        for thread in locked.values() {
            let after = CountedThread {
                status: "gone",
                has_failed: false,
                ..thread.counted()
            };
            self.note_thread(connection, Some(&thread.counted()), &after);
        }
        let tenant = self.tenant().0;
        let ids: Vec<Uuid> = locked.into_keys().collect();
        sqlx::query!(
            "INSERT INTO threads (tenant_id, connection_id, conversation_id, source_id, status, stub_version)
             SELECT $1, $2, id, '', 'gone', '-infinity' FROM unnest($3::uuid[]) AS i(id)
             ON CONFLICT (tenant_id, connection_id, conversation_id) DO UPDATE SET
                status = 'gone', due_at = NULL, error = NULL, failure = NULL, failed_since = NULL, retry_at = NULL",
            tenant,
            connection.0,
            &ids,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// What is stored of these threads stays as it is. Their rows exist and are locked (see `answers.rs`).
    async fn store_failures(
        &mut self,
        connection: ConnectionId,
        decided: &[(&FailedThread<'_>, ThreadDecision)],
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "INSERT INTO threads AS t
                (tenant_id, connection_id, conversation_id, source_id, status, stub_version, attempts, error, failure,
                 failed_since, tried_at, due_at, retry_at)
             SELECT $1, $2, id, '', status, '-infinity', attempts, error, failure, since, now(),
                    now() + make_interval(secs => due_seconds), now() + make_interval(secs => recheck_seconds)
             FROM unnest($3::uuid[], $4::text[], $5::int[], $6::text[], $7::float8[], $8::float8[], $9::text[],
                         $10::timestamptz[])
                AS i(id, status, attempts, error, due_seconds, recheck_seconds, failure, since)
             ON CONFLICT (tenant_id, connection_id, conversation_id) DO UPDATE SET
                status = excluded.status, attempts = excluded.attempts, error = excluded.error, failure = excluded.failure,
                failed_since = excluded.failed_since, tried_at = excluded.tried_at, due_at = excluded.due_at,
                retry_at = excluded.retry_at",
            tenant,
            connection.0,
            &decided
                .iter()
                .map(|(failed, _)| failed.conversation_id)
                .collect::<Vec<_>>(),
            &decided
                .iter()
                .map(|(_, decision)| decision.fate.as_str())
                .collect::<Vec<_>>() as &[&str],
            &decided
                .iter()
                .map(|(_, decision)| decision.attempts)
                .collect::<Vec<_>>(),
            &decided
                .iter()
                .map(|(failed, _)| failed.error)
                .collect::<Vec<_>>() as &[&str],
            &decided
                .iter()
                .map(|(_, decision)| decision.fate.due_seconds())
                .collect::<Vec<_>>() as &[Option<f64>],
            &decided
                .iter()
                .map(|(_, decision)| decision.fate.recheck_seconds())
                .collect::<Vec<_>>() as &[Option<f64>],
            &decided
                .iter()
                .map(|(failed, _)| failed.failure.as_str())
                .collect::<Vec<_>>() as &[&str],
            &decided
                .iter()
                .map(|(_, decision)| decision.failing.map(|failing| failing.since))
                .collect::<Vec<_>>() as &[Option<DateTime<Utc>>],
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}
