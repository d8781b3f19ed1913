//! Browser sessions: a sign-in link that the product backend asks for, spent once, and the session that it starts.
//!
//! A browser brings a link or a session and never a tenant, so reviewed functions of the schema resolve both. Only digests
//! are stored, so a copy of the table signs no browser in.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{Row as _, postgres::types::PgInterval};
use uuid::Uuid;

use super::{Store, StoreError, Tx, roles::Api};
use crate::domain::{
    TenantId,
    audit_event::{Actor, AuditAction, Effect, NewAuditEvent},
};

/// A sign-in link, as its page shows it.
#[derive(Clone, Debug)]
pub struct SignInLink {
    /// The tenant that a press of the button signs in to.
    pub tenant_name: String,
    pub fate: LinkFate,
}

/// What has become of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkFate {
    /// Neither used nor expired.
    Open,
    Used,
    Expired,
}

/// A session that has just started.
#[derive(Clone, Debug)]
pub struct StartedSession {
    pub tenant: TenantId,
    pub id: Uuid,
    /// The path of ours that the link leads to.
    pub return_to: String,
}

/// A browser that is signed in.
#[derive(Clone, Debug)]
pub struct BrowserSession {
    pub tenant: TenantId,
    pub id: Uuid,
    pub tenant_name: String,
    /// The path of ours that its link led to.
    pub return_to: String,
}

impl Store<Api> {
    /// Reads what the page of a link shows, and changes nothing. `None` if the link is unknown.
    #[tracing::instrument(name = "db.sign_in_link", level = "debug", skip_all)]
    pub async fn sign_in_link(
        &self,
        link_sha256: &[u8; 32],
    ) -> Result<Option<SignInLink>, StoreError> {
        let mut tx = self.begin_for_all().await?;
        let found = sqlx::query!(
            r#"SELECT tenant_name AS "tenant_name!", fate AS "fate!" FROM sign_in_link($1)"#,
            link_sha256,
        )
        .fetch_optional(tx.session())
        .await?;
        Ok(found.map(|row| SignInLink {
            tenant_name: row.tenant_name,
            fate: match row.fate.as_str() {
                "open" => LinkFate::Open,
                "expired" => LinkFate::Expired,
                _ => LinkFate::Used,
            },
        }))
    }

    /// Spends a link, and starts the session that lives for `life`. Of many equal calls exactly one gets it. `None` if the
    /// link is unknown, used or expired.
    #[tracing::instrument(name = "db.start_browser_session", level = "debug", skip_all)]
    pub async fn start_browser_session(
        &self,
        link_sha256: &[u8; 32],
        session_sha256: &[u8; 32],
        life: Duration,
    ) -> Result<Option<StartedSession>, StoreError> {
        let mut tx = self.begin_for_all().await?;
        let started = sqlx::query!(
            r#"SELECT tenant_id AS "tenant_id!", id AS "id!", return_to AS "return_to!"
               FROM start_browser_session($1, $2, $3)"#,
            link_sha256,
            session_sha256,
            interval(life),
        )
        .fetch_optional(tx.session())
        .await?;
        let Some(row) = started else {
            return Ok(None);
        };
        let tenant = TenantId(row.tenant_id);
        tx.act_for(tenant).await?;
        let actor = Actor::BrowserSession(row.id);
        let event = NewAuditEvent::new(actor, AuditAction::SessionStarted, row.id);
        tx.add_audit_event(event).await?;
        tx.commit().await?;
        Ok(Some(StartedSession {
            tenant,
            id: row.id,
            return_to: row.return_to,
        }))
    }

    /// A session of any tenant that has neither ended nor expired.
    #[tracing::instrument(name = "db.find_browser_session", level = "debug", skip_all)]
    pub async fn find_browser_session(
        &self,
        session_sha256: &[u8; 32],
    ) -> Result<Option<BrowserSession>, StoreError> {
        // Every page asks, so it is one round trip.
        let digits: String = session_sha256
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let statement = format!(
            "SELECT tenant_id, id, tenant_name, return_to FROM find_browser_session(decode('{digits}', 'hex'))"
        );
        let rows = self.ask(&statement).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        Ok(Some(BrowserSession {
            tenant: TenantId(row.try_get("tenant_id")?),
            id: row.try_get("id")?,
            tenant_name: row.try_get("tenant_name")?,
            return_to: row.try_get("return_to")?,
        }))
    }
}

impl Tx<Api> {
    /// Stores a link by its digest. It lives for `life`. Returns when it expires.
    ///
    /// # Errors
    /// When Postgres refuses the path. The API checks it first.
    #[tracing::instrument(name = "db.create_sign_in_link", level = "debug", skip_all)]
    pub async fn create_sign_in_link(
        &mut self,
        id: Uuid,
        link_sha256: &[u8; 32],
        return_to: &str,
        life: Duration,
    ) -> Result<DateTime<Utc>, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_scalar!(
            "INSERT INTO browser_sessions (tenant_id, id, link_sha256, return_to, expires_at)
             VALUES ($1, $2, $3, $4, now() + $5::interval) RETURNING expires_at",
            tenant,
            id,
            link_sha256,
            return_to,
            interval(life),
        )
        .fetch_one(self.session())
        .await?)
    }

    /// Ends a session at once, on every replica. A second call changes nothing.
    #[tracing::instrument(name = "db.end_browser_session", level = "debug", skip_all)]
    pub async fn end_browser_session(&mut self, id: Uuid) -> Result<Effect, StoreError> {
        let tenant = self.tenant().0;
        let ended = sqlx::query!(
            "UPDATE browser_sessions SET ended_at = now() WHERE tenant_id = $1 AND id = $2 AND ended_at IS NULL",
            tenant,
            id,
        )
        .execute(self.session())
        .await?;
        Ok(if ended.rows_affected() > 0 {
            Effect::Changed
        } else {
            Effect::Unchanged
        })
    }
}

fn interval(life: Duration) -> PgInterval {
    PgInterval {
        months: 0,
        days: 0,
        // A session lives for hours.
        microseconds: i64::try_from(life.as_micros()).unwrap_or(i64::MAX),
    }
}
