//! Threads that could not be fetched, stored with their fates. See `answers.rs` for the order of the locks.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    domain::{
        ConnectionId,
        thread_fate::{ThreadDecision, ThreadFailure, ThreadFate, ThreadPatience},
    },
    store::{StoreError, Tx, roles::Worker},
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
            self.lock_conversations(&missing).await?;
        }
        let ids: Vec<Uuid> = failed.iter().map(|failed| failed.conversation_id).collect();
        let locked = self.lock_threads(connection, ids).await?;
        let mut decisions = Vec::with_capacity(failed.len());
        let mut fates = Vec::with_capacity(failed.len());
        for failed in failed {
            let decision = locked
                .get(&failed.conversation_id)
                .map(|row| failed.failure.decide(row.before, patience));
            fates.push(decision.map(|decision| decision.fate));
            decisions.extend(decision.map(|decision| (failed, decision)));
        }
        let gone: Vec<Uuid> = decisions
            .iter()
            .filter(|(_, decision)| decision.fate == ThreadFate::Gone)
            .map(|(failed, _)| failed.conversation_id)
            .collect();
        if !gone.is_empty() {
            self.mark_gone(&gone).await?;
        }
        self.store_failures(connection, &decisions).await?;
        Ok(fates)
    }

    /// Locks conversations that may be gone, before their threads, in the order of every other writer.
    async fn lock_conversations(&mut self, conversations: &[Uuid]) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        // By source id, because a page of stubs writes its conversations in that order.
        sqlx::query!(
            "SELECT id FROM conversations WHERE tenant_id = $1 AND id = ANY ($2) ORDER BY source_id FOR UPDATE",
            tenant,
            conversations,
        )
        .fetch_all(self.session())
        .await?;
        Ok(())
    }

    /// Marks conversations whose deletion is confirmed. Their rows are locked.
    async fn mark_gone(&mut self, conversations: &[Uuid]) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "UPDATE conversations SET deleted_at = now(), updated_at = now() WHERE tenant_id = $1 AND id = ANY ($2) AND deleted_at IS NULL",
            tenant,
            conversations,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// What is stored of these threads stays as it is.
    async fn store_failures(
        &mut self,
        connection: ConnectionId,
        decided: &[(&FailedThread<'_>, ThreadDecision)],
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "UPDATE threads t SET status = i.status, attempts = i.attempts, error = i.error, failure = i.failure,
                    failed_since = i.since, tried_at = now(), due_at = now() + make_interval(secs => i.due_seconds),
                    retry_at = now() + make_interval(secs => i.recheck_seconds)
             FROM unnest($3::uuid[], $4::text[], $5::int[], $6::text[], $7::float8[], $8::float8[], $9::text[],
                         $10::timestamptz[])
                AS i(id, status, attempts, error, due_seconds, recheck_seconds, failure, since)
             WHERE t.tenant_id = $1 AND t.connection_id = $2 AND t.conversation_id = i.id",
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
