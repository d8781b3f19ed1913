//! How a slice ends, for its stream: the cursor moved, a failed attempt, a rest, a block, a dead letter.
//!
//! Every one is part of a fenced transaction: see `slices.rs`.

use sqlx::types::Json;
use uuid::Uuid;

use super::{SliceKey, StoreError, Tx, roles::Worker};
use crate::domain::{ConnectionId, Stream};

/// What a slice changed in the proof: rows that are held, and objects known to be missing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// New to us: held from now on, and known to exist.
    pub inserted: usize,
    /// Put into quarantine: known to exist, and not held as it is now.
    pub quarantined: i64,
    /// Out of quarantine.
    pub healed: i64,
}

/// What a failed attempt leaves of the walk under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// The cursor stands: the next slice goes on from it.
    GoesOn,
    /// What the cursor says is kept, but everything is asked for again: a scroll cannot be resumed.
    AsksAgain,
    /// The cursor is worth nothing.
    StartsOver,
}

impl Tx<Worker> {
    /// Saves where the walk is, with what was written: both or neither.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn save_cursor(
        &mut self,
        key: SliceKey,
        cursor: &impl serde::Serialize,
        tally: Tally,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE streams SET cursor = nullif($4, 'null'::jsonb), held = held + $5, expected = expected + $5 + $6,
                    attempts = 0, last_error = NULL
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3",
            key.tenant.0,
            key.connection.0,
            key.stream.as_str(),
            Json(cursor) as _,
            tally.inserted as i64,
            tally.quarantined - tally.healed,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Saves where the walk is without calling it progress: the attempts stay counted.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn save_place(
        &mut self,
        key: SliceKey,
        cursor: &impl serde::Serialize,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE streams SET cursor = $4 WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3",
            key.tenant.0,
            key.connection.0,
            key.stream.as_str(),
            Json(cursor) as _,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Counts a failed attempt of the stream and says when to try again.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn fail_stream(
        &mut self,
        key: SliceKey,
        error: &str,
        seconds: f64,
        walk: Failed,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE streams SET attempts = attempts + 1, last_error = $4, due_at = now() + make_interval(secs => $5),
                    restarts = restarts + CASE WHEN $6 THEN 1 ELSE 0 END,
                    cursor = CASE WHEN $7 THEN NULL ELSE cursor END
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3",
            key.tenant.0,
            key.connection.0,
            key.stream.as_str(),
            error,
            seconds,
            walk != Failed::GoesOn,
            walk == Failed::StartsOver,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Nothing to do until then (`None`: until somebody makes it due); the walk has not ended.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn rest_stream(
        &mut self,
        key: SliceKey,
        seconds: Option<f64>,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE streams SET due_at = now() + make_interval(secs => $4), ticketed_at = NULL
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3",
            key.tenant.0,
            key.connection.0,
            key.stream.as_str(),
            seconds,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Puts a stream that is being given up among the dead letters; one open letter per stream.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn write_dead_letter(
        &mut self,
        key: SliceKey,
        cause: &str,
        attempts: i32,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO dead_letters (tenant_id, id, connection_id, stream, cause, attempts)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (tenant_id, connection_id, stream) WHERE resolved_at IS NULL
             DO UPDATE SET cause = excluded.cause, attempts = excluded.attempts, died_at = now()",
            key.tenant.0,
            Uuid::now_v7(),
            key.connection.0,
            key.stream.as_str(),
            cause,
            attempts,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Marks a stream as one that cannot go on now, with a sentence and the next step; it looks again later.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn block_stream(
        &mut self,
        key: SliceKey,
        why: &super::ConnectionError,
        again_in_seconds: f64,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE streams SET blocked_code = $4, blocked_message = $5, blocked_action = $6,
                    blocked_until = now() + make_interval(secs => $7), due_at = now() + make_interval(secs => $7),
                    ticketed_at = NULL, attempts = 0, last_error = NULL
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3",
            key.tenant.0,
            key.connection.0,
            key.stream.as_str(),
            why.code,
            why.message,
            why.action,
            again_in_seconds,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// The token is dead: the connection waits for the customer, and its streams owe nothing, except
    /// the one that looks now and then whether the token works again.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn require_reauth(
        &mut self,
        key: SliceKey,
        state: &str,
        why: &super::ConnectionError,
        probe_in_seconds: f64,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE connections SET state = $3, error_code = $4, error_message = $5, error_action = $6
             WHERE tenant_id = $1 AND id = $2",
            key.tenant.0,
            key.connection.0,
            state,
            why.code,
            why.message,
            why.action,
        )
        .execute(self.session())
        .await?;
        sqlx::query!(
            "UPDATE streams SET due_at = CASE WHEN stream = 'reference' THEN now() + make_interval(secs => $3) END,
                    attempts = 0, last_error = NULL,
                    -- Slices of the others that are under way would make their streams due again.
                    fence = fence + CASE WHEN stream = $4 THEN 0 ELSE 1 END
             WHERE tenant_id = $1 AND connection_id = $2",
            key.tenant.0,
            key.connection.0,
            probe_in_seconds,
            key.stream.as_str(),
        )
        .execute(self.session())
        .await?;
        sqlx::query!(
            "UPDATE sync_runs SET status = 'failed', finished_at = now(), pending = '{}', error_code = $3, error_message = $4
             WHERE tenant_id = $1 AND connection_id = $2 AND finished_at IS NULL",
            key.tenant.0,
            key.connection.0,
            why.code,
            why.message,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// The token works again: everything is due.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn revive_connection(&mut self, key: SliceKey) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE connections SET state = 'active', error_code = NULL, error_message = NULL, error_action = NULL
             WHERE tenant_id = $1 AND id = $2 AND state <> 'disconnected'",
            key.tenant.0,
            key.connection.0,
        )
        .execute(self.session())
        .await?;
        sqlx::query!(
            "UPDATE streams SET due_at = now(), ticketed_at = NULL WHERE tenant_id = $1 AND connection_id = $2",
            key.tenant.0,
            key.connection.0,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Makes another stream of the connection due now: its backlog is being added to.
    ///
    /// Called last where that stream's slices write the same rows and lock their stream last too (threads). The row
    /// is written even when it is due already: that waits for a slice that is about to find its backlog empty, and
    /// undoes the "owes nothing" it then wrote.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn make_due(
        &mut self,
        connection: ConnectionId,
        stream: Stream,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "UPDATE streams SET due_at = least(due_at, now())
             WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3 AND blocked_code IS NULL",
            tenant,
            connection.0,
            stream.as_str(),
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}
