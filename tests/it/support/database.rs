//! The servers that all worlds share, and a database for each world.

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, Ordering},
};

use servers::Servers;
use shared::config::DatabaseConfig;
use sqlx::{Connection, Executor, PgConnection};
use tokio::sync::OnceCell;

/// Postgres and Redis, started once for all tests of this binary.
pub(crate) fn servers() -> &'static Servers {
    static SERVERS: OnceLock<Servers> = OnceLock::new();
    SERVERS.get_or_init(|| {
        // Every world that is under way has pools of its own.
        let options = servers::Options {
            max_connections: 400,
            ..servers::Options::default()
        };
        Servers::start(options).expect("postgres and redis start")
    })
}

/// A migrated database of its own, cloned from a template that is migrated once.
pub(super) async fn fresh_database() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    static TEMPLATE: OnceCell<()> = OnceCell::const_new();
    let url = servers().database_url();
    TEMPLATE
        .get_or_init(|| async {
            let mut admin = PgConnection::connect(&url).await.expect("postgres answers");
            admin
                .execute("CREATE DATABASE template_it")
                .await
                .expect("a database");
            let template = shared::domain::Secret::new(
                url.replace("/postgres", "/template_it?connect_timeout=60"),
            );
            // Each world copies the files of all partitions, so there are few.
            let config = DatabaseConfig {
                partitions: 3,
                ..DatabaseConfig::of_url(template.clone())
            };
            shared::store::migrate(&template, &config)
                .await
                .expect("the migrations run");
        })
        .await;
    let name = format!("it_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let mut admin = PgConnection::connect(&url).await.expect("postgres answers");
    admin
        .execute(sqlx::AssertSqlSafe(format!(
            "CREATE DATABASE {name} TEMPLATE template_it"
        )))
        .await
        .expect("a database");
    let (server, _) = url.rsplit_once('/').expect("a database name");
    format!("{server}/{name}")
}
