//! Pauses: what operators have stopped for now. Redis keeps the same list as an index of its own.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{
    ActionSubject, OperatorActionKind, OperatorChannel, Store, StoreError, Tx,
    roles::{Operator, ReadsPauses},
};

/// A paused scope.
#[derive(Clone, Debug, Serialize)]
pub struct Pause {
    /// `fleet`, a class or a tenant's id.
    pub scope: String,
    pub reason: Option<String>,
    pub paused_at: DateTime<Utc>,
}

impl<R: ReadsPauses> Store<R> {
    /// All paused scopes, oldest first.
    #[tracing::instrument(name = "db.pauses", level = "debug", skip_all)]
    pub async fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        self.begin_for_all().await?.pauses().await
    }
}

impl<R: ReadsPauses> Tx<R> {
    /// All paused scopes, oldest first.
    #[tracing::instrument(name = "db.pauses", level = "debug", skip_all)]
    pub async fn pauses(&mut self) -> Result<Vec<Pause>, StoreError> {
        Ok(sqlx::query_as!(
            Pause,
            "SELECT scope, reason, paused_at FROM pauses ORDER BY paused_at"
        )
        .fetch_all(self.session())
        .await?)
    }
}

impl Store<Operator> {
    /// Pauses a scope. If it is paused already, its first reason stays.
    #[tracing::instrument(name = "db.pause", level = "debug", skip_all)]
    pub async fn pause(
        &self,
        channel: OperatorChannel,
        scope: &str,
        subject: &ActionSubject,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin_for_all().await?;
        let paused = sqlx::query!(
            "INSERT INTO pauses (scope, reason) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            scope,
            subject.reason,
        )
        .execute(tx.session())
        .await?;
        let changed = paused.rows_affected() as i64;
        tx.add_operator_action(channel, OperatorActionKind::Paused, subject, changed)
            .await?;
        tx.commit().await
    }

    /// Ends the pause of a scope.
    #[tracing::instrument(name = "db.resume", level = "debug", skip_all)]
    pub async fn resume(
        &self,
        channel: OperatorChannel,
        scope: &str,
        subject: &ActionSubject,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin_for_all().await?;
        let resumed = sqlx::query!("DELETE FROM pauses WHERE scope = $1", scope)
            .execute(tx.session())
            .await?;
        let changed = resumed.rows_affected() as i64;
        tx.add_operator_action(channel, OperatorActionKind::Resumed, subject, changed)
            .await?;
        tx.commit().await
    }
}
