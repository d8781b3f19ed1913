//! Rows that have ended, and time that has passed for all rows.

use std::{collections::BTreeMap, time::Duration};

use scheduler::Janitor;
use shared::store::{EndedKind, SchedulerStore};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::{Case, World};

/// Row `n` of `$3` has ended `at`: `$4` seconds ago, and the others at even distances within the `$5` seconds before.
const AT: &str = "(SELECT n, now() - make_interval(secs => $4 + $5 * (n - 1) / $3) AS at FROM generate_series(1, $3) n) e";

/// The table of a kind.
fn table_of(kind: EndedKind) -> &'static str {
    match kind {
        EndedKind::Runs => "sync_runs",
        kind => kind.as_str(),
    }
}

/// Adds rows as the product leaves them. `$1` is the tenant and `$2` its connection.
fn insert_of(kind: EndedKind) -> &'static str {
    match kind {
        EndedKind::Runs => {
            "INSERT INTO sync_runs (tenant_id, id, connection_id, mode, streams, pending, status, requested_at, started_at,
                                    finished_at, counters)
             SELECT $1, gen_random_uuid(), $2, 'incremental',
                    ARRAY['contacts', 'companies', 'conversations', 'threads', 'reference'], '{}', 'succeeded',
                    at - interval '60 s', at - interval '59 s', at, '{\"contacts\": {\"held\": 6, \"expected\": 6}}' FROM "
        }
        EndedKind::DeadLetters => {
            "INSERT INTO dead_letters (tenant_id, id, connection_id, stream, cause, attempts, died_at, resolved_at)
             SELECT $1, gen_random_uuid(), $2, 'contacts', 'status 503', 10, at - interval '1 h', at FROM "
        }
        // Every second one was unreadable, and the others were set aside.
        EndedKind::Quarantine => {
            "INSERT INTO quarantine (tenant_id, connection_id, kind, source_id, reason, raw, first_seen_at, last_seen_at, retry,
                                     resolved_at)
             SELECT $1, $2, 'contact', gen_random_uuid()::text, 'it has no id', '', at - interval '1 h', at - interval '1 h',
                    CASE WHEN n % 2 = 0 THEN 'record' END, at FROM "
        }
        // Every second one was revoked, and the others have expired.
        EndedKind::ApiKeys => {
            "INSERT INTO api_keys (tenant_id, id, name, secret_sha256, scopes, created_at, revoked_at, expires_at)
             SELECT $1, gen_random_uuid(), 'reader', sha256(gen_random_uuid()::text::bytea), ARRAY['profiles:read'],
                    at - interval '1 h', CASE WHEN n % 2 = 0 THEN at END,
                    CASE WHEN n % 2 = 0 THEN at + interval '50 years' ELSE at END
             FROM (SELECT $2::uuid) connection, "
        }
        EndedKind::OauthFlows => {
            "INSERT INTO oauth_flows (tenant_id, id, region, start_sha256, state_sha256, session_sha256, created_at, expires_at,
                                      consumed_at)
             SELECT $1, gen_random_uuid(), 'us', sha256(gen_random_uuid()::text::bytea), sha256(gen_random_uuid()::text::bytea),
                    sha256(gen_random_uuid()::text::bytea), at - interval '10 m', at, at - interval '9 m'
             FROM (SELECT $2::uuid) connection, "
        }
        EndedKind::IdempotencyKeys => {
            "INSERT INTO idempotency_keys (tenant_id, route, key_sha256, body_sha256, status, answer, created_at)
             SELECT $1, 'POST /v1/api_keys', sha256(gen_random_uuid()::text::bytea), sha256('a body'), 201, 'sealed', at
             FROM (SELECT $2::uuid) connection, "
        }
        EndedKind::OperatorEvents => {
            "INSERT INTO operator_events (tenant_id, id, code, connection_id, workspace_id, others, happened_at)
             SELECT $1, gen_random_uuid(), 'workspace_shared', $2, 'a workspace', 1, at FROM "
        }
        // A third of them are links that were never used, a third have expired, and the others have signed out.
        EndedKind::BrowserSessions => {
            "INSERT INTO browser_sessions (tenant_id, id, link_sha256, return_to, created_at, session_sha256, started_at,
                                           expires_at, ended_at)
             SELECT $1, gen_random_uuid(), sha256(gen_random_uuid()::text::bytea), '/integrations', at - interval '1 h',
                    CASE WHEN n % 3 > 0 THEN sha256(gen_random_uuid()::text::bytea) END,
                    CASE WHEN n % 3 > 0 THEN at - interval '1 h' END,
                    CASE WHEN n % 3 = 2 THEN at + interval '50 years' ELSE at END, CASE WHEN n % 3 = 2 THEN at END
             FROM (SELECT $2::uuid) connection, "
        }
        EndedKind::OperatorActions => {
            "INSERT INTO operator_actions (tenant_id, id, action, channel, subject, changed, at)
             SELECT $1, gen_random_uuid(), 'work.paused', 'key', 'the tenant', 1, at FROM (SELECT $2::uuid) connection, "
        }
        EndedKind::BulkActions => {
            "INSERT INTO bulk_actions (tenant_id, id, action, cause, channel, total, done, requested_at, started_at, finished_at)
             SELECT $1, gen_random_uuid(), 'retry', 'status 503', 'key', 1, 1, at - interval '1 h', at - interval '1 h', at
             FROM (SELECT $2::uuid) connection, "
        }
        EndedKind::AuditEvents => {
            "INSERT INTO audit_events (tenant_id, id, action, actor_kind, object_type, object_id, details, at)
             SELECT $1, gen_random_uuid(), 'sync.requested', 'service_key', 'connection', $2, '{\"mode\": \"full\"}', at FROM "
        }
    }
}

