//! The `servers` program.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use rustix::process::{Signal, kill_process};

use crate::support::{first_line, open_directory, pid, servers};

#[test]
fn run_gives_addresses_and_returns_the_exit_code() {
    let script = "test \"$DATABASE_URL\" = \"$PATHBOUND_DATABASE_URL\" && echo $DATABASE_URL $PATHBOUND_REDIS_URL; exit 7";
    let output = servers()
        .args(["run", "--", "sh", "-c", script])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.starts_with("postgres://pathbound@127.0.0.1:"),
        "{text}"
    );
    assert!(text.contains(" redis://127.0.0.1:"), "{text}");
    assert_eq!(output.status.code(), Some(7));
    let killed = servers()
        .args(["run", "sh", "-c", "kill -TERM $$"])
        .status()
        .unwrap();
    assert_eq!(killed.code(), Some(128 + 15));
    assert_eq!(
        servers().arg("nonsense").output().unwrap().status.code(),
        Some(2)
    );
}

#[tokio::test]
async fn run_applies_migrations_first() {
    let directory = open_directory();
    fs::write(
        directory.path().join("1_one.sql"),
        "create table one (n int);",
    )
    .unwrap();
    fs::write(
        directory.path().join("2_two.sql"),
        "insert into one values (42);",
    )
    .unwrap();
    let run = |command: &[&str]| {
        let mut run = servers();
        run.args(["run", "--migrations"])
            .arg(directory.path())
            .args(command);
        run
    };
    let mut child = run(&["sh", "-c", "echo $DATABASE_URL; exec sleep 600"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let url = first_line(&mut child);
    let mut session = <sqlx::PgConnection as sqlx::Connection>::connect(&url)
        .await
        .unwrap();
    let number: i32 = sqlx::query_scalar("select n from one")
        .fetch_one(&mut session)
        .await
        .unwrap();
    assert_eq!(number, 42);
    // SIGTERM is passed on. The servers end with the command.
    kill_process(pid(child.id()).unwrap(), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(128 + 15));

    fs::write(directory.path().join("3_bad.sql"), "nonsense;").unwrap();
    let output = run(&["true"]).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && text.contains("nonsense"),
        "{text}"
    );
}

#[test]
fn check_says_what_to_install() {
    let empty = open_directory();
    for (variable, word) in [
        ("PATHBOUND_POSTGRES_BIN", "Postgres"),
        ("PATHBOUND_REDIS_BIN", "Redis"),
    ] {
        let output = servers()
            .arg("check")
            .env(variable, empty.path())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(text.contains(&format!("no working {word}")), "{text}");
        for line in [
            "apt-get install",
            "dnf install",
            "pacman -S",
            "brew install",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
    assert_eq!(
        servers().arg("check").output().unwrap().status.code(),
        Some(0)
    );
}

#[test]
fn broken_programs_on_the_path_are_passed_over() {
    let broken = open_directory();
    for name in ["postgres", "initdb", "redis-server", "valkey-server"] {
        let file = broken.path().join(name);
        fs::write(&file, "#!/bin/sh\nexit 1\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!(
        "{}:{}",
        broken.path().display(),
        std::env::var("PATH").unwrap()
    );
    let output = servers().arg("check").env("PATH", path).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    assert!(!text.contains(broken.path().to_str().unwrap()), "{text}");
}
