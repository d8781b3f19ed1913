//! What is left of somebody in the database, whatever the table.

use sqlx::AssertSqlSafe;

use super::{World, kept::unpacked};

impl World {
    /// Where words are in any row of any table, also inside of packed records, as `table: word`.
    pub(crate) async fn residue(&self, words: &[String]) -> Vec<String> {
        // Digests and packed bytes are no texts. Their digits would look like an id now and then.
        let tables: Vec<(String, String, bool)> = sqlx::query_as(
            "SELECT t.table_name::text,
                    (SELECT string_agg(quote_ident(c.column_name) || '::text', ', ') FROM information_schema.columns c
                     WHERE c.table_schema = 'public' AND c.table_name = t.table_name AND c.data_type <> 'bytea'),
                    EXISTS (SELECT FROM information_schema.columns c
                        WHERE c.table_schema = 'public' AND c.table_name = t.table_name AND c.column_name = 'raw')
             FROM information_schema.tables t
             WHERE t.table_schema = 'public' AND t.table_type = 'BASE TABLE'
               AND NOT EXISTS (SELECT FROM pg_class WHERE oid = t.table_name::regclass AND relispartition) ORDER BY 1",
        )
        .fetch_all(&self.admin)
        .await
        .expect("postgres answers");
        assert!(tables.len() > 20, "{tables:?}");
        let mut found = Vec::new();
        for (table, columns, has_raw) in tables {
            let rows = format!("SELECT concat_ws(' ', {columns}) FROM {table}");
            let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(rows))
                .fetch_all(&self.admin)
                .await
                .expect("postgres answers");
            let mut texts = rows;
            if has_raw {
                let raws = format!("SELECT raw FROM {table}");
                let raws: Vec<Vec<u8>> = sqlx::query_scalar(AssertSqlSafe(raws))
                    .fetch_all(&self.admin)
                    .await
                    .expect("postgres answers");
                let records = raws.iter().map(|raw| unpacked(raw));
                texts.extend(records.map(|raw| String::from_utf8_lossy(&raw).into_owned()));
            }
            for word in words {
                if texts.iter().any(|text| text.contains(word.as_str())) {
                    found.push(format!("{table}: {word}"));
                }
            }
        }
        found
    }

    /// Erasures that no process has finished.
    pub(crate) async fn unfinished_erasures(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM erasures WHERE finished_at IS NULL")
            .fetch_one(&self.admin)
            .await
            .expect("postgres answers")
    }
}
