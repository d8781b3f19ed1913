//! Retention: the removal of what ended long ago, across tenants, through reviewed functions of the schema.
//!
//! A function removes nothing that has not ended, whatever it is asked for. See `migrations/0022_retention.sql`.

use std::time::Duration;

use super::{Store, StoreError, roles::Scheduler};

/// A kind of row that ends, and is removed some time after that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedKind {
    Runs,
    DeadLetters,
    Quarantine,
    /// Revoked or expired.
    ApiKeys,
    OauthFlows,
    /// Answers to repeated POSTs. They end when they are given.
    IdempotencyKeys,
    OperatorEvents,
    AuditEvents,
    /// Signed out or expired, and links that were never spent.
    BrowserSessions,
    OperatorActions,
    BulkActions,
}

impl EndedKind {
    pub const ALL: [Self; 11] = [
        Self::Runs,
        Self::DeadLetters,
        Self::Quarantine,
        Self::ApiKeys,
        Self::OauthFlows,
        Self::IdempotencyKeys,
        Self::OperatorEvents,
        Self::AuditEvents,
        Self::BrowserSessions,
        Self::OperatorActions,
        Self::BulkActions,
    ];

    /// Its label in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Runs => "runs",
            Self::DeadLetters => "dead_letters",
            Self::Quarantine => "quarantine",
            Self::ApiKeys => "api_keys",
            Self::OauthFlows => "oauth_flows",
            Self::IdempotencyKeys => "idempotency_keys",
            Self::OperatorEvents => "operator_events",
            Self::AuditEvents => "audit_events",
            Self::BrowserSessions => "browser_sessions",
            Self::OperatorActions => "operator_actions",
            Self::BulkActions => "bulk_actions",
        }
    }
}

/// What a batch has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removal {
    /// Rows.
    pub removed: i64,
    /// The batch was full, so more rows may be as old.
    pub more: bool,
}

/// Calls the function of one kind. The functions differ only in their names.
macro_rules! remove {
    ($tx:ident, $age:ident, $limit:ident, $function:literal) => {
        sqlx::query_as!(
            Removal,
            r#"SELECT removed AS "removed!", more AS "more!" FROM "#
                + $function
                + r#"(now() - make_interval(secs => $1), $2)"#,
            $age,
            $limit,
        )
        .fetch_one($tx.session())
        .await?
    };
}

impl Store<Scheduler> {
    /// Removes rows of all tenants that ended longer ago than `age`, oldest first, at most `limit`. Any number of
    /// schedulers may call it at once, because each skips the rows that another one has locked.
    ///
    /// # Errors
    /// When Postgres fails. Nothing of the batch was removed then.
    #[tracing::instrument(name = "db.remove_ended", level = "debug", skip_all)]
    pub async fn remove_ended(
        &self,
        kind: EndedKind,
        age: Duration,
        limit: i32,
    ) -> Result<Removal, StoreError> {
        let mut tx = self.begin_for_all().await?;
        let age = age.as_secs_f64();
        let removal = match kind {
            EndedKind::Runs => remove!(tx, age, limit, "remove_ended_sync_runs"),
            EndedKind::DeadLetters => remove!(tx, age, limit, "remove_ended_dead_letters"),
            EndedKind::Quarantine => remove!(tx, age, limit, "remove_ended_quarantine"),
            EndedKind::ApiKeys => remove!(tx, age, limit, "remove_ended_api_keys"),
            EndedKind::OauthFlows => remove!(tx, age, limit, "remove_ended_oauth_flows"),
            EndedKind::IdempotencyKeys => remove!(tx, age, limit, "remove_ended_idempotency_keys"),
            EndedKind::OperatorEvents => remove!(tx, age, limit, "remove_ended_operator_events"),
            EndedKind::AuditEvents => remove!(tx, age, limit, "remove_ended_audit_events"),
            EndedKind::BrowserSessions => {
                remove!(tx, age, limit, "remove_ended_browser_sessions")
            }
            EndedKind::OperatorActions => {
                remove!(tx, age, limit, "remove_ended_operator_actions")
            }
            EndedKind::BulkActions => remove!(tx, age, limit, "remove_ended_bulk_actions"),
        };
        tx.commit().await?;
        Ok(removal)
    }
}
