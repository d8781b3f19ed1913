//! Rows that are lost behind the product's back.

use sqlx::Executor;

use super::{Case, World};

impl World {
    /// A table that statements no longer find.
    pub(crate) async fn lose_the_table_of_companies(&self) {
        self.damage("ALTER TABLE company_sources RENAME TO lost_companies")
            .await;
    }

    /// As a process leaves sources that dies before it has deleted what they have sent.
    pub(crate) async fn begin_to_remove_sources(&self) {
        self.damage(
            "UPDATE connections SET state = 'disconnected', disconnected_at = now(), purge_requested_at = now()
             WHERE source <> 'intercom'",
        )
        .await;
    }

    /// From now on, no answer to a POST can be stored.
    pub(crate) async fn refuse_answers(&self) {
        self.damage(
            "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$;
             CREATE TRIGGER refused BEFORE UPDATE ON idempotency_keys
             FOR EACH ROW WHEN (NEW.answer IS NOT NULL) EXECUTE FUNCTION refuse()",
        )
        .await;
    }

    pub(crate) async fn accept_answers(&self) {
        self.damage("DROP TRIGGER refused ON idempotency_keys")
            .await;
    }

    async fn damage(&self, statements: &'static str) {
        self.admin
            .execute(sqlx::raw_sql(statements))
            .await
            .expect("postgres answers");
    }
}

impl Case {
    pub(crate) async fn lose_a_contact(&self) {
        self.texts(
            "WITH lost AS (SELECT source_id FROM contact_sources WHERE connection_id = $1 ORDER BY 1 LIMIT 1)
             DELETE FROM contact_sources s USING lost
             WHERE s.connection_id = $1 AND s.source_id = lost.source_id RETURNING s.source_id",
        )
        .await;
    }

    pub(crate) async fn lose_a_conversation(&self) {
        self.texts(
            "WITH lost AS (SELECT id FROM conversations WHERE connection_id = $1 ORDER BY 1 LIMIT 1),
                  thread AS (DELETE FROM threads t USING lost WHERE t.conversation_id = lost.id),
                  part AS (DELETE FROM parts p USING lost WHERE p.conversation_id = lost.id),
                  person AS (DELETE FROM conversation_contacts p USING lost WHERE p.conversation_id = lost.id)
             DELETE FROM conversations c USING lost WHERE c.id = lost.id RETURNING c.source_id",
        )
        .await;
        self.count_threads_anew().await;
    }

    /// Counts the threads by their rows, after a test has changed these behind the product's back.
    pub(super) async fn count_threads_anew(&self) {
        self.texts(
            "UPDATE streams SET (pending, failing, complete, truncated, gone, blocked, missing_parts) =
                    (SELECT * FROM thread_counts(tenant_id, connection_id))
             WHERE connection_id = $1 AND stream = 'threads' RETURNING stream",
        )
        .await;
    }

    /// Every thread claims to hold no part, and the parts stay.
    pub(crate) async fn forget_the_counts_of_parts(&self) {
        self.texts(
            "WITH forgotten AS (
                UPDATE threads t SET held = 0 FROM threads old
                WHERE t.connection_id = $1 AND old.connection_id = $1 AND old.conversation_id = t.conversation_id
                RETURNING old.held
             )
             UPDATE streams SET held = held - (SELECT sum(forgotten.held) FROM forgotten)
             WHERE connection_id = $1 AND stream = 'threads' RETURNING stream",
        )
        .await;
    }

    /// Loses one part of each thread, and returns how many were lost.
    pub(crate) async fn lose_a_part_of_each_thread(&self) -> usize {
        let lost = self.texts(
            "WITH lost AS (
                SELECT DISTINCT ON (p.conversation_id) p.conversation_id, p.source_id FROM parts p
                JOIN threads t ON t.conversation_id = p.conversation_id
                WHERE t.connection_id = $1 AND p.source_id <> 'source' ORDER BY 1, 2
             )
             DELETE FROM parts p USING lost
             WHERE p.conversation_id = lost.conversation_id AND p.source_id = lost.source_id RETURNING p.source_id",
        );
        lost.await.len()
    }

    pub(crate) async fn lose_all_parts(&self) {
        self.texts(
            "DELETE FROM parts p USING threads t
             WHERE t.connection_id = $1 AND p.conversation_id = t.conversation_id AND p.source_id <> 'source'
             RETURNING p.source_id",
        )
        .await;
    }
}
