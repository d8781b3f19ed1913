//! Every row of a tenant, so that a table to come is watched too.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, Postgres, Transaction};

use super::{Case, World, wait_for};

/// A table, its rows of the tenant, and a digest of them with the transactions that wrote them.
pub(crate) type Digest = (String, i64, String);
/// The rows of each table.
pub(crate) type Tables = BTreeMap<String, Vec<String>>;

/// Our own clocks: when something was written, why, and how often it was tried, and not what it says.
const CLOCKS: &[(&str, &[&str])] = &[
    ("changes", &["at", "op"]),
    ("feeds", &["last_at", "unindexed_since"]),
    ("threads", &["due_at", "attempts"]),
];

/// The feed, and what it tells of.
const FED: [&str; 3] = ["feeds", "changes", "conversations"];

impl World {
    /// Pauses tenants that do not exist, the nth one n seconds ago.
    pub(crate) async fn pause_strangers(&self, count: i32) {
        let statement = "INSERT INTO pauses (scope, paused_at)
             SELECT md5(n::text)::uuid::text, now() - make_interval(secs => n) FROM generate_series(1, $1) n";
        let paused = sqlx::query(statement).bind(count).execute(&self.admin);
        paused.await.expect("they are paused");
    }

    /// Rows of a table, of all tenants.
    pub(crate) async fn count(&self, table: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {table}")))
            .fetch_one(&self.admin)
            .await
            .expect("postgres answers")
    }
}

impl Case {
    /// One digest a table.
    pub(crate) async fn digests(&self) -> Vec<Digest> {
        let tables = self.tables().await;
        assert!(tables.len() > 15, "{tables:?}");
        let digests: Vec<String> = tables
            .iter()
            .map(|table| {
                // The indexer writes to it behind the commits.
                let line = if table == "feeds" {
                    "row.last_at::text"
                } else {
                    "md5(row::text) || row.xmin"
                };
                format!(
                    "SELECT '{table}', count(*), coalesce(md5(string_agg(line, ' ' ORDER BY line)), '')
                     FROM (SELECT {line} AS line FROM {table} AS row WHERE tenant_id = $1) AS lines"
                )
            })
            .collect();
        sqlx::query_as(AssertSqlSafe(digests.join(" UNION ALL ") + " ORDER BY 1"))
            .bind(self.tenant.0)
            .fetch_all(&self.world.admin)
            .await
            .expect("postgres answers")
    }

    /// Every row without our clocks, of all tables but some.
    pub(crate) async fn rows_without_clocks(&self, except: &[&str]) -> Tables {
        let mut rows = Tables::new();
        for name in self.tables().await {
            if except.contains(&name.as_str()) {
                continue;
            }
            // Two runs write at different times, and that is no difference.
            let clocks = CLOCKS
                .iter()
                .find(|(table, _)| *table == name)
                .map_or(&[][..], |(_, clocks)| clocks);
            let query = format!(
                "SELECT (to_jsonb(t) - $2::text[])::text FROM {name} t WHERE tenant_id = $1 ORDER BY 1"
            );
            let of_table = sqlx::query_scalar(AssertSqlSafe(query))
                .bind(self.tenant.0)
                .bind(clocks)
                .fetch_all(&self.world.admin);
            rows.insert(name, of_table.await.expect("postgres answers"));
        }
        rows
    }

    /// Deletes every record of the tenant.
    pub(crate) async fn delete_records(&self) {
        for table in [
            "conversations",
            "conversation_contacts",
            "threads",
            "parts",
            "contact_sources",
            "changes",
            "identity_values",
            "company_sources",
            "contact_companies",
            "events",
            "search_documents",
            "company_conversations",
            "company_totals",
            "reference_items",
        ] {
            let query = format!("DELETE FROM {table} WHERE tenant_id = $1");
            sqlx::query(AssertSqlSafe(query))
                .bind(self.tenant.0)
                .execute(&self.world.admin)
                .await
                .expect("postgres answers");
        }
        self.count_threads_anew().await;
    }

