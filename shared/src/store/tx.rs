//! The tenant's transaction.

use std::marker::PhantomData;

use super::{
    StoreError,
    roles::DbRole,
    session::{Session, Statement},
    sessions::Sessions,
};
use crate::domain::{Stream, TenantId};

/// A transaction of role `R`, bound to one tenant. Dropped without [`Tx::commit`], it changes nothing.
#[derive(Debug)]
pub struct Tx<R> {
    session: Session,
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
    /// `None` sees no tenant's rows. It is for the reviewed functions that look across tenants.
    pub(super) async fn begin(
        sessions: &Sessions,
        tenant: Option<TenantId>,
    ) -> Result<Self, StoreError> {
        let session = sessions
            .begin(R::WORD, tenant.map(|tenant| tenant.0))
            .await?;
        Ok(Self {
            session,
            tenant: tenant.unwrap_or(TenantId(uuid::Uuid::nil())),
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

    pub(super) fn session(&mut self) -> Statement<'_> {
        self.session.statement()
    }

    /// Makes everything written since `begin` visible at once.
    ///
    /// # Errors
    /// When Postgres refuses, nothing was written. When the connection is lost while committing, the
    /// outcome is unknown, so the caller's retry must be safe to repeat.
    #[tracing::instrument(name = "db.commit", level = "debug", skip_all)]
    pub async fn commit(self) -> Result<(), StoreError> {
        if self.session.has_failed() {
            // Postgres answers such a commit with a rollback, and calls that a success.
            return Err(StoreError::Inconsistent {
                table: "the transaction",
                what: "a statement has failed, so nothing was written".to_owned(),
            });
        }
        self.session.commit().await?;
        for Quarantined { stream, reason } in self.quarantined {
            metrics::counter!("pathbound_quarantined_total", "stream" => stream.as_str(), "reason" => reason)
                .increment(1);
        }
        Ok(())
    }
}
