//! What Redis counts.

use std::time::{Duration, Instant};

use redis::Connection;

use crate::support::PATIENCE;

/// One line of INFO.
pub(super) fn info(redis: &mut Connection, section: &str, field: &str) -> u64 {
    let text: String = redis::cmd("INFO").arg(section).query(redis).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{field}:")))
        .unwrap_or("0");
    let number = line.strip_prefix("calls=").unwrap_or(line);
    number.split(',').next().unwrap().parse().unwrap()
}

/// Commands so far, those of scripts too.
pub(super) fn all_commands(redis: &mut Connection) -> u64 {
    let text: String = redis::cmd("INFO").arg("commandstats").query(redis).unwrap();
    let calls = text.lines().filter_map(|line| {
        line.split_once(":calls=")?
            .1
            .split(',')
            .next()?
            .parse::<u64>()
            .ok()
    });
    calls.sum()
}

/// Calls of workers so far: scripts and waits.
pub(super) fn calls(redis: &mut Connection) -> u64 {
    ["evalsha", "blpop"]
        .iter()
        .map(|name| info(redis, "commandstats", &format!("cmdstat_{name}")))
        .sum()
}

/// How often a command was called so far, also by scripts.
pub(super) fn times(redis: &mut Connection, command: &str) -> u64 {
    info(redis, "commandstats", &format!("cmdstat_{command}"))
}

/// Waits until so many workers wait to be woken.
pub(super) async fn until_waiting(redis: &mut Connection, workers: u64) {
    let begun = Instant::now();
    while info(redis, "clients", "blocked_clients") != workers {
        assert!(
            begun.elapsed() < PATIENCE,
            "{workers} workers do not wait at once"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
