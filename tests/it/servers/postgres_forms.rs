//! The forms of a DSN that the README lists. Each one connects.

use std::os::unix::fs::PermissionsExt;

use servers::{Options, Servers};
use shared::{config::DatabaseConfig, domain::Secret, store::WorkerStore};

use crate::support::{World, migrated};

/// A server with a socket in a folder of its own, and a standby-like one that takes no writes.
struct Place {
    writable: Servers,
    read_only: Servers,
    folder: std::path::PathBuf,
    database: String,
}

impl Place {
    async fn start() -> Self {
        let folder = std::path::Path::new("/tmp").join(format!("pb-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o777)).unwrap();
        let socket = format!("unix_socket_directories={}", folder.display());
        let start = |settings: &[&str]| {
            Servers::start(Options {
                postgres_settings: settings.iter().map(ToString::to_string).collect(),
                ..Options::default()
            })
            .unwrap()
        };
        let writable = start(&[&socket, "listen_addresses=*"]);
        let database = migrated(&writable, "pathbound").await;
        Self {
            read_only: start(&["default_transaction_read_only=on"]),
            database: database.rsplit_once('/').unwrap().1.to_owned(),
            writable,
            folder,
        }
    }

    fn form(&self, form: &str) -> String {
        form.replace("PORT", &self.writable.postgres().port().to_string())
            .replace("OTHER", &self.read_only.postgres().port().to_string())
            .replace("FOLDER", &self.folder.display().to_string())
            .replace("DATABASE", &self.database)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_of_the_readme_connects() {
    let place = Place::start().await;
    let mut forms = vec![
        "postgres://pathbound@127.0.0.1:PORT/DATABASE",
        "postgresql://pathbound@localhost:PORT/DATABASE?sslmode=prefer",
        "postgres://pathbound@/DATABASE?host=FOLDER&port=PORT",
        "postgres:///DATABASE?user=pathbound&host=FOLDER&port=PORT&sslmode=require",
        "postgres://pathbound@127.0.0.1:1,127.0.0.1:PORT/DATABASE?target_session_attrs=read-write",
        "postgres://pathbound@127.0.0.1:OTHER,127.0.0.1:PORT/DATABASE?connect_timeout=60",
        "postgres://pathbound@/DATABASE?host=127.0.0.1,localhost&port=1,PORT",
        "postgres://pathbound@127.0.0.1:PORT/DATABASE?keepalives=1&application_name=shop&options=-c%20jit%3Doff",
        "postgres://pathbound@127.0.0.1:PORT/DATABASE?sslmode=allow",
    ];
    // A machine without IPv6 has no such address.
    if std::net::TcpListener::bind("[::1]:0").is_ok() {
        forms.push("postgres://pathbound@[::1]:PORT/DATABASE");
        forms.push("postgres://pathbound@[::1]:1,[::1]:PORT/DATABASE");
    } else {
        eprintln!("SKIPPED: this machine has no IPv6 loopback address");
    }
    for form in forms {
        let config = DatabaseConfig::of_url(Secret::new(place.form(form)));
        let store = WorkerStore::connect(&config, 1)
            .await
            .unwrap_or_else(|error| panic!("{form}: {error:?}"));
        let ready = store.readiness().await;
        ready.unwrap_or_else(|error| panic!("{form}: {error}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dsn_that_cannot_be_used_is_a_fault_that_shows_nothing_of_it() {
    let world = World::new().await;
    for bad in [
        "postgres://u:hunter2@h:ter2/x",
        "postgres://u:hunter2@h/x?sslmode=hunter2",
        "postgres://u:hun?ter2@h/x",
    ] {
        let checked = world
            .otherwise_unchecked(&[("DATABASE_URL", bad)])
            .command(&["config", "check"]);
        let told = String::from_utf8_lossy(&[checked.stdout, checked.stderr].concat()).into_owned();
        assert_eq!(checked.status.code(), Some(78), "{told}");
        assert!(told.contains("PATHBOUND_DATABASE_URL has"), "{told}");
        assert!(!told.contains("ter2"), "{told}");
    }
}
