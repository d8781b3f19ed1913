//! The tenant's transaction.

use std::marker::PhantomData;

use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, Transaction};

use super::{StoreError, roles::DbRole};
use crate::domain::{Stream, TenantId};

/// A transaction of role `R`, bound to one tenant. Dropped without [`Tx::commit`], it changes nothing.
#[derive(Debug)]
pub struct Tx<R> {
    tx: Transaction<'static, Postgres>,
    tenant: TenantId,
    quarantined: Vec<Quarantined>,
    role: PhantomData<R>,
}

/// An object that `pathbound_quarantined_total` counts once the transaction has committed.
#[derive(Debug)]
pub(super) struct Quarantined {
    pub stream: Stream,
    pub reason: &'static str,
}

impl<R: DbRole> Tx<R> {
    pub(super) async fn begin(pool: &PgPool, tenant: TenantId) -> Result<Self, StoreError> {
        // One round trip for both. The setting ends with the transaction (`true`), so a session that
        // goes back to the pool carries no tenant. A uuid's text has no character that SQL could mistake.
        let statement = format!("BEGIN; SELECT set_config('app.tenant_id', '{tenant}', true)");
        let tx = pool.begin_with(AssertSqlSafe(statement)).await?;
        Ok(Self {
            tx,
            tenant,
            quarantined: Vec::new(),
            role: PhantomData,
        })
    }

    /// The tenant whose rows it sees.
    #[must_use]
    pub const fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// A transaction that is rolled back counts nothing, because its slice does the same again.
    pub(super) fn count_quarantined(&mut self, object: Quarantined) {
        self.quarantined.push(object);
    }

    pub(super) fn session(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    /// Makes everything written since `begin` visible at once.
    ///
    /// # Errors
    /// When Postgres refuses, nothing was written. When the connection is lost while committing, the
    /// outcome is unknown, so the caller's retry must be safe to repeat.
    #[tracing::instrument(name = "db.commit", level = "debug", skip_all)]
    pub async fn commit(self) -> Result<(), StoreError> {
        self.tx.commit().await?;
        for Quarantined { stream, reason } in self.quarantined {
            metrics::counter!("pathbound_quarantined_total", "stream" => stream.as_str(), "reason" => reason)
                .increment(1);
        }
        Ok(())
    }
}