    /// Every search document of the tenant, as JSON.
    pub(crate) async fn search_documents(&self) -> Vec<String> {
        sqlx::query_scalar(
            "SELECT to_jsonb(d)::text FROM search_documents d WHERE tenant_id = $1 ORDER BY id",
        )
        .bind(self.tenant.0)
        .fetch_all(&self.world.admin)
        .await
        .expect("postgres answers")
    }

    /// Deletes what was indexed, and how far.
    pub(crate) async fn delete_search_index(&self) {
        for table in [
            "search_documents",
            "search_progress",
            "company_conversations",
            "company_totals",
        ] {
            self.world.change(&format!("DELETE FROM {table}")).await;
        }
    }

    /// Keeps every writer of a table waiting until the returned transaction ends.
    pub(crate) async fn lock_table(&self, table: &str) -> Transaction<'static, Postgres> {
        let mut lock = self.world.admin.begin().await.expect("postgres answers");
        let query = format!("LOCK TABLE {table} IN EXCLUSIVE MODE");
        sqlx::query(AssertSqlSafe(query))
            .execute(&mut *lock)
            .await
            .expect("postgres answers");
        lock
    }

    /// What keeps a connection going: tokens, streams that will be due, open runs, and its own state.
    pub(crate) async fn signs_of_life(&self) -> Vec<String> {
        self.texts(
            "SELECT 'the token ' || purpose FROM connection_secrets WHERE connection_id = $1
             UNION ALL SELECT stream || ' is due at ' || due_at FROM streams WHERE connection_id = $1 AND due_at IS NOT NULL
             UNION ALL SELECT 'a run is ' || status FROM sync_runs WHERE connection_id = $1 AND finished_at IS NULL
             UNION ALL SELECT 'the connection is ' || state FROM connections WHERE id = $1 AND state <> 'disconnected'",
        )
        .await
    }

    /// Whether a purge was asked for and has not ended.
    pub(crate) async fn is_being_purged(&self) -> bool {
        let rows: Vec<(bool,)> = self
            .sql("SELECT purge_requested_at IS NOT NULL FROM connections WHERE id = $1")
            .await;
        rows[0].0
    }

    /// Waits for a purge that was asked for, because the answer to a disconnect does so for some seconds only.
    pub(crate) async fn until_purged(&self) {
        wait_for("the purge has ended", async || {
            let is_open = self.is_being_purged().await;
            (!is_open)
                .then_some(())
                .ok_or_else(|| "it is open".to_owned())
        })
        .await;
    }

    /// Copies the feed and the conversations, as a backup does.
    pub(crate) async fn dump_feed(&self) {
        for table in FED {
            self.world
                .change(&format!(
                    "CREATE TABLE public.{table}_then AS SELECT * FROM {table}"
                ))
                .await;
        }
    }

    /// Puts back what [`Case::dump_feed`] has copied.
    pub(crate) async fn restore_feed(&self) {
        for table in FED {
            self.world
                .change(&format!(
                    "DELETE FROM {table}; INSERT INTO {table} SELECT * FROM public.{table}_then"
                ))
                .await;
        }
    }

    /// Without those of the indexer, which writes at times of its own. `rest::search` is about them.
    async fn tables(&self) -> Vec<String> {
        sqlx::query_scalar(
            "SELECT c.table_name::text FROM information_schema.columns c
             JOIN information_schema.tables t USING (table_schema, table_name)
             WHERE c.table_schema = 'public' AND c.column_name = 'tenant_id' AND t.table_type = 'BASE TABLE'
               AND c.table_name NOT IN ('search_documents', 'search_progress', 'company_conversations', 'company_totals')
               AND NOT EXISTS (SELECT FROM pg_class WHERE oid = c.table_name::regclass AND relispartition) ORDER BY 1",
        )
        .fetch_all(&self.world.admin)
        .await
        .expect("postgres answers")
    }
}
