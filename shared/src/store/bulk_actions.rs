//! Bulk actions: a retry or a drop of all dead letters that match a filter. Operators ask for one, see it and cancel it, and
//! the schedulers work through it (`bulk_work.rs`).

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    ActionOrigin, ActionSubject, DeadLetterFilter, OperatorActionKind, OperatorChannel, Store,
    StoreError, Tx,
    roles::{Operator, WorksBulkActions},
};
use crate::domain::{Stream, TenantId};

/// What a bulk action does to each letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkKind {
    Retry,
    Drop,
}

impl BulkKind {
    /// Its name in the table, in calls and in commands.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Drop => "drop",
        }
    }

    const fn action(self) -> OperatorActionKind {
        match self {
            Self::Retry => OperatorActionKind::DeadLettersRetried,
            Self::Drop => OperatorActionKind::DeadLettersDropped,
        }
    }
}

/// How far a bulk action is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkStatus {
    /// No scheduler has begun it.
    Queued,
    Running,
    Finished,
    /// An operator has ended it. What was done stays done.
    Cancelled,
}

impl BulkStatus {
    /// As calls name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A bulk action as it is stored.
#[derive(Clone, Debug)]
pub struct BulkAction {
    /// The nil id if it is about all tenants.
    pub tenant_id: Uuid,
    pub id: Uuid,
    /// `retry` or `drop`.
    pub action: String,
    pub stream: Option<String>,
    pub cause: Option<String>,
    /// `key` or `browser`.
    pub channel: String,
    pub session_id: Option<Uuid>,
    /// What the operator called itself.
    pub operator: Option<String>,
    pub requested_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    pub cancelled: bool,
    /// Letters that it is about. Once it is finished, those that were changed and those that were skipped.
    pub total: i64,
    /// Letters that were changed.
    pub done: i64,
    /// Letters that needed no change any more: closed, due already, or of a connection that has ended.
    pub skipped: i64,
    /// Streams of the last batch that wait for a worker. The next batch begins when there are none.
    pub waiting: i64,
    /// The last letter that was read.
    pub(super) cursor_id: Uuid,
    /// The last letter of the batch before.
    pub(super) batch_after: Uuid,
}

impl BulkAction {
    /// How far it is.
    #[must_use]
    pub const fn status(&self) -> BulkStatus {
        match (self.started_at, self.finished_at, self.cancelled) {
            (_, Some(_), true) => BulkStatus::Cancelled,
            (_, Some(_), false) => BulkStatus::Finished,
            (Some(_), None, _) => BulkStatus::Running,
            (None, None, _) => BulkStatus::Queued,
        }
    }

    /// What it does.
    ///
    /// # Errors
    /// When the row has a name that this build does not know.
    pub fn kind(&self) -> Result<BulkKind, StoreError> {
        match self.action.as_str() {
            "retry" => Ok(BulkKind::Retry),
            "drop" => Ok(BulkKind::Drop),
            other => Err(StoreError::Inconsistent {
                table: "bulk_actions",
                what: other.to_owned(),
            }),
        }
    }

    /// The tenant that it is about. `None` for all.
    #[must_use]
    pub fn tenant(&self) -> Option<TenantId> {
        Some(TenantId(self.tenant_id)).filter(|tenant| !tenant.0.is_nil())
    }

    /// The filter in words.
    fn subject(&self) -> ActionSubject {
        let filter = DeadLetterFilter {
            id: None,
            tenant: self.tenant(),
            stream: self
                .stream
                .as_deref()
                .and_then(|stream| stream.parse().ok()),
            cause: self.cause.clone(),
        };
        let mut subject = filter.subject();
        if self.skipped > 0 {
            subject
                .text
                .push_str(&format!(", {} skipped", self.skipped));
        }
        if self.cancelled {
            subject.text.push_str(", cancelled");
        }
        subject
    }

