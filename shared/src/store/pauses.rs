//! Pauses: what operators have stopped for now. Redis keeps the same list as an index of its own.

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::{
    ActionOrigin, ActionSubject, OperatorActionKind, Store, StoreError, Tx,
    roles::{Operator, Scheduler},
};

/// The scopes that are no tenant's.
const WIDE: [&str; 3] = ["fleet", "fresh", "backfill"];

/// A paused scope.
#[derive(Clone, Debug, Serialize)]
pub struct Pause {
    /// `fleet`, a class or a tenant's id.
    pub scope: String,
    pub reason: Option<String>,
    pub paused_at: DateTime<Utc>,
    /// What the operator called itself.
    pub operator: Option<String>,
}

impl Store<Scheduler> {
    /// All paused scopes, oldest first.
    #[tracing::instrument(name = "db.pauses", level = "debug", skip_all)]
    pub async fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        self.begin_for_all().await?.pauses().await
    }
}

impl Tx<Scheduler> {
    /// All paused scopes, oldest first.
    #[tracing::instrument(name = "db.pauses", level = "debug", skip_all)]
    pub async fn pauses(&mut self) -> Result<Vec<Pause>, StoreError> {
        Ok(sqlx::query_as!(
            Pause,
            "SELECT scope, reason, paused_at, operator FROM pauses ORDER BY paused_at"
        )
        .fetch_all(self.session())
        .await?)
    }
}

impl Tx<Operator> {
    /// The pauses that apply to these tenants: their own, a class's, the fleet's. Those of the fleet and of classes come
    /// first.
    #[tracing::instrument(name = "db.pauses_over", level = "debug", skip_all)]
    pub async fn pauses_over(&mut self, tenants: &[Uuid]) -> Result<Vec<Pause>, StoreError> {
        let mut scopes: Vec<String> = WIDE.map(str::to_owned).to_vec();
        scopes.extend(tenants.iter().map(Uuid::to_string));
        let mut pauses = sqlx::query_as!(
            Pause,
            "SELECT scope, reason, paused_at, operator FROM pauses WHERE scope = ANY($1)",
            &scopes,
        )
        .fetch_all(self.session())
        .await?;
        pauses.sort_by_key(|pause| (!WIDE.contains(&pause.scope.as_str()), pause.paused_at));
        Ok(pauses)
    }
}

impl Store<Operator> {
    /// See [`Tx::pauses_over`].
    #[tracing::instrument(name = "db.pauses_over", level = "debug", skip_all)]
    pub async fn pauses_over(&self, tenants: &[Uuid]) -> Result<Vec<Pause>, StoreError> {
        self.inspect_all().await?.pauses_over(tenants).await
    }

    /// The pauses of the fleet and of classes, and then the newest ones of tenants, `limit` of these at most.
    #[tracing::instrument(name = "db.newest_pauses", level = "debug", skip_all)]
    pub async fn newest_pauses(&self, limit: i64) -> Result<Vec<Pause>, StoreError> {
        let mut tx = self.inspect_all().await?;
        let mut pauses = tx.pauses_over(&[]).await?;
        let of_tenants = sqlx::query_as!(
            Pause,
            "SELECT scope, reason, paused_at, operator FROM pauses WHERE scope <> ALL($1) ORDER BY paused_at DESC LIMIT $2",
            &WIDE.map(str::to_owned),
            limit,
        )
        .fetch_all(tx.session())
        .await?;
        pauses.extend(of_tenants);
        Ok(pauses)
    }

    /// Pauses a scope. If it is paused already, its first reason stays.
    #[tracing::instrument(name = "db.pause", level = "debug", skip_all)]
    pub async fn pause(
        &self,
        origin: &ActionOrigin,
        scope: &str,
        subject: &ActionSubject,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin_for_all().await?;
        let paused = sqlx::query!(
            "INSERT INTO pauses (scope, reason, operator) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            scope,
            subject.reason,
            origin.name(),
        )
        .execute(tx.session())
        .await?;
        let changed = paused.rows_affected() as i64;
        tx.add_operator_action(origin, OperatorActionKind::Paused, subject, changed)
            .await?;
        tx.commit().await
    }

    /// Ends the pause of a scope.
    #[tracing::instrument(name = "db.resume", level = "debug", skip_all)]
    pub async fn resume(
        &self,
        origin: &ActionOrigin,
        scope: &str,
        subject: &ActionSubject,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin_for_all().await?;
        let resumed = sqlx::query!("DELETE FROM pauses WHERE scope = $1", scope)
            .execute(tx.session())
            .await?;
        let changed = resumed.rows_affected() as i64;
        tx.add_operator_action(origin, OperatorActionKind::Resumed, subject, changed)
            .await?;
        tx.commit().await
    }
}
