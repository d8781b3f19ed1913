//! A backup of Postgres is restored on another server, and Redis is empty: what `deploy/docs/operations.md` says to do.

use std::{fs::File, path::Path, process::Command};

use intercom_simulator::{Kind, Mutation, WorkspaceSpec};
use servers::{Options, Postgres, Servers};
use shared::domain::{Mode, Stream};
use tempfile::TempDir;

use crate::support::{World, own_redis, tell};

const PROGRAMS: [&str; 4] = ["pg_dumpall", "pg_dump", "pg_restore", "psql"];

fn workspace() -> WorkspaceSpec {
    WorkspaceSpec {
        contacts: 60,
        companies: 10,
        conversations: 40,
        limit_per_window: 100_000,
        ..WorkspaceSpec::default()
    }
}

/// Roles and data of one database, as files.
struct Backup(TempDir);

impl Backup {
    fn take(server: &Postgres, url: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let (roles, data) = (folder.path().join("roles.sql"), folder.path().join("data"));
        let (host, _) = url.rsplit_once('/').unwrap();
        let all = format!("{host}/postgres");
        run(
            server,
            "pg_dumpall",
            &["--roles-only", "--dbname", &all],
            Some(&roles),
        );
        run(
            server,
            "pg_dump",
            &["--format=custom", "--dbname", url],
            Some(&data),
        );
        Self(folder)
    }

    /// Returns the URL of the restored database.
    fn restore(&self, server: &Postgres) -> String {
        let at = |name: &str| self.0.path().join(name).to_str().unwrap().to_owned();
        let (all, restored) = (server.url(), server.url().replace("/postgres", "/restored"));
        // The login is there, so its line fails, and the others do not.
        run(
            server,
            "psql",
            &["--quiet", "--dbname", &all, "--file", &at("roles.sql")],
            None,
        );
        let create = ["--dbname", &all, "--command", "CREATE DATABASE restored"];
        run(server, "psql", &create, None);
        let data = at("data");
        run(
            server,
            "pg_restore",
            &["--exit-on-error", "--dbname", &restored, &data],
            None,
        );
        restored
    }
}

fn run(server: &Postgres, program: &str, arguments: &[&str], output: Option<&Path>) {
    let mut command = Command::new(server.program(program).unwrap());
    command.args(arguments);
    if let Some(output) = output {
        command.stdout(File::create(output).unwrap());
    }
    let status = command.status().unwrap();
    assert!(status.success(), "{program} {arguments:?}: {status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_backup_of_yesterday_with_an_empty_redis_ends_exact() {
    let [first, second] = [(); 2].map(|()| Servers::start(Options::default()).unwrap());
    if PROGRAMS
        .iter()
        .any(|name| first.postgres().program(name).is_none())
    {
        println!("SKIPPED: no backup is restored, because {PROGRAMS:?} are not beside postgres");
        return;
    }
    let redis = own_redis(&[]);
    let url = crate::support::migrated(&first, "pathbound").await;
    let world = World::with(&[("DATABASE_URL", &url), ("REDIS_URL", &redis.url())]).await;
    let case = world.connect(workspace()).await;
    let fleet = world.fleet(1);
    case.until_complete().await;
    let backup = Backup::take(first.postgres(), &url);

    // A day goes on. Some of it was synced before the servers were lost, and some was not.
    case.mutate(Mutation::update(Kind::Contact, 5).ago(60));
    case.mutate(Mutation::grow(Kind::Conversation, 5).ago(60));
    case.mutate(Mutation::merge(2).ago(60));
    case.poll().await;
    fleet.stop().await;
    case.mutate(Mutation::delete(Kind::Contact, 2));
    case.mutate(Mutation::delete(Kind::Conversation, 2));
    case.mutate(Mutation::update(Kind::Company, 2).ago(10));
    case.mutate(Mutation::grow(Kind::Conversation, 3).ago(10));

    let restored = backup.restore(second.postgres());
    tell::<()>(&redis.url(), &["FLUSHALL"]);
    drop(first);
    let world = world.looking_at(&restored).await;
    let case = case.seen_from(world.clone());
    let _fleet = world.fleet(1);
    // An object that one walk does not show may be missing by chance. A second walk proves that it is deleted.
    for _ in 0..2 {
        case.sync(Mode::Reconcile, Stream::ALL).await;
    }
    case.until_complete().await;
    case.assert_exact().await;
    assert_eq!(case.failed_attempts().await, 0);
}