impl World {
    /// The janitor of a scheduler. Its rounds are the test's to ask for.
    pub(crate) async fn janitor(&self) -> Janitor {
        let store = SchedulerStore::connect(&self.config.database, 1).await;
        Janitor::new(store.expect("postgres answers"), self.config.retention)
    }

    /// Time passes for every row of every tenant: all of our own times are so much earlier. Intercom's stay.
    pub(crate) async fn pass_for_all(&self, time: Duration) {
        let updates: Vec<String> = sqlx::query_scalar(
            "SELECT format('UPDATE %I SET ', c.table_name)
                    || string_agg(format('%1$I = %1$I - make_interval(secs => $1)', c.column_name), ', ')
             FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
             WHERE c.table_schema = 'public' AND c.data_type = 'timestamp with time zone' AND t.table_type = 'BASE TABLE'
               AND c.table_name <> '_sqlx_migrations'
               AND c.column_name NOT IN ('source_created_at', 'source_updated_at', 'stub_version', 'fetched_version',
                                         'watermark', 'overlap_probe')
               AND NOT EXISTS (SELECT FROM pg_class WHERE oid = c.table_name::regclass AND relispartition)
             GROUP BY c.table_name",
        )
        .fetch_all(&self.admin)
        .await
        .expect("postgres answers");
        assert!(updates.len() > 15, "{updates:?}");
        for update in updates {
            sqlx::query(AssertSqlSafe(update))
                .bind(time.as_secs_f64())
                .execute(&self.admin)
                .await
                .expect("the times fit");
        }
    }

    /// Each row that is deleted from a table takes so long from now on.
    pub(crate) async fn slow_deletes(&self, table: &str, seconds: f64) {
        self.change(&format!(
            "CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN PERFORM pg_sleep({seconds}); RETURN OLD; END $$;
             CREATE TRIGGER linger BEFORE DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION linger()"
        ))
        .await;
    }

    /// The table is as fast as before, once the deletions under way have ended.
    pub(crate) async fn fast_deletes(&self, table: &str) {
        self.change(&format!("DROP TRIGGER linger ON {table}"))
            .await;
    }

    /// Whether a row is being deleted slowly.
    pub(crate) async fn is_deleting(&self) -> bool {
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep')",
        )
        .fetch_one(&self.admin)
        .await
        .expect("postgres answers")
    }
}

impl Case {
    /// Adds rows of a kind that have ended: the last one so long ago, and the others within the time before.
    pub(crate) async fn add_ended(
        &self,
        kind: EndedKind,
        count: i64,
        ago: Duration,
        over: Duration,
    ) {
        sqlx::query(AssertSqlSafe(insert_of(kind).to_owned() + AT))
            .bind(self.tenant.0)
            .bind(self.connection().0)
            .bind(count)
            .bind(ago.as_secs_f64())
            .bind(over.as_secs_f64())
            .execute(&self.world.admin)
            .await
            .expect("the rows fit");
    }

