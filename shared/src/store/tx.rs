//! The tenant's transaction.

use std::marker::PhantomData;

use super::{
    StoreError,
    noted_changes::NotedChanges,
    roles::{DbRole, RoleName},
    session::{Session, Statement},
    sessions::Sessions,
    thread_counts::{CountedThread, ThreadCounts, ThreadsChange},
};
use crate::domain::{ConnectionId, Stream, TenantId};

/// A transaction of role `R`, bound to one tenant. Dropped without [`Tx::commit`], it changes nothing.
#[derive(Debug)]
pub struct Tx<R> {
    session: Session,
    tenant: TenantId,
    quarantined: Vec<Quarantined>,
    /// What the commit writes to the row of the stream `threads`. A transaction is about one connection.
    threads: Option<ThreadsChange>,
    /// What the commit writes to the tenant's feed.
    changes: NotedChanges,
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
    pub(super) fn begin(
        sessions: &Sessions,
        tenant: Option<TenantId>,
    ) -> impl Future<Output = Result<Self, StoreError>> + Send {
        Self::begin_as(RoleName::of::<R>(), sessions, tenant)
    }

    /// A transaction whose statements end within a second.
    pub(super) fn begin_inspection(
        sessions: &Sessions,
        tenant: Option<TenantId>,
    ) -> impl Future<Output = Result<Self, StoreError>> + Send {
        Self::begin_as(RoleName::inspecting::<R>(), sessions, tenant)
    }

    async fn begin_as(
        role: RoleName,
        sessions: &Sessions,
        tenant: Option<TenantId>,
    ) -> Result<Self, StoreError> {
        let session = sessions.begin(role, tenant.map(|tenant| tenant.0)).await?;
        Ok(Self {
            session,
            tenant: tenant.unwrap_or(TenantId(uuid::Uuid::nil())),
            quarantined: Vec::new(),
            threads: None,
            changes: NotedChanges::default(),
            role: PhantomData,
        })
    }

    /// The tenant whose rows it sees.
    #[must_use]
    pub const fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Only after Postgres was told the same.
    pub(super) const fn set_tenant(&mut self, tenant: TenantId) {
        self.tenant = tenant;
    }

    /// A transaction that is rolled back counts nothing, because its slice does the same again.
    pub(super) fn count_quarantined(&mut self, object: Quarantined) {
        self.quarantined.push(object);
    }

    /// Notes that a thread is `after` what was `before`. The commit counts it.
    pub(super) fn note_thread(
        &mut self,
        connection: ConnectionId,
        before: Option<&CountedThread<'_>>,
        after: &CountedThread<'_>,
    ) {
        self.threads_of(connection).counts.note(before, after);
    }

    /// Notes that a thread is no longer stored. The commit counts it.
    pub(super) fn note_thread_removed(
        &mut self,
        connection: ConnectionId,
        before: &CountedThread<'_>,
    ) {
        self.threads_of(connection).counts.note_removed(before);
    }

    /// Notes that there are threads to be fetched. The commit makes their stream due.
    pub(super) fn note_threads_due(&mut self, connection: ConnectionId) {
        self.threads_of(connection).is_due = true;
    }

    /// Whether this transaction makes threads due.
    #[must_use]
    pub fn has_threads_due(&self) -> bool {
        self.threads.is_some_and(|change| change.is_due)
    }

    fn threads_of(&mut self, connection: ConnectionId) -> &mut ThreadsChange {
        self.threads.get_or_insert_with(|| ThreadsChange {
            connection,
            counts: ThreadCounts::default(),
            is_due: false,
        })
    }

    /// What is noted and not written yet. The caller writes it.
    pub(super) fn take_threads_change(&mut self) -> Option<ThreadsChange> {
        let change = self.threads.take();
        change.filter(|change| change.is_due || change.counts != ThreadCounts::default())
    }

    pub(super) const fn changes(&mut self) -> &mut NotedChanges {
        &mut self.changes
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
    pub async fn commit(mut self) -> Result<(), StoreError> {
        if self.session.has_failed() {
            // Postgres answers such a commit with a rollback, and calls that a success.
            return Err(StoreError::Inconsistent {
                table: "the transaction",
                what: "a statement has failed, so nothing was written".to_owned(),
            });
        }
        self.write_threads_change().await?;
        // Last, because other writers of the tenant wait from here to the commit.
        self.write_changes().await?;
        self.session.commit().await?;
        for Quarantined { stream, reason } in self.quarantined {
            metrics::counter!("pathbound_quarantined_total", "stream" => stream.as_str(), "reason" => reason)
                .increment(1);
        }
        Ok(())
    }
}
