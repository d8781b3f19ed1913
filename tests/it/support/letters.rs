//! Many dead letters, each of a tenant of its own.

use shared::{
    domain::Stream,
    store::{Due, SchedulerStore, SliceKey, StreamClaim},
};

use sqlx::{Postgres, Transaction};

use super::{Case, World};

/// The cause of every eighth letter.
pub(crate) const RARE_CAUSE: &str = "the slice panicked";
/// The cause of the others.
pub(crate) const COMMON_CAUSE: &str = "answered with status 503";

impl Case {
    /// Keeps every writer of a stream waiting until the returned transaction ends.
    pub(crate) async fn lock_stream(&self, stream: Stream) -> Transaction<'static, Postgres> {
        let mut lock = self.world.admin.begin().await.expect("postgres answers");
        sqlx::query("SELECT FROM streams WHERE connection_id = $1 AND stream = $2 FOR UPDATE")
            .bind(self.connection().0)
            .bind(stream.as_str())
            .fetch_one(&mut *lock)
            .await
            .expect("the stream is there");
        lock
    }

    /// Adds so many tenants, each with a connection like this one, a stream that died of ten failures, and its letter.
    pub(crate) async fn add_letters(&self, count: i64) {
        for statement in [
            "INSERT INTO tenants (id, name) SELECT md5('letter' || n)::uuid, 'Tenant ' || n FROM generate_series(1, $3) n
             WHERE $1::uuid IS NOT NULL AND $2::uuid IS NOT NULL",
            "INSERT INTO connections (tenant_id, id, source, state, region, workspace_id, workspace_name, timezone, api_version,
                                      connected_at)
             SELECT md5('letter' || n)::uuid, md5('connection' || n)::uuid, c.source, c.state, c.region, 'letter' || n,
                    c.workspace_name, c.timezone, c.api_version, now()
             FROM generate_series(1, $3) n CROSS JOIN connections c WHERE c.tenant_id = $1 AND c.id = $2",
            "INSERT INTO connection_secrets (tenant_id, connection_id, purpose, sealed)
             SELECT md5('letter' || n)::uuid, md5('connection' || n)::uuid, s.purpose, s.sealed
             FROM generate_series(1, $3) n CROSS JOIN connection_secrets s WHERE s.tenant_id = $1 AND s.connection_id = $2",
            "INSERT INTO streams (tenant_id, connection_id, stream, fence, due_at, ticketed_at, attempts, last_error)
             SELECT md5('letter' || n)::uuid, md5('connection' || n)::uuid, 'contacts', 1, now() + interval '1 h', now(), 10,
                    'status 503'
             FROM generate_series(1, $3) n WHERE $1::uuid IS NOT NULL AND $2::uuid IS NOT NULL",
        ] {
            sqlx::query(statement)
                .bind(self.tenant.0)
                .bind(self.connection().0)
                .bind(count)
                .execute(&self.world.admin)
                .await
                .expect("the rows fit");
        }
        // Their ids are in the order of `n`, and older than those of letters to come.
        sqlx::query(
            "INSERT INTO dead_letters (tenant_id, id, connection_id, stream, cause, attempts)
             SELECT md5('letter' || n)::uuid, ('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
                    md5('connection' || n)::uuid, 'contacts', CASE WHEN n % 8 = 0 THEN $2 ELSE $3 END, 10
             FROM generate_series(1, $1) n",
        )
        .bind(count)
        .bind(RARE_CAUSE)
        .bind(COMMON_CAUSE)
        .execute(&self.world.admin)
        .await
        .expect("the rows fit");
    }
}

impl World {
    /// A scheduler's sessions, for a test that takes its steps one by one.
    pub(crate) async fn scheduler_store(&self) -> SchedulerStore {
        SchedulerStore::connect(&self.config.database, 1)
            .await
            .expect("postgres answers")
    }

    /// Takes over these streams, as workers do before their slices.
    pub(crate) async fn take_over(&self, due: &[Due]) {
        let store = self.worker_store(1).await;
        for (tenant, connection, stream) in due.iter().copied() {
            let key = SliceKey {
                tenant,
                connection,
                stream,
                fence: 2,
            };
            let claim = store.claim_stream(key, 0).await.expect("postgres answers");
            assert!(matches!(claim, StreamClaim::Acquired(_)), "{key:?}");
        }
        store.close().await;
    }

    /// Streams of the added tenants that are due now, with no attempt and no ticket of the scheduler.
    pub(crate) async fn retried_streams(&self) -> i64 {
        sqlx::query_scalar(
            "SELECT count(*) FROM streams WHERE stream = $1 AND due_at <= now() AND attempts = 0 AND ticketed_at IS NULL
               AND last_error = 'status 503'",
        )
        .bind(Stream::Contacts.as_str())
        .fetch_one(&self.admin)
        .await
        .expect("postgres answers")
    }

    /// How many letters with this cause are open.
    pub(crate) async fn open_letters(&self, cause: &str) -> i64 {
        sqlx::query_scalar(
            "SELECT count(*) FROM dead_letters WHERE cause = $1 AND resolved_at IS NULL",
        )
        .bind(cause)
        .fetch_one(&self.admin)
        .await
        .expect("postgres answers")
    }

    /// Ends the connection of an added tenant, and leaves its letter open as an earlier build did.
    pub(crate) async fn end_connection_of_letter(&self, number: i64) {
        self.change(&format!(
            "UPDATE connections SET state = 'disconnected', disconnected_at = now() WHERE tenant_id = md5('letter{number}')::uuid"
        ))
        .await;
    }

    /// Closes the letter of an added tenant, as its stream's success does.
    pub(crate) async fn close_letter(&self, number: i64) {
        self.change(&format!(
            "UPDATE dead_letters SET resolved_at = now() WHERE tenant_id = md5('letter{number}')::uuid"
        ))
        .await;
    }
}
