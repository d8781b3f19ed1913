//! A database that is set up otherwise, and one that an older build left behind.

use chrono::{DateTime, Utc};
use servers::{Postgres, Servers};
use shared::{config::DatabaseConfig, domain::Secret, store::GrantOutcome};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use super::{Case, World, wait_for};

/// A new database on these servers, migrated with this prefix of the roles.
pub(crate) async fn migrated(servers: &Servers, role_prefix: &str) -> String {
    let name = format!("own_{}", uuid::Uuid::now_v7().simple());
    let url = servers.database_url();
    let mut admin = PgConnection::connect(&url).await.expect("postgres answers");
    admin
        .execute(AssertSqlSafe(format!("CREATE DATABASE {name}")))
        .await
        .expect("a database");
    let url = url.replace("/postgres", &format!("/{name}"));
    // By itself it gives up after four seconds, which is too soon on a busy machine.
    let patient = Secret::new(format!("{url}?connect_timeout=60"));
    let config = DatabaseConfig {
        role_prefix: role_prefix.to_owned(),
        ..DatabaseConfig::of_url(patient.clone())
    };
    shared::store::migrate(&patient, &config)
        .await
        .expect("the migrations run");
    url
}

impl World {
    /// Forgets that a migration was applied, as a database that is older than the build.
    pub(crate) async fn forget_migration(&self, version: i64) {
        self.change(&format!(
            "UPDATE _sqlx_migrations SET success = false WHERE version = {version}"
        ))
        .await;
    }

    /// The migration is applied after all.
    pub(crate) async fn remember_migration(&self, version: i64) {
        self.change(&format!(
            "UPDATE _sqlx_migrations SET success = true WHERE version = {version}"
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

    /// A setting that sessions of this world's database have from now on.
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

    /// A setting of the whole server, which all its sessions have from their next transaction on.
    pub(crate) async fn set_server(&self, setting: &str, value: &str) {
        self.change(&format!("ALTER SYSTEM SET {setting} = '{value}'"))
            .await;
        self.change("SELECT pg_reload_conf()").await;
        // The server tells its sessions before it lets a new one in.
        wait_for("a new session has the setting", async || {
            let mut session = PgConnection::connect(self.config.database.url.expose())
                .await
                .map_err(|error| error.to_string())?;
            let held: String = sqlx::query_scalar("SELECT current_setting($1)")
                .bind(setting)
                .fetch_one(&mut session)
                .await
                .map_err(|error| error.to_string())?;
            (held == value).then_some(()).ok_or(held)
        })
        .await;
    }

    /// A login and a database of its own that it owns, and another login without any right, as a managed server has
    /// them. Returns the URLs of both, with more time to connect than a command gives by itself.
    pub(crate) async fn owner_and_login(&self) -> (String, String) {
        for statement in [
            "CREATE ROLE schema_owner LOGIN CREATEROLE",
            "CREATE ROLE app LOGIN",
            "CREATE DATABASE production OWNER schema_owner",
        ] {
            self.change(statement).await;
        }
        let url = self.config.database.url.expose();
        let (server, _) = url.rsplit_once('/').expect("a database");
        let of = |login: &str| {
            let server = server.replace("pathbound@", &format!("{login}@"));
            server + "/production?connect_timeout=60"
        };
        (of("schema_owner"), of("app"))
    }

    /// Another login of the whole server, which the schema's owner lets take the roles.
    pub(crate) async fn add_login(&self, name: &str) {
        self.change(&format!("CREATE ROLE {name} LOGIN")).await;
        let owner = &self.config.migrate_url;
        let login = DatabaseConfig::of_url(Secret::new(
            owner.expose().replace("pathbound@", &format!("{name}@")),
        ));
        let granted = shared::store::grant_roles(&login, owner).await;
        assert_eq!(granted.expect("it may"), GrantOutcome::Granted);
    }

    /// A rule that every row of a table must keep from now on, as a constraint of the name `a_rule`.
    pub(crate) async fn add_rule(&self, table: &str, rule: &str) {
        self.change(&format!("ALTER TABLE {table} ADD CONSTRAINT a_rule {rule}"))
            .await;
    }

    /// Postgres refuses each row that is inserted into a table, in words that quote the whole row.
    pub(crate) async fn refuse_inserts(&self, table: &str) {
        self.change(&format!(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE EXCEPTION 'no %', to_jsonb(NEW) USING CONSTRAINT = 'a_rule'; END $$;
             CREATE TRIGGER refuse BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION refuse()"
        ))
        .await;
    }

    /// The last migration was not applied yet, and Postgres refuses it in words that quote a value.
    pub(crate) async fn refuse_last_migration(&self, value: &str) {
        self.change(&format!(
            "DELETE FROM _sqlx_migrations WHERE version = (SELECT max(version) FROM _sqlx_migrations);
             CREATE FUNCTION refuse_change() RETURNS event_trigger LANGUAGE plpgsql AS
             $$ BEGIN
                IF current_query() NOT LIKE '%_sqlx_migrations%' THEN RAISE EXCEPTION 'no {value}'; END IF;
             END $$;
             CREATE EVENT TRIGGER refuse_change ON ddl_command_start EXECUTE FUNCTION refuse_change()"
        ))
        .await;
    }

    /// How many sessions with this `application_name` the server has now.
    pub(crate) async fn sessions(&self, application: &str) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM pg_stat_activity WHERE application_name = $1")
            .bind(application)
            .fetch_one(&self.admin)
            .await
            .expect("a count")
    }

    /// When the transactions of sessions with this `application_name` began that are open now and wait for a statement,
    /// and the time of the server.
    pub(crate) async fn open_transactions(
        &self,
        application: &str,
    ) -> (Vec<DateTime<Utc>>, DateTime<Utc>) {
        sqlx::query_as(
            "SELECT coalesce(array_agg(xact_start) FILTER (WHERE state = 'idle in transaction'), '{}'), clock_timestamp()
             FROM pg_stat_activity WHERE application_name = $1",
        )
        .bind(application)
        .fetch_one(&self.admin)
        .await
        .expect("times")
    }

    /// Makes a standby of this world's server the one that takes writes, once it has all that this one has. Returns
    /// the URL of the world's database there.
    pub(crate) async fn promote(&self, standby: &Postgres) -> String {
        let written: String = sqlx::query_scalar("SELECT pg_current_wal_lsn()::text")
            .fetch_one(&self.admin)
            .await
            .expect("a place in the log");
        let mut session = PgConnection::connect(&standby.url())
            .await
            .expect("it reads");
        wait_for("the standby has all", async || {
            let has_all: bool = sqlx::query_scalar("SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn")
                .bind(&written)
                .fetch_one(&mut session)
                .await
                .map_err(|error| error.to_string())?;
            has_all.then_some(()).ok_or_else(|| written.clone())
        })
        .await;
        let promoted: bool = sqlx::query_scalar("SELECT pg_promote(true, 150)")
            .fetch_one(&mut session)
            .await
            .expect("it can be promoted");
        assert!(promoted);
        let (_, database) = self
            .config
            .database
            .url
            .expose()
            .rsplit_once('/')
            .expect("a name");
        standby.url().replace("/postgres", &format!("/{database}"))
    }

    pub(super) async fn change(&self, statement: &str) {
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
