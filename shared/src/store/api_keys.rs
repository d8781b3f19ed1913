//! Tenant keys: made and revoked by the product backend, and looked up by every call that presents one.
//!
//! A key's secret half is 256 random bits. Only its SHA-256 is stored, so a copy of the table has no key that works.

use chrono::{DateTime, Utc};
use sqlx::Row as _;
use uuid::Uuid;

use super::{Store, StoreError, Tx, reads::Position, roles::Api};
use crate::domain::{TenantId, audit_event::Effect};

/// A key without its secret, as its owner sees it later.
#[derive(Clone, Debug)]
pub struct ApiKey {
    pub id: Uuid,
    pub name: String,
    pub scopes: Vec<String>,
    pub created_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
}

/// What a presented key is checked against.
#[derive(Clone, Debug)]
pub struct KeyHolder {
    pub tenant: TenantId,
    pub secret_sha256: Vec<u8>,
    pub scopes: Vec<String>,
}

impl Store<Api> {
    /// A key of any tenant that is neither revoked nor expired.
    #[tracing::instrument(name = "db.find_api_key", level = "debug", skip_all)]
    pub async fn find_api_key(&self, id: Uuid) -> Result<Option<KeyHolder>, StoreError> {
        let statement =
            format!("SELECT tenant_id, secret_sha256, scopes FROM find_api_key('{id}')");
        let rows = self.ask(&statement).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        Ok(Some(KeyHolder {
            tenant: TenantId(row.try_get("tenant_id")?),
            secret_sha256: row.try_get("secret_sha256")?,
            scopes: row.try_get("scopes")?,
        }))
    }
}

impl Tx<Api> {
    /// Stores a new key by the digest of its secret half.
    ///
    /// # Errors
    /// When Postgres refuses a value. The API checks name and scopes first.
    #[tracing::instrument(name = "db.create_api_key", level = "debug", skip_all)]
    pub async fn create_api_key(
        &mut self,
        id: Uuid,
        name: &str,
        secret_sha256: &[u8; 32],
        scopes: &[String],
        expires_at: Option<DateTime<Utc>>,
    ) -> Result<ApiKey, StoreError> {
        let tenant = self.tenant().0;
        let created_at = sqlx::query_scalar!(
            "INSERT INTO api_keys (tenant_id, id, name, secret_sha256, scopes, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6) RETURNING created_at",
            tenant,
            id,
            name,
            secret_sha256,
            scopes,
            expires_at,
        )
        .fetch_one(self.session())
        .await?;
        Ok(ApiKey {
            id,
            name: name.to_owned(),
            scopes: scopes.to_vec(),
            created_at,
            expires_at,
        })
    }

    /// The keys that are not revoked, newest first.
    #[tracing::instrument(name = "db.api_keys", level = "debug", skip_all)]
    pub async fn api_keys(
        &mut self,
        before: Position,
        limit: i64,
    ) -> Result<Vec<ApiKey>, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_as!(
            ApiKey,
            "SELECT id, name, scopes, created_at, expires_at FROM api_keys
             WHERE tenant_id = $1 AND revoked_at IS NULL AND (created_at, id) < ($2, $3)
             ORDER BY created_at DESC, id DESC LIMIT $4",
            tenant,
            before.at,
            before.id,
            limit,
        )
        .fetch_all(self.session())
        .await?)
    }

    /// Revokes a key at once, on every replica. `None` for an unknown or foreign id. A second call changes nothing.
    #[tracing::instrument(name = "db.revoke_api_key", level = "debug", skip_all)]
    pub async fn revoke_api_key(&mut self, id: Uuid) -> Result<Option<Effect>, StoreError> {
        let tenant = self.tenant().0;
        let revoked = sqlx::query!(
            "UPDATE api_keys SET revoked_at = now() WHERE tenant_id = $1 AND id = $2 AND revoked_at IS NULL",
            tenant,
            id,
        )
        .execute(self.session())
        .await?;
        if revoked.rows_affected() > 0 {
            return Ok(Some(Effect::Changed));
        }
        let is_known = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM api_keys WHERE tenant_id = $1 AND id = $2) AS "is_known!""#,
            tenant,
            id,
        )
        .fetch_one(self.session())
        .await?;
        Ok(is_known.then_some(Effect::Unchanged))
    }
}
