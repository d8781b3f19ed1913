//! Audit events: who did what. Rows are added and read, and no role may change one (see
//! `migrations/0031_audit_events.sql`).

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{
    StoreError, Tx,
    reads::Position,
    roles::{Api, KeepsAuditEvents},
};
use crate::domain::audit_event::{AuditAction, NewAuditEvent};

/// An action as its tenant sees it later.
#[derive(Clone, Debug)]
pub struct AuditEvent {
    pub id: Uuid,
    pub at: DateTime<Utc>,
    /// See [`AuditAction`].
    pub action: String,
    /// See [`Actor`](crate::domain::audit_event::Actor).
    pub actor_kind: String,
    /// The id of a tenant key or of a browser's session.
    pub actor_id: Option<Uuid>,
    pub object_type: String,
    pub object_id: Uuid,
    /// A JSON object.
    pub details: Value,
}

/// Which audit events are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditEventFilter {
    /// Only this action.
    pub action: Option<AuditAction>,
    /// At this time or later.
    pub since: Option<DateTime<Utc>>,
    /// Before this time.
    pub until: Option<DateTime<Utc>>,
}

impl AuditEventFilter {
    /// The end from which a page goes back: where the page before ended, or `until`.
    fn end(&self, before: Position) -> Position {
        match self.until {
            // Nothing of that time itself comes before the least id.
            Some(at) if at <= before.at => Position {
                at,
                id: Uuid::nil(),
            },
            _ => before,
        }
    }
}

impl<R: KeepsAuditEvents> Tx<R> {
    /// Keeps an action that this transaction carries out. Without its commit there is no event either.
    ///
    /// # Errors
    /// When the tenant does not exist, or Postgres fails.
    #[tracing::instrument(name = "db.add_audit_event", level = "debug", skip_all)]
    pub async fn add_audit_event(&mut self, event: NewAuditEvent) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "INSERT INTO audit_events (tenant_id, id, action, actor_kind, actor_id, object_type, object_id, details)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            tenant,
            Uuid::now_v7(),
            event.action.as_str(),
            event.actor.kind(),
            event.actor.id(),
            event.action.object_type(),
            event.object,
            event.details,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}

impl Tx<Api> {
    /// Audit events, newest first.
    ///
    /// # Errors
    /// When Postgres fails.
    #[tracing::instrument(name = "db.audit_events", level = "debug", skip_all)]
    pub async fn audit_events(
        &mut self,
        filter: &AuditEventFilter,
        before: Position,
        limit: i64,
    ) -> Result<Vec<AuditEvent>, StoreError> {
        let tenant = self.tenant().0;
        let end = filter.end(before);
        let since = filter.since.unwrap_or(DateTime::UNIX_EPOCH);
        let Some(action) = filter.action else {
            return Ok(sqlx::query_as!(
                AuditEvent,
                "SELECT id, at, action, actor_kind, actor_id, object_type, object_id, details FROM audit_events
                 WHERE tenant_id = $1 AND (at, id) < ($2, $3) AND at >= $4
                 ORDER BY at DESC, id DESC LIMIT $5",
                tenant,
                end.at,
                end.id,
                since,
                limit,
            )
            .fetch_all(self.session())
            .await?);
        };
        Ok(sqlx::query_as!(
            AuditEvent,
            "SELECT id, at, action, actor_kind, actor_id, object_type, object_id, details FROM audit_events
             WHERE tenant_id = $1 AND action = $6 AND (at, id) < ($2, $3) AND at >= $4 AND at > '-infinity'
             ORDER BY at DESC, id DESC LIMIT $5",
            tenant,
            end.at,
            end.id,
            since,
            limit,
            action.as_str(),
        )
        .fetch_all(self.session())
        .await?)
    }
}
