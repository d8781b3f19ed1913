//! What is stored of a connection, where no method of the product shows it.

use std::collections::BTreeMap;

use intercom_simulator::Kind;
use shared::domain::Stream;
use sqlx::{FromRow, postgres::PgRow};
use uuid::Uuid;

use super::{Case, kept::unpacked};

/// A thread's own row.
#[derive(Debug, FromRow)]
pub(crate) struct StoredThread {
    pub(crate) held: i64,
    pub(crate) expected: i64,
    pub(crate) status: String,
    pub(crate) attempts: i64,
    /// Unix seconds.
    pub(crate) due_at: Option<f64>,
}

/// A part's row, with its conversation's id in Intercom.
#[derive(Debug, FromRow)]
pub(crate) struct StoredPart {
    pub(crate) conversation: String,
    pub(crate) kind: String,
    pub(crate) internal: bool,
    pub(crate) redacted: bool,
}

/// The text of a stored record.
fn record(stored: &[u8]) -> String {
    String::from_utf8_lossy(&unpacked(stored)).into_owned()
}

impl Case {
    /// Rows of a query over the connection (`$1`), as the database's superuser.
    pub(super) async fn sql<T>(&self, query: &'static str) -> Vec<T>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        loop {
            let rows = sqlx::query_as(query)
                .bind(self.connection().0)
                .fetch_all(&self.world.admin)
                .await;
            match rows {
                // A change of several rows in an order of its own may meet the fleet's. Postgres ends one of the two.
                Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("40P01") => {}
                rows => return rows.expect("the query runs"),
            }
        }
    }

    /// The first column of such a query.
    pub(super) async fn texts(&self, query: &'static str) -> Vec<String> {
        let rows: Vec<(String,)> = self.sql(query).await;
        rows.into_iter().map(|(text,)| text).collect()
    }

    pub(crate) async fn open_runs(&self) -> Vec<String> {
        self.texts(
            "SELECT id::text FROM sync_runs WHERE connection_id = $1 AND finished_at IS NULL",
        )
        .await
    }

    /// Every run's mode and status.
    pub(crate) async fn runs(&self) -> Vec<(String, String)> {
        self.sql("SELECT mode, status FROM sync_runs WHERE connection_id = $1 ORDER BY mode")
            .await
    }

    /// Of each run, the streams that it waits for, and its status.
    pub(crate) async fn pending_of_runs(&self) -> Vec<(String, String)> {
        self.sql(
            "SELECT array_to_string(pending, ','), status FROM sync_runs WHERE connection_id = $1",
        )
        .await
    }

    /// The mode of each stream's walk.
    pub(crate) async fn modes(&self) -> Vec<String> {
        self.texts("SELECT mode FROM streams WHERE connection_id = $1")
            .await
    }

    /// Failed attempts of all streams.
    pub(crate) async fn failed_attempts(&self) -> i64 {
        let rows: Vec<(i64,)> = self
            .sql("SELECT coalesce(sum(attempts), 0)::bigint FROM streams WHERE connection_id = $1")
            .await;
        rows[0].0
    }

    /// Failed attempts of one stream.
    pub(crate) async fn failed_attempts_of(&self, stream: Stream) -> i64 {
        let rows: Vec<(String, i64)> = self
            .sql("SELECT stream, attempts::bigint FROM streams WHERE connection_id = $1")
            .await;
        one(rows, stream)
    }

    pub(crate) async fn last_error(&self, stream: Stream) -> Option<String> {
        let rows: Vec<(String, Option<String>)> = self
            .sql("SELECT stream, nullif(last_error, '') FROM streams WHERE connection_id = $1")
            .await;
        one(rows, stream)
    }

    /// Seconds until a stream is due.
    pub(crate) async fn due_in(&self, stream: Stream) -> Option<f64> {
        let rows: Vec<(String, Option<f64>)> = self
            .sql(
                "SELECT stream, extract(epoch FROM due_at - now())::float8 FROM streams
                 WHERE connection_id = $1",
            )
            .await;
        one(rows, stream)
    }

    /// Open dead letters: streams and causes.
    pub(crate) async fn open_dead_letters(&self) -> Vec<(String, String)> {
        self.sql("SELECT stream, cause FROM dead_letters WHERE connection_id = $1 AND resolved_at IS NULL")
            .await
    }

    /// The causes of all dead letters that there ever were.
    pub(crate) async fn dead_letters(&self) -> Vec<String> {
        self.texts("SELECT cause FROM dead_letters WHERE connection_id = $1")
            .await
    }

    /// Objects that a walk did not show, and how many walks did not show them.
    pub(crate) async fn absences(&self) -> Vec<(String, i64)> {
        self.sql(
            "SELECT source_id, walks::bigint FROM absences WHERE connection_id = $1 ORDER BY 1",
        )
        .await
    }

    /// Ids of contacts and companies that are marked as deleted.
    pub(crate) async fn tombstones(&self) -> Vec<String> {
        self.texts(
            "SELECT source_id FROM contact_sources WHERE connection_id = $1 AND deleted_at IS NOT NULL
             UNION ALL SELECT source_id FROM company_sources WHERE connection_id = $1 AND deleted_at IS NOT NULL",
        )
        .await
    }

    /// Ids of conversations that are marked as deleted.
    pub(crate) async fn deleted_conversations(&self) -> Vec<String> {
        self.texts("SELECT source_id FROM conversations WHERE connection_id = $1 AND deleted_at IS NOT NULL")
            .await
    }

    /// Merged contacts, each with the contact that it leads to.
    pub(crate) async fn merged(&self) -> Vec<(String, String)> {
        self.sql(
            "SELECT source_id, merged_into FROM contact_sources
             WHERE connection_id = $1 AND merged_into IS NOT NULL ORDER BY 1",
        )
        .await
    }

    /// The JSON of each contact, as it was received.
    pub(crate) async fn stored_contacts(&self) -> Vec<String> {
        let rows: Vec<(Vec<u8>,)> = self
            .sql("SELECT raw FROM contact_sources WHERE connection_id = $1")
            .await;
        rows.iter().map(|(stored,)| record(stored)).collect()
    }

    /// Ids of companies, deleted or not.
    pub(crate) async fn stored_companies(&self) -> Vec<String> {
        self.texts("SELECT source_id FROM company_sources WHERE connection_id = $1")
            .await
    }

    /// Contacts and their companies.
    pub(crate) async fn stored_links(&self) -> Vec<(String, String)> {
        self.sql(
            "SELECT contact_source_id, company_source_id FROM contact_companies
             WHERE connection_id = $1",
        )
        .await
    }

    /// When a profile of a contact was last written.
    pub(crate) async fn last_profile_write(&self) -> Vec<String> {
        self.texts(
            "SELECT max(at)::text FROM changes
             WHERE kind = 1 AND tenant_id = (SELECT tenant_id FROM connections WHERE id = $1)",
        )
        .await
    }

    /// Of each record of a contact or company: its source id, its own id, its profile, when its source created it, its
    /// survivor, its values, and whether it is deleted.
    pub(crate) async fn stored_identities<T>(&self, kind: Kind) -> Vec<T>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        self.sql(match kind {
            Kind::Company => {
                "SELECT source_id, record_id, company_id, source_created_at, NULL::text, identity_values,
                        deleted_at IS NOT NULL
                 FROM company_sources WHERE connection_id = $1 ORDER BY source_id"
            }
            _ => {
                "SELECT source_id, record_id, contact_id, source_created_at, merged_into, identity_values,
                        deleted_at IS NOT NULL
                 FROM contact_sources WHERE connection_id = $1 ORDER BY source_id"
            }
        })
        .await
    }

    /// What the feed says has become of each contact, or of each company.
    pub(crate) async fn fates(&self, kind: Kind) -> BTreeMap<Uuid, i16> {
        let rows: Vec<(Uuid, i16, i16)> = self
            .sql(
                "SELECT id, fate, kind FROM changes
                 WHERE kind <= 2 AND tenant_id = (SELECT tenant_id FROM connections WHERE id = $1)",
            )
            .await;
        let number = if kind == Kind::Company { 2 } else { 1 };
        rows.into_iter()
            .filter(|(_, _, kind)| *kind == number)
            .map(|(id, fate, _)| (id, fate))
            .collect()
    }

    /// Objects of the tenant that the feed does not tell to be removed.
    pub(crate) async fn listed_changes(&self) -> i64 {
        let rows: Vec<(i64,)> = self
            .sql(
                "SELECT count(*) FROM changes
                 WHERE fate <> 3 AND tenant_id = (SELECT tenant_id FROM connections WHERE id = $1)",
            )
            .await;
        rows[0].0
    }

    /// Conversations and their states.
    pub(crate) async fn conversation_states(&self) -> Vec<(String, String)> {
        self.sql("SELECT source_id, state FROM conversations WHERE connection_id = $1")
            .await
    }

    /// The tags of a conversation, and the contacts that take part in it.
    pub(crate) async fn tags_and_people(&self, id: &str) -> (String, Vec<String>) {
        let rows: Vec<(String, String, Vec<String>)> = self
            .sql(
                "SELECT c.source_id, array_to_string(c.tags, ','),
                        ARRAY(SELECT p.contact_source_id FROM conversation_contacts p
                              WHERE p.tenant_id = c.tenant_id AND p.conversation_id = c.id ORDER BY 1)
                 FROM conversations c WHERE c.connection_id = $1",
            )
            .await;
        rows.into_iter()
            .find(|(found, ..)| found == id)
            .map(|(_, tags, people)| (tags, people))
            .expect("the conversation is stored")
    }

    /// Companies that are asked for by id.
    pub(crate) async fn wanted_companies(&self) -> Vec<String> {
        self.texts("SELECT source_id FROM company_fetches WHERE connection_id = $1")
            .await
    }

    pub(crate) async fn stored_threads(&self) -> Vec<StoredThread> {
        self.sql(
            "SELECT held::bigint AS held, expected::bigint AS expected, status,
                    attempts::bigint AS attempts, extract(epoch FROM due_at)::float8 AS due_at
             FROM threads WHERE connection_id = $1",
        )
        .await
    }

    /// Every part, except for the first message of each conversation.
    pub(crate) async fn stored_parts(&self) -> Vec<StoredPart> {
        self.sql(
            "SELECT c.source_id AS conversation, p.kind, p.internal, p.redacted
             FROM parts p JOIN conversations c ON c.tenant_id = p.tenant_id AND c.id = p.conversation_id
             WHERE c.connection_id = $1 AND p.source_id <> 'source'",
        )
        .await
    }

    /// Tags that are listed: ids and names.
    pub(crate) async fn listed_tags(&self) -> Vec<(String, String)> {
        self.sql(
            "SELECT source_id, coalesce(name, '') FROM reference_items
             WHERE connection_id = $1 AND kind = 'tag' AND removed_at IS NULL",
        )
        .await
    }

    /// The purposes of the tokens that are kept.
    pub(crate) async fn tokens(&self) -> Vec<String> {
        self.texts("SELECT purpose FROM connection_secrets WHERE connection_id = $1")
            .await
    }

    /// How many parts of the world and contacts of the connection are stored.
    pub(crate) async fn written(&self) -> (i64, i64) {
        let rows = self.sql(
            "SELECT (SELECT count(*) FROM parts),
                    (SELECT count(*) FROM contact_sources WHERE connection_id = $1)",
        );
        rows.await.remove(0)
    }

    /// Every place that holds a text: columns and raw bytes, quarantine included.
    pub(crate) async fn places_of(&self, text: &str) -> usize {
        let rows: Vec<(String, Vec<u8>)> = self
            .sql(
                "SELECT coalesce(p.body, ''), p.raw FROM parts p
                 JOIN conversations c ON c.tenant_id = p.tenant_id AND c.id = p.conversation_id
                 WHERE c.connection_id = $1
                 UNION ALL SELECT '', raw FROM conversations WHERE connection_id = $1
                 UNION ALL SELECT '', raw FROM quarantine WHERE connection_id = $1",
            )
            .await;
        // An empty answer would find no trace of anything.
        assert!(!rows.is_empty());
        rows.iter()
            .filter(|(body, stored)| body.contains(text) || record(stored).contains(text))
            .count()
    }

    /// Every row of the record tables with the transaction that wrote it.
    pub(crate) async fn row_versions(&self) -> Vec<(String, String)> {
        self.sql(
            "WITH mine AS (SELECT tenant_id AS id FROM connections WHERE id = $1)
             SELECT 'changes ' || id, xmin::text FROM changes WHERE tenant_id IN (TABLE mine)
             UNION ALL SELECT 'contact_sources ' || source_id, xmin::text FROM contact_sources WHERE connection_id = $1
             UNION ALL SELECT 'company_sources ' || source_id, xmin::text FROM company_sources WHERE connection_id = $1
             UNION ALL SELECT 'links ' || contact_source_id || company_source_id, xmin::text FROM contact_companies WHERE connection_id = $1
             UNION ALL SELECT 'conversations ' || source_id, xmin::text FROM conversations WHERE connection_id = $1
             UNION ALL SELECT 'people ' || conversation_id || contact_source_id, xmin::text FROM conversation_contacts WHERE connection_id = $1
             UNION ALL SELECT 'parts ' || conversation_id || source_id, xmin::text FROM parts WHERE tenant_id IN (TABLE mine)
             UNION ALL SELECT 'reference ' || kind || source_id, xmin::text FROM reference_items WHERE connection_id = $1
             ORDER BY 1",
        )
        .await
    }

    /// Numbers that the streams keep and that differ from their rows, as `name: kept, counted`.
    pub(crate) async fn wrong_counts(&self) -> Vec<String> {
        self.texts(
            "WITH counted AS (
                SELECT 'pending' AS name, count(*) AS rows FROM threads WHERE connection_id = $1 AND status = 'pending'
                UNION ALL SELECT 'failing', count(*) FROM threads
                          WHERE connection_id = $1 AND status = 'pending' AND failure IS NOT NULL
                UNION ALL SELECT 'complete', count(*) FROM threads WHERE connection_id = $1 AND status = 'complete'
                UNION ALL SELECT 'truncated', count(*) FROM threads WHERE connection_id = $1 AND status = 'truncated'
                UNION ALL SELECT 'gone', count(*) FROM threads WHERE connection_id = $1 AND status = 'gone'
                UNION ALL SELECT 'blocked', count(*) FROM threads WHERE connection_id = $1 AND status = 'blocked'
                UNION ALL SELECT 'missing_parts', coalesce(sum(expected - held), 0) FROM threads
                          WHERE connection_id = $1 AND status = 'truncated'
                UNION ALL SELECT stream || ' held', count(*) FROM alive WHERE connection_id = $1 GROUP BY stream
             ), kept AS (
                SELECT t.name, t.rows FROM streams s CROSS JOIN LATERAL (VALUES
                    ('pending', s.pending), ('failing', s.failing), ('complete', s.complete), ('truncated', s.truncated),
                    ('gone', s.gone), ('blocked', s.blocked), ('missing_parts', s.missing_parts)) AS t(name, rows)
                WHERE s.connection_id = $1 AND s.stream = 'threads'
                UNION ALL SELECT stream || ' held', held FROM streams
                          WHERE connection_id = $1 AND stream IN ('contacts', 'companies', 'conversations') AND held > 0
             )
             SELECT coalesce(k.name, c.name) || ': ' || coalesce(k.rows, 0) || ', ' || coalesce(c.rows, 0)
             FROM kept k FULL JOIN counted c USING (name) WHERE k.rows IS DISTINCT FROM c.rows ORDER BY 1",
        )
        .await
    }

    /// Whether a session of this world waits for a lock.
    pub(crate) async fn a_lock_is_waited_for(&self) -> bool {
        let waiting = self.texts(
            "SELECT pid::text FROM pg_stat_activity
             WHERE wait_event_type = 'Lock' AND datname = current_database() AND $1::uuid IS NOT NULL",
        );
        !waiting.await.is_empty()
    }
}

fn one<T>(rows: Vec<(String, T)>, stream: Stream) -> T {
    rows.into_iter()
        .find(|(name, _)| name == stream.as_str())
        .map(|(_, value)| value)
        .expect("every stream has a row")
}
