//! Real worker processes on one workspace of the simulator.

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::PathBuf,
    time::{Duration, Instant},
};

use intercom_simulator::WorkspaceSpec;

use crate::support::{Case, World, own_redis};

/// Low enough that even a busy machine makes this many calls in a window.
const LIMIT: u32 = 24;

fn workspace() -> WorkspaceSpec {
    WorkspaceSpec {
        contacts: 20,
        companies: 3,
        conversations: 120,
        parts: 2.0,
        limit_per_window: LIMIT,
        ..WorkspaceSpec::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_share_a_window_while_one_is_killed() {
    let world = World::with(&[("MAX_SHARE", "1.0")]).await;
    let case = world.connect(workspace()).await;
    let _scheduler = world.process("scheduler");
    let mut workers: Vec<_> = (0..4).map(|_| world.process("worker")).collect();
    // More calls than one window allows, so that the death falls into a later one.
    case.until("the second window is used", |_| {
        case.all_calls() > u64::from(LIMIT + LIMIT / 2)
    })
    .await;
    workers[0].kill();
    workers[0] = world.process("worker");
    case.until_complete().await;
    case.assert_exact().await;

    assert_windows_are_used(&case);
}

/// Half of the processes are half a minute ahead and half of them are behind. Half a minute is three windows.
#[tokio::test(flavor = "multi_thread")]
async fn processes_whose_clocks_are_a_minute_apart_share_a_window() {
    let Some(library) = faketime() else {
        // Written past the test harness, which hides what a passing test prints.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: no libfaketime is installed (apt-get install libfaketime)"
        );
        return;
    };
    let world = World::with(&[("MAX_SHARE", "1.0")]).await;
    let case = world.connect(workspace()).await;
    let library = library.to_str().expect("a path");
    // Only the date is wrong, because no operator sets a monotonic clock.
    let lie = |offset| {
        [
            ("LD_PRELOAD", library),
            ("FAKETIME", offset),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ]
    };
    let begun = Instant::now();
    let [ahead, behind] = ["+30s", "-30s"].map(|offset| {
        let date = std::process::Command::new("date")
            .arg("+%s")
            .envs(lie(offset))
            .output()
            .expect("date runs");
        String::from_utf8_lossy(&date.stdout)
            .trim()
            .parse::<i64>()
            .expect("seconds")
    });
    // The second clock was read after the first one.
    let between = begun.elapsed().as_secs() as i64;
    assert!(
        (59 - between..=61).contains(&(ahead - behind)),
        "the clocks are {} s apart",
        ahead - behind
    );
    let _scheduler = world.process_with("scheduler", &lie("+30s"));
    let _workers =
        ["+30s", "-30s", "+30s", "-30s"].map(|offset| world.process_with("worker", &lie(offset)));
    case.until_complete().await;
    case.assert_exact().await;
    assert_windows_are_used(&case);
}

/// The library for programs with threads, where Debian, Fedora and others keep it.
fn faketime() -> Option<PathBuf> {
    let of_machines = std::fs::read_dir("/usr/lib")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let mut folders = of_machines.chain(["/usr/lib", "/usr/lib64"].map(PathBuf::from));
    folders.find_map(|folder| {
        Some(folder.join("faketime/libfaketimeMT.so.1")).filter(|library| library.exists())
    })
}

/// No call was throttled, and whole windows had all the calls that they allow.
fn assert_windows_are_used(case: &Case) {
    let ledger = case.workspace.ledger();
    assert_eq!(ledger.throttled, 0);
    let mut windows: BTreeMap<i64, u32> = BTreeMap::new();
    let rows = ledger.rows();
    for row in &rows {
        *windows.entry(row.at_millis / 10_000).or_default() += 1;
    }
    eprintln!("calls by window: {windows:?}");
    // The fleet is saturated from the first thread on. The first window was half over, and the last one was not full.
    let saturated = rows
        .iter()
        .find(|row| row.operation == "get_conversation")
        .unwrap()
        .at_millis
        / 10_000;
    let last = *windows.last_key_value().unwrap().0;
    let whole: Vec<u32> = (saturated + 1..last)
        .map(|window| windows.get(&window).copied().unwrap_or(0))
        .collect();
    assert!(whole.len() >= 2, "{windows:?}");
    // Permits of a dead process stay unused until a later response settles them, and a busy machine may delay calls.
    // The simulation measures the cost of a kill, because its time is virtual.
    assert!(whole.iter().any(|count| *count >= LIMIT - 1), "{windows:?}");
    assert!(
        2 * whole.iter().sum::<u32>() >= whole.len() as u32 * LIMIT,
        "{windows:?}"
    );
}

/// A stopped Redis stops no slice, and no slice fails.
#[tokio::test(flavor = "multi_thread")]
async fn without_redis_nothing_fails_and_nothing_is_throttled() {
    let redis = own_redis(&[]);
    let world = World::with(&[("MAX_SHARE", "1.0"), ("REDIS_URL", &redis.url())]).await;
    let case = world
        .connect(WorkspaceSpec {
            conversations: 120,
            limit_per_window: 60,
            ..workspace()
        })
        .await;
    let _fleet = world.fleet(2);
    case.until("threads are under way", |_| {
        case.calls("get_conversation") > 0
    })
    .await;
    redis.stop().unwrap();
    // Longer than a lease. There is nothing to wait for, because backfill pauses without Redis.
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(case.failed_attempts().await, 0);
    redis.start().unwrap();
    case.until_complete().await;
    case.assert_exact().await;
    assert!(
        case.workspace.ledger().throttled <= 1,
        "{}",
        case.workspace.ledger().throttled
    );
}
