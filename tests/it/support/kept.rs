//! Quarantine, and where each object of a kind ended.

use intercom_simulator::Kind;
use shared::store::raw::{RawKind, pack, unpack};
use sqlx::AssertSqlSafe;

use super::Case;

/// A row that an object ended in.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Kept {
    /// `stored`, `sanitised` or `quarantined`.
    pub(crate) fate: String,
    pub(crate) id: String,
    pub(crate) raw: Vec<u8>,
}

/// The record of a stored column.
pub(super) fn unpacked(stored: &[u8]) -> Vec<u8> {
    unpack(stored).expect("the product has stored it")
}

const QUARANTINED: &str = "SELECT 'quarantined' AS fate, source_id AS id, raw FROM quarantine
    WHERE connection_id = $1 AND kind = $2 AND resolved_at IS NULL";

impl Case {
    /// Objects in quarantine, as `kind/id`, with their reasons.
    pub(crate) async fn quarantined(&self) -> Vec<(String, String)> {
        self.sql(
            "SELECT kind || '/' || source_id, reason FROM quarantine
             WHERE connection_id = $1 AND resolved_at IS NULL ORDER BY 1",
        )
        .await
    }

    /// The same with the bytes.
    pub(crate) async fn quarantined_bytes(&self) -> Vec<(String, String, Vec<u8>)> {
        let rows: Vec<(String, String, Vec<u8>)> = self
            .sql(
                "SELECT kind || '/' || source_id, reason, raw FROM quarantine
                 WHERE connection_id = $1 AND resolved_at IS NULL ORDER BY 1",
            )
            .await;
        rows.into_iter()
            .map(|(id, reason, stored)| (id, reason, unpacked(&stored)))
            .collect()
    }

    /// Objects that are or ever were in quarantine.
    pub(crate) async fn ever_quarantined(&self) -> Vec<(String, String)> {
        self.sql("SELECT kind || '/' || source_id, reason FROM quarantine WHERE connection_id = $1")
            .await
    }

    /// Rows of the quarantine that are open or still have bytes or their covered form. A healed object has none, because its old bytes
    /// may hold what was redacted since.
    pub(crate) async fn left_in_quarantine(&self) -> Vec<String> {
        self.texts(
            "SELECT kind || '/' || source_id FROM quarantine
             WHERE connection_id = $1 AND (length(raw) > 0 OR resolved_at IS NULL OR num_nonnulls(masked_raw, masked_reason) > 0)",
        )
        .await
    }

    /// Where every object of a kind ended.
    pub(crate) async fn kept(&self, kind: Kind) -> Vec<Kept> {
        let (name, stored) = match kind {
            Kind::Contact => ("contact", "contact_sources s WHERE s.connection_id = $1"),
            Kind::Company => ("company", "company_sources s WHERE s.connection_id = $1"),
            Kind::Conversation => ("conversation", "conversations s WHERE s.connection_id = $1"),
            Kind::Part => (
                "part",
                "parts s JOIN conversations c ON c.tenant_id = s.tenant_id AND c.id = s.conversation_id
                 WHERE c.connection_id = $1",
            ),
            other => panic!("{other:?} is kept without its bytes"),
        };
        let query = format!(
            "{QUARANTINED} UNION ALL
             SELECT CASE WHEN s.sanitised THEN 'sanitised' ELSE 'stored' END, s.source_id, s.raw FROM {stored}"
        );
        self.kept_by(query, name).await
    }

    /// Reference items and deletions in quarantine.
    pub(crate) async fn quarantined_reference(&self) -> Vec<Kept> {
        self.kept_by(QUARANTINED.to_owned(), "reference").await
    }

    async fn kept_by(&self, query: String, kind: &str) -> Vec<Kept> {
        let mut rows: Vec<Kept> = sqlx::query_as(AssertSqlSafe(query))
            .bind(self.connection().0)
            .bind(kind)
            .fetch_all(&self.world.admin)
            .await
            .expect("postgres answers");
        for row in &mut rows {
            row.raw = unpacked(&row.raw);
        }
        rows
    }

    /// Opens a row of the quarantine again, with other bytes.
    pub(crate) async fn put_into_quarantine(&self, kind: &str, id: &str, raw: &[u8]) {
        let changed = sqlx::query(
            "UPDATE quarantine SET raw = $4, resolved_at = NULL
             WHERE connection_id = $1 AND kind = $2 AND source_id = $3",
        )
        .bind(self.connection().0)
        .bind(kind)
        .bind(id)
        .bind(pack(RawKind::Conversation, raw))
        .execute(&self.world.admin)
        .await
        .expect("postgres answers");
        // A row that is not there would let the test pass without a replay.
        assert_eq!(changed.rows_affected(), 1, "{kind}/{id} is in quarantine");
    }
}
