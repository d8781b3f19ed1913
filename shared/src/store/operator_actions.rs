//! What operators have done. Each action is written in its own transaction of the change.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    Store, StoreError, Tx,
    roles::{Operator, WorksBulkActions},
};
use crate::domain::{OperatorName, TenantId};

/// What an operator may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatorActionKind {
    Paused,
    Resumed,
    DeadLettersRetried,
    DeadLettersDropped,
    BulkActionCancelled,
}

impl OperatorActionKind {
    /// Its name in the table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Paused => "work.paused",
            Self::Resumed => "work.resumed",
            Self::DeadLettersRetried => "dead_letters.retried",
            Self::DeadLettersDropped => "dead_letters.dropped",
            Self::BulkActionCancelled => "bulk_action.cancelled",
        }
    }
}

/// How an operator has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatorChannel {
    /// A program with the operator key.
    Key,
    /// A browser that was signed in with the key, by its session.
    Browser(Uuid),
}

impl OperatorChannel {
    /// Its name in a table, and the session.
    pub(super) const fn columns(self) -> (&'static str, Option<Uuid>) {
        match self {
            Self::Key => ("key", None),
            Self::Browser(session) => ("browser", Some(session)),
        }
    }
}

/// Whose action it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionOrigin {
    pub channel: OperatorChannel,
    /// `None` if the operator gave no name.
    pub operator: Option<OperatorName>,
}

impl ActionOrigin {
    /// Of an operator without a name.
    #[must_use]
    pub const fn unnamed(channel: OperatorChannel) -> Self {
        Self {
            channel,
            operator: None,
        }
    }

    /// The name as a column has it.
    pub(super) fn name(&self) -> Option<&str> {
        self.operator.as_ref().map(OperatorName::as_str)
    }
}

/// What an action is about.
#[derive(Clone, Debug)]
pub struct ActionSubject {
    /// `None` if it is not about one tenant.
    pub tenant: Option<TenantId>,
    /// The scope or the filter, in words.
    pub text: String,
    pub reason: Option<String>,
}

/// An action as it is listed.
#[derive(Clone, Debug)]
pub struct OperatorAction {
    pub id: Uuid,
    pub at: DateTime<Utc>,
    pub action: String,
    /// `key` or `browser`.
    pub channel: String,
    pub session_id: Option<Uuid>,
    /// What the operator called itself.
    pub operator: Option<String>,
    /// The nil id if it was not about one tenant.
    pub tenant_id: Uuid,
    pub subject: String,
    pub reason: Option<String>,
    /// How many rows it changed.
    pub changed: i64,
}

impl<R: WorksBulkActions> Tx<R> {
    /// Writes an action beside what it changes.
    pub(super) async fn add_operator_action(
        &mut self,
        origin: &ActionOrigin,
        kind: OperatorActionKind,
        subject: &ActionSubject,
        changed: i64,
    ) -> Result<(), StoreError> {
        let (channel, session) = origin.channel.columns();
        sqlx::query!(
            "INSERT INTO operator_actions (tenant_id, id, action, channel, session_id, operator, subject, reason, changed)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            subject.tenant.map_or(Uuid::nil(), |tenant| tenant.0),
            Uuid::now_v7(),
            kind.as_str(),
            channel,
            session,
            origin.name(),
            subject.text,
            subject.reason,
            changed,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}

impl Store<Operator> {
    /// Actions, newest first, before the one with id `before`.
    #[tracing::instrument(name = "db.operator_actions", level = "debug", skip_all)]
    pub async fn operator_actions(
        &self,
        before: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<OperatorAction>, StoreError> {
        let mut tx = self.inspect_all().await?;
        // Every id is lower than this one, so that the statement and its plan are one.
        let before = before.unwrap_or(Uuid::max());
        Ok(sqlx::query_as!(
            OperatorAction,
            "SELECT id, at, action, channel, session_id, operator, tenant_id, subject, reason, changed
             FROM operator_actions WHERE id < $1 ORDER BY id DESC LIMIT $2",
            before,
            limit,
        )
        .fetch_all(tx.session())
        .await?)
    }

    /// The same, of one tenant.
    #[tracing::instrument(name = "db.operator_actions_of", level = "debug", skip_all)]
    pub async fn operator_actions_of(
        &self,
        tenant: TenantId,
        before: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<OperatorAction>, StoreError> {
        let mut tx = self.inspect_all().await?;
        Ok(sqlx::query_as!(
            OperatorAction,
            "SELECT id, at, action, channel, session_id, operator, tenant_id, subject, reason, changed
             FROM operator_actions WHERE tenant_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
            tenant.0,
            before.unwrap_or(Uuid::max()),
            limit,
        )
        .fetch_all(tx.session())
        .await?)
    }
}
