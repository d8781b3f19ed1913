//! What Intercom has refused a stream so far, because one refusal is not believed.
//!
//! Every method is part of a transaction that compares the fence. See `fence.rs`.

use chrono::{DateTime, Utc};

use crate::{
    domain::{ConnectionId, Stream},
    store::{SliceKey, StoreError, Tx, roles::Worker},
};

/// The refusals of a stream since Intercom last served it.
#[derive(Clone, Debug)]
pub struct StreamRefusals {
    /// The refusal that is doubted, and since when.
    pub code: Option<String>,
    pub since: Option<DateTime<Utc>>,
    /// How often it was met.
    pub times: i32,
    /// How often in a row the stream was blocked. 0 if no refusal is believed.
    pub blocked_times: i32,
    /// By Postgres' clock.
    pub now: DateTime<Utc>,
}

impl Tx<Worker> {
    /// The refusals so far. The stream's row is locked, so they stay as they are.
    #[tracing::instrument(name = "db.refusals", level = "debug", skip_all)]
    pub async fn refusals(&mut self, key: SliceKey) -> Result<StreamRefusals, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_as!(
            StreamRefusals,
            r#"SELECT refused_code AS code, refused_since AS since, refusals AS times, blocked_times, now() AS "now!"
               FROM streams WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3"#,
            tenant,
            key.connection.0,
            key.stream.as_str(),
        )
        .fetch_one(self.session())
        .await?)
    }

    /// Counts a refusal that is not believed yet. It is a failed attempt, and the next one follows in so many seconds.
    #[tracing::instrument(name = "db.doubt_refusal", level = "debug", skip_all)]
    pub async fn doubt_refusal(
        &mut self,
        key: SliceKey,
        code: &str,
        error: &str,
        seconds: f64,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        // Another refusal than the last one begins a count of its own.
        sqlx::query!(
            "UPDATE streams SET attempts = attempts + 1, last_error = $5, due_at = now() + make_interval(secs => $6),
                    failed_at = now(), failing_since = CASE WHEN attempts > 0 THEN failing_since ELSE now() END,
                    refusals = CASE WHEN refused_code = $4 THEN refusals ELSE 0 END + 1,
                    refused_since = CASE WHEN refused_code = $4 THEN refused_since ELSE now() END, refused_code = $4
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3",
            tenant,
            key.connection.0,
            key.stream.as_str(),
            code,
            error,
            seconds,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Counts one more check of a block that Intercom has confirmed.
    #[tracing::instrument(name = "db.count_block", level = "debug", skip_all)]
    pub async fn count_block(&mut self, key: SliceKey) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "UPDATE streams SET blocked_times = blocked_times + 1
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3",
            tenant,
            key.connection.0,
            key.stream.as_str(),
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Ends the block of a stream, because Intercom has served one of its objects to another stream. The stream is due
    /// now. Nothing changes if no refusal blocks it.
    #[tracing::instrument(name = "db.lift_block", level = "debug", skip_all)]
    pub async fn lift_block(
        &mut self,
        connection: ConnectionId,
        stream: Stream,
    ) -> Result<bool, StoreError> {
        let tenant = self.tenant().0;
        let lifted = sqlx::query!(
            "UPDATE streams SET due_at = now(), ticketed_at = NULL, blocked_times = 0,
                    refused_code = NULL, refused_since = NULL, refusals = 0,
                    blocked_code = NULL, blocked_message = NULL, blocked_action = NULL, blocked_until = NULL
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3 AND blocked_times > 0",
            tenant,
            connection.0,
            stream.as_str(),
        )
        .execute(self.session())
        .await?;
        Ok(lifted.rows_affected() > 0)
    }

    /// How many threads Intercom has refused since it last served one.
    #[tracing::instrument(name = "db.refused_threads", level = "debug", skip_all)]
    pub async fn refused_threads(&mut self, key: SliceKey) -> Result<i64, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM threads
               WHERE tenant_id = $1 AND connection_id = $2 AND status = 'pending' AND failure IS NOT NULL
                 AND failure = 'refused' AND failed_since > coalesce((
                    SELECT progress_at FROM streams WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3), '-infinity')"#,
            tenant,
            key.connection.0,
            key.stream.as_str(),
        )
        .fetch_one(self.session())
        .await?)
    }
}