    fn origin(&self) -> ActionOrigin {
        let session = self.session_id;
        ActionOrigin {
            channel: session.map_or(OperatorChannel::Key, OperatorChannel::Browser),
            operator: self.operator.as_deref().and_then(|name| name.parse().ok()),
        }
    }
}

/// Selects a bulk action as a struct. The statements differ only in what follows.
macro_rules! bulk_action {
    ($rest:literal, $($argument:expr),*) => {
        sqlx::query_as!(
            BulkAction,
            r#"SELECT tenant_id, id, action, stream, cause, channel, session_id, operator, requested_at, started_at, finished_at, cancelled,
                      total, done, skipped, waiting, cursor_id, batch_after FROM bulk_actions "# + $rest,
            $($argument),*
        )
    };
}
pub(super) use bulk_action;

impl Store<Operator> {
    /// Asks for a bulk action about every letter that is open now and matches. If an equal one is under way, it is returned
    /// instead.
    ///
    /// # Errors
    /// When Postgres fails, or the letters cannot be counted in time.
    #[tracing::instrument(name = "db.start_bulk_action", level = "debug", skip_all)]
    pub async fn start_bulk_action(
        &self,
        origin: &ActionOrigin,
        kind: BulkKind,
        filter: &DeadLetterFilter,
    ) -> Result<BulkAction, StoreError> {
        let mut tx = self.begin_for_all().await?;
        let tenant = filter.tenant.map(|tenant| tenant.0);
        let stream = filter.stream.map(Stream::as_str);
        let total = sqlx::query_scalar!(
            r#"SELECT count_bulk_letters($1, $2, $3) AS "total!""#,
            tenant,
            stream,
            filter.cause.as_deref(),
        )
        .fetch_one(tx.session())
        .await?;
        let (channel, session) = origin.channel.columns();
        let owner = tenant.unwrap_or(Uuid::nil());
        sqlx::query!(
            "INSERT INTO bulk_actions (tenant_id, id, action, stream, cause, channel, session_id, operator, total)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
            owner,
            Uuid::now_v7(),
            kind.as_str(),
            stream,
            filter.cause,
            channel,
            session,
            origin.name(),
            total,
        )
        .execute(tx.session())
        .await?;
        let action = bulk_action!(
            "WHERE tenant_id = $1 AND action = $2 AND coalesce(stream, '') = $3 AND md5(coalesce(cause, '')) = md5($4)
               AND finished_at IS NULL",
            owner,
            kind.as_str(),
            stream.unwrap_or_default(),
            filter.cause.as_deref().unwrap_or_default()
        )
        .fetch_one(tx.session())
        .await?;
        tx.commit().await?;
        Ok(action)
    }

    /// Bulk actions, newest first, before the one with id `before`.
    #[tracing::instrument(name = "db.bulk_actions", level = "debug", skip_all)]
    pub async fn bulk_actions(
        &self,
        before: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<BulkAction>, StoreError> {
        let mut tx = self.inspect_all().await?;
        // Every id is lower than this one, so that the statement and its plan are one.
        let before = before.unwrap_or(Uuid::max());
        Ok(
            bulk_action!("WHERE id < $1 ORDER BY id DESC LIMIT $2", before, limit)
                .fetch_all(tx.session())
                .await?,
        )
    }

    /// One bulk action. `None` if there is none with this id.
    #[tracing::instrument(name = "db.bulk_action", level = "debug", skip_all)]
    pub async fn bulk_action(&self, id: Uuid) -> Result<Option<BulkAction>, StoreError> {
        let mut tx = self.inspect_all().await?;
        Ok(bulk_action!("WHERE id = $1", id)
            .fetch_optional(tx.session())
            .await?)
    }

    /// Ends a bulk action before its next batch. What was done stays done. One that has ended is left as it is. `None` if
    /// there is none with this id.
    #[tracing::instrument(name = "db.cancel_bulk_action", level = "debug", skip_all)]
    pub async fn cancel_bulk_action(
        &self,
        origin: &ActionOrigin,
        id: Uuid,
    ) -> Result<Option<BulkAction>, StoreError> {
        let mut tx = self.begin_for_all().await?;
        // A batch that is under way has the lock, so its letters are counted.
        let found = bulk_action!("WHERE id = $1 FOR UPDATE", id)
            .fetch_optional(tx.session())
            .await?;
        let Some(mut action) = found.filter(|action| action.finished_at.is_none()) else {
            drop(tx);
            return self.bulk_action(id).await;
        };
        action.cancelled = true;
        let subject = ActionSubject {
            tenant: action.tenant(),
            text: format!("{} of dead letters, {id}", action.action),
            reason: None,
        };
        tx.add_operator_action(origin, OperatorActionKind::BulkActionCancelled, &subject, 1)
            .await?;
        tx.end_bulk_action(action).await.map(Some)
    }
}

impl<R: WorksBulkActions> Tx<R> {
    /// Ends a bulk action, writes beside it what was done, and commits.
    pub(super) async fn end_bulk_action(
        mut self,
        mut action: BulkAction,
    ) -> Result<BulkAction, StoreError> {
        if !action.cancelled {
            // Letters of the count that were closed before their turn are found no more.
            action.skipped = action.skipped.max(action.total - action.done);
            // A letter that was being written when the others were counted is one more.
            action.total = action.done + action.skipped;
        }
        action.waiting = 0;
        let kind = action.kind()?;
        self.add_operator_action(
            &action.origin(),
            kind.action(),
            &action.subject(),
            action.done,
        )
        .await?;
        action.finished_at = sqlx::query_scalar!(
            "UPDATE bulk_actions SET started_at = coalesce(started_at, now()), finished_at = now(), cancelled = $3, total = $4,
                    done = $5, skipped = $6, waiting = 0
             WHERE tenant_id = $1 AND id = $2 RETURNING finished_at",
            action.tenant_id,
            action.id,
            action.cancelled,
            action.total,
            action.done,
            action.skipped,
        )
        .fetch_one(self.session())
        .await?;
        action.started_at = action.started_at.or(action.finished_at);
        self.commit().await?;
        Ok(action)
    }
}