    /// Adds a run over some streams that ended so long ago. Returns its id.
    pub(crate) async fn add_run(&self, streams: &[&str], status: &str, ago: Duration) -> Uuid {
        let id = Uuid::now_v7();
        sqlx::query(
            "INSERT INTO sync_runs (tenant_id, id, connection_id, mode, streams, pending, status, requested_at, finished_at)
             SELECT $1, $2, $3, 'full', $4, '{}', $5, at - interval '1 h', at FROM (SELECT now() - make_interval(secs => $6)) e(at)",
        )
        .bind(self.tenant.0)
        .bind(id)
        .bind(self.connection().0)
        .bind(streams)
        .bind(status)
        .bind(ago.as_secs_f64())
        .execute(&self.world.admin)
        .await
        .expect("the run fits");
        id
    }

    /// Leaves everything open that can be: a dead letter, a run, an object in quarantine and one that is set aside.
    pub(crate) async fn leave_open(&self) {
        for open in [
            "INSERT INTO dead_letters (tenant_id, id, connection_id, stream, cause, attempts)
             VALUES ($1, gen_random_uuid(), $2, 'contacts', 'status 503', 10)",
            "INSERT INTO sync_runs (tenant_id, id, connection_id, mode, streams, pending, status)
             VALUES ($1, gen_random_uuid(), $2, 'full', ARRAY['contacts'], ARRAY['contacts'], 'running')",
            "INSERT INTO quarantine (tenant_id, connection_id, kind, source_id, reason, raw, retry, next_try_at)
             VALUES ($1, $2, 'contact', 'unreadable', 'it has no id', '{}', NULL, NULL),
                    ($1, $2, 'contact', 'set aside', 'status 503', '', 'record', now())",
        ] {
            sqlx::query(open)
                .bind(self.tenant.0)
                .bind(self.connection().0)
                .execute(&self.world.admin)
                .await
                .expect("the rows fit");
        }
    }

    /// The ids of all runs of the connection.
    pub(crate) async fn run_ids(&self) -> Vec<Uuid> {
        let rows: Vec<(Uuid,)> = self
            .sql("SELECT id FROM sync_runs WHERE connection_id = $1 ORDER BY requested_at")
            .await;
        rows.into_iter().map(|(id,)| id).collect()
    }

    /// How many rows of a kind the tenant has, ended or not.
    pub(crate) async fn rows_of(&self, kind: EndedKind) -> i64 {
        let count = format!(
            "SELECT count(*) FROM {} WHERE tenant_id = $1",
            table_of(kind)
        );
        sqlx::query_scalar(AssertSqlSafe(count))
            .bind(self.tenant.0)
            .fetch_one(&self.world.admin)
            .await
            .expect("postgres answers")
    }

    /// How many rows of each table the tenant has.
    pub(crate) async fn row_counts(&self) -> BTreeMap<String, i64> {
        let digests = self.digests().await;
        digests
            .into_iter()
            .map(|(table, rows, _)| (table, rows))
            .collect()
    }

    /// Partitions that have ever been analyzed and belong to a table, as `partition: rows that Postgres believes in`.
    pub(crate) async fn analyzed(&self, table: &str) -> Vec<(String, f32)> {
        sqlx::query_as(
            "SELECT c.relname::text, c.reltuples FROM pg_class c
             LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
             WHERE c.relkind = 'r' AND coalesce(i.inhparent, c.oid) = to_regclass($1) AND c.reltuples >= 0 ORDER BY 1",
        )
        .bind(table)
        .fetch_all(&self.world.admin)
        .await
        .expect("postgres answers")
    }

    /// The partition of a table in which the tenant's rows are.
    pub(crate) async fn partition_of(&self, table: &str) -> Vec<String> {
        let partitions =
            format!("SELECT DISTINCT tableoid::regclass::text FROM {table} WHERE tenant_id = $1");
        sqlx::query_scalar(AssertSqlSafe(partitions))
            .bind(self.tenant.0)
            .fetch_all(&self.world.admin)
            .await
            .expect("postgres answers")
    }
}
