//! A database that is set up otherwise, and one that an older build left behind.

use sqlx::{AssertSqlSafe, Executor as _};

use super::{Case, World};

impl World {
    /// Forgets that a migration was applied, as a database that is older than the build.
    pub(crate) async fn forget_migration(&self, version: i64) {
        self.change(&format!(
            "DELETE FROM _sqlx_migrations WHERE version = {version}"
        ))
        .await;
    }

    /// Adds a migration that this build does not know, as a newer build does.
    pub(crate) async fn add_future_migration(&self) {
        self.change(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (9999, 'of the next build', true, '', 0)",
        )
        .await;
    }

    /// A setting that sessions of this world's database have from now on, such as `statement_timeout`.
    pub(crate) async fn set_database(&self, setting: &str, value: &str) {
        self.change(&format!(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET {setting} = ''{value}''', current_database()); END $$"
        ))
        .await;
    }

    /// Each row that is inserted into a table takes so long from now on.
    pub(crate) async fn slow_inserts(&self, table: &str, seconds: f64) {
        self.change(&format!(
            "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN PERFORM pg_sleep({seconds}); RETURN NEW; END $$;
             CREATE TRIGGER dawdle BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION dawdle()"
        ))
        .await;
    }

    /// The table is as fast as before.
    pub(crate) async fn fast_inserts(&self, table: &str) {
        self.change(&format!("DROP TRIGGER dawdle ON {table}"))
            .await;
    }

    async fn change(&self, statement: &str) {
        self.admin
            .execute(AssertSqlSafe(statement.to_owned()))
            .await
            .expect("the statement runs");
    }
}

impl Case {
    /// Opens the dead letters of the connection again, as a build left them that did not close them at its end.
    pub(crate) async fn reopen_dead_letters(&self) {
        self.texts(
            "UPDATE dead_letters SET resolved_at = NULL WHERE connection_id = $1 RETURNING stream",
        )
        .await;
    }
}
