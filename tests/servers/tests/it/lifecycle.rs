//! What callers rely on: both servers answer, can be hurt and healed, and are
//! gone afterwards.

use std::io::Read as _;
use std::time::Duration;

use servers::{Durability, Options, Servers};
use sqlx::{Connection, PgConnection};

use crate::support::{alive, eventually, pid, redis};

#[tokio::test]
async fn both_answer_and_dropping_them_leaves_nothing() {
    let servers = Servers::start(Options::default()).unwrap();
    let mut session = PgConnection::connect(&servers.database_url())
        .await
        .unwrap();
    let version = show(&mut session, "server_version_num").await;
    assert_eq!(
        version.parse::<u32>().unwrap() / 10_000,
        servers.postgres().version()
    );
    assert_eq!(show(&mut session, "server_encoding").await, "UTF8");
    assert_eq!(show(&mut session, "fsync").await, "off");
    assert_eq!(redis(servers.redis().port(), "PING"), "+PONG");

    let data = show(&mut session, "data_directory").await;
    let directory = std::path::Path::new(&data).parent().unwrap().to_owned();
    let pids = [
        servers.postgres().pid().unwrap(),
        servers.redis().pid().unwrap(),
    ];
    assert!(directory.exists() && pids.into_iter().all(alive));
    drop(servers);
    assert!(!directory.exists());
    assert!(!pids.into_iter().any(alive));
}

#[tokio::test]
async fn postgres_keeps_what_was_committed_over_kill_and_stop() {
    for durability in [Durability::Fast, Durability::Real] {
        let servers = Servers::start(Options {
            durability,
            postgres_settings: vec!["work_mem=5MB".to_owned()],
            ..Options::default()
        })
        .unwrap();
        let url = servers.database_url();
        let mut session = PgConnection::connect(&url).await.unwrap();
        assert_eq!(show(&mut session, "work_mem").await, "5MB");
        run(&mut session, "create table kept (n int)").await;
        run(&mut session, "insert into kept values (1)").await;
        let mut open = PgConnection::connect(&url).await.unwrap();
        run(&mut open, "begin").await;
        run(&mut open, "insert into kept values (2)").await;

        servers.postgres().kill9().unwrap();
        assert!(servers.postgres().pid().is_none());
        assert!(sqlx::query("select 1").execute(&mut session).await.is_err());
        assert!(servers.postgres().kill9().is_err(), "it is dead already");
        servers.postgres().start().unwrap();
        assert!(servers.postgres().start().is_err(), "it runs already");
        assert_eq!(rows(&url).await, [1]);

        servers.postgres().stop().unwrap();
        servers.postgres().start().unwrap();
        assert_eq!(servers.database_url(), url);
        assert_eq!(rows(&url).await, [1]);
    }
}

#[tokio::test]
async fn a_suspended_postgres_hangs_and_goes_on() {
    let servers = Servers::start(Options::default()).unwrap();
    let url = servers.database_url();
    let mut session = PgConnection::connect(&url).await.unwrap();
    run(&mut session, "create table kept (n int)").await;
    let data = show(&mut session, "data_directory").await;
    // The log is opened now, because the drop removes it.
    let log = std::path::Path::new(&data).with_file_name("postgres.log");
    let mut log = std::fs::File::open(log).unwrap();

    servers.postgres().suspend().unwrap();
    let task = tokio::spawn(async move {
        run(&mut session, "insert into kept values (7)").await;
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!task.is_finished(), "an open session must hang too");
    servers.postgres().resume().unwrap();
    task.await.unwrap();
    assert_eq!(rows(&url).await, [7]);

    // Dropping suspended servers must not wait the 5 seconds after which Postgres
    // kills sessions that do not react.
    servers.postgres().suspend().unwrap();
    servers.redis().suspend().unwrap();
    let begin = std::time::Instant::now();
    drop(servers);
    let took = begin.elapsed();
    let mut said = String::new();
    log.read_to_string(&mut said).unwrap();
    // A busy machine may take as long for other reasons. Postgres logs it when it kills its sessions.
    assert!(
        took < Duration::from_millis(4500) || !said.contains("recalcitrant children"),
        "{took:?}: {said}"
    );
}

#[test]
fn redis_comes_back_empty_on_its_port() {
    let servers = Servers::start(Options {
        redis_arguments: vec!["--maxmemory".to_owned(), "64mb".to_owned()],
        ..Options::default()
    })
    .unwrap();
    let port = servers.redis().port();
    assert!(redis(port, "CONFIG GET maxmemory").contains("67108864"));
    for kill in [true, false] {
        assert_eq!(redis(port, "SET key value"), "+OK");
        if kill {
            servers.redis().kill9().unwrap();
        } else {
            servers.redis().stop().unwrap();
        }
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
        servers.redis().start().unwrap();
        assert_eq!(servers.redis().port(), port);
        assert_eq!(redis(port, "GET key"), "$-1");
    }
    servers.redis().suspend().unwrap();
    servers.redis().resume().unwrap();
    assert_eq!(redis(port, "PING"), "+PONG");
}

#[test]
fn many_start_side_by_side() {
    let starts: Vec<_> = (0..4)
        .map(|_| std::thread::spawn(|| Servers::start(Options::default()).unwrap()))
        .collect();
    let all: Vec<Servers> = starts.into_iter().map(|s| s.join().unwrap()).collect();
    let mut ports: Vec<u16> = all
        .iter()
        .flat_map(|s| [s.postgres().port(), s.redis().port()])
        .collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 8);
}

#[test]
fn a_server_that_cannot_start_shows_its_log() {
    let error = Servers::start(Options {
        postgres_settings: vec!["shared_buffers=nonsense".to_owned()],
        ..Options::default()
    })
    .unwrap_err();
    assert!(error.to_string().contains("nonsense"), "{error}");
    let error = Servers::start(Options {
        redis_arguments: vec!["--nonsense".to_owned(), "1".to_owned()],
        ..Options::default()
    })
    .unwrap_err();
    assert!(error.to_string().contains("nonsense"), "{error}");
}

#[tokio::test]
async fn drop_stops_the_servers_when_the_reaper_was_killed() {
    let servers = Servers::start(Options::default()).unwrap();
    let mut session = PgConnection::connect(&servers.database_url())
        .await
        .unwrap();
    let data = show(&mut session, "data_directory").await;
    let pids = [
        servers.postgres().pid().unwrap(),
        servers.redis().pid().unwrap(),
    ];
    let reaper = rustix::process::getpgid(pid(pids[0])).unwrap();
    rustix::process::kill_process(reaper, rustix::process::Signal::KILL).unwrap();
    drop(servers);
    eventually("both servers are gone", || !pids.into_iter().any(alive));
    assert!(!std::path::Path::new(&data).parent().unwrap().exists());
}

async fn show(session: &mut PgConnection, setting: &str) -> String {
    sqlx::query_scalar("select current_setting($1)")
        .bind(setting)
        .fetch_one(session)
        .await
        .unwrap()
}

async fn run(session: &mut PgConnection, sql: &'static str) {
    sqlx::query(sql).execute(session).await.unwrap();
}

async fn rows(url: &str) -> Vec<i32> {
    let mut session = PgConnection::connect(url).await.unwrap();
    sqlx::query_scalar("select n from kept order by n")
        .fetch_all(&mut session)
        .await
        .unwrap()
}
