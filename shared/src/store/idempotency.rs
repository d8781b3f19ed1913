//! Answers to repeated POSTs. A row without an answer is a call still in progress.
//!
//! A key is good for 24 hours and for one body. The answer is sealed by the caller, because it may
//! hold a secret (a new key) that this table must not show.

use super::{
    StoreError, Tx,
    roles::{AnswersCalls, Api},
};

/// What a key that was presented means for the call that brought it.
#[derive(Clone, Debug)]
pub enum Claim {
    /// First of its kind: carry the call out, then answer or release the key.
    Granted,
    /// The first call is not finished yet.
    InProgress,
    /// The key came before with another body.
    Reused,
    /// The call was carried out: give this answer again.
    Answered { status: u16, sealed: Vec<u8> },
}

impl Tx<Api> {
    /// Claims a key for one call. Of many equal calls exactly one is granted.
    #[tracing::instrument(name = "db.claim_idempotency_key", level = "debug", skip_all)]
    pub async fn claim_idempotency_key(
        &mut self,
        route: &str,
        key_sha256: &[u8; 32],
        body_sha256: &[u8; 32],
    ) -> Result<Claim, StoreError> {
        let tenant = self.tenant().0;
        // A call lasts 30 seconds at most, so one that is still open after two minutes died with its process. After a day
        // the key is as good as new, although its row may still be there.
        let granted = sqlx::query_scalar!(
            r#"INSERT INTO idempotency_keys AS k (tenant_id, route, key_sha256, body_sha256) VALUES ($1, $2, $3, $4)
               ON CONFLICT (tenant_id, route, key_sha256) DO UPDATE
               SET created_at = now(), body_sha256 = EXCLUDED.body_sha256, status = NULL, answer = NULL
               WHERE k.created_at < now() - interval '24 hours'
                  OR k.answer IS NULL AND k.body_sha256 = EXCLUDED.body_sha256
                     AND k.created_at < now() - interval '2 minutes'
               RETURNING true AS "granted!""#,
            tenant,
            route,
            key_sha256,
            body_sha256,
        )
        .fetch_optional(self.session())
        .await?;
        if granted.is_some() {
            return Ok(Claim::Granted);
        }

        let known = sqlx::query!(
            "SELECT body_sha256, status, answer FROM idempotency_keys
             WHERE tenant_id = $1 AND route = $2 AND key_sha256 = $3",
            tenant,
            route,
            key_sha256,
        )
        .fetch_optional(self.session())
        .await?;
        Ok(match known {
            Some(row) if row.body_sha256 != body_sha256 => Claim::Reused,
            Some(row) => match row.status.zip(row.answer) {
                Some((status, sealed)) => Claim::Answered {
                    status: status.unsigned_abs(),
                    sealed,
                },
                None => Claim::InProgress,
            },
            // Released between the two statements, so the caller may try again at once.
            None => Claim::InProgress,
        })
    }

    /// Releases a granted key, because the call failed on our side and a repeat should run.
    #[tracing::instrument(name = "db.release_idempotency_key", level = "debug", skip_all)]
    pub async fn release_idempotency_key(
        &mut self,
        route: &str,
        key_sha256: &[u8; 32],
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "DELETE FROM idempotency_keys
             WHERE tenant_id = $1 AND route = $2 AND key_sha256 = $3 AND answer IS NULL",
            tenant,
            route,
            key_sha256,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}

impl<R: AnswersCalls> Tx<R> {
    /// Stores the answer to a granted call.
    #[tracing::instrument(name = "db.answer_idempotency_key", level = "debug", skip_all)]
    pub async fn answer_idempotency_key(
        &mut self,
        route: &str,
        key_sha256: &[u8; 32],
        status: u16,
        sealed: &[u8],
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        sqlx::query!(
            "UPDATE idempotency_keys SET status = $4, answer = $5
             WHERE tenant_id = $1 AND route = $2 AND key_sha256 = $3",
            tenant,
            route,
            key_sha256,
            status.cast_signed(),
            sealed,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}
