//! The rate limit, spent by real worker processes: eight of them on one workspace with more to fetch than fits into
//! the windows that are watched. Beside the two baselines, which send the same number of calls at the same time.
//!
//! `RATE_WINDOWS=60` watches so many windows instead of three: ten refusals in a million calls take many calls to
//! show. `RATE_CASES=1667,1667.kills` takes these cases only.

mod baseline;
mod fleet;
mod trouble;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use intercom_simulator::{Latency, WorkspaceSpec};

use baseline::{Pace, baseline};
use fleet::fleet;
use trouble::Trouble;

use crate::{
    report::{Failure, Report, SEED},
    sync::{self, WORKSPACE},
};

const WORKERS: usize = 8;
const LATENCY: Latency = Latency::Between(50, 250);
const WINDOW: Duration = Duration::from_secs(10);
const WINDOWS: u64 = 3;
/// Calls under way that a baseline may have.
const UNDER_WAY: usize = 128;

/// What whole windows showed.
#[derive(Clone, Copy, Debug)]
struct Seen {
    used: f64,
    calls: f64,
    throttled_per_million: f64,
    /// These are not there in every case.
    redis_per_call: f64,
    fresh_calls: f64,
    fresh_p99_ms: f64,
    failed_attempts: f64,
}

pub(crate) async fn measure(report: &mut Report) -> Result<(), Failure> {
    println!(
        "{WORKERS} worker processes on one workspace, answers after 50 to 250 ms, all of the limit theirs"
    );
    let windows = match std::env::var("RATE_WINDOWS") {
        Ok(windows) => windows
            .parse()
            .map_err(|_| "RATE_WINDOWS is no number of windows: write it like 60")?,
        Err(_) => WINDOWS,
    };
    let only = std::env::var("RATE_CASES").ok();
    let is_wanted = |case: &str| {
        only.as_ref()
            .is_none_or(|only| only.split(',').any(|wanted| wanted == case))
    };
    for limit in [167, 1_667] {
        let name = |trouble: Trouble| format!("{limit}{}", trouble.name());
        let cases: Vec<Trouble> = Trouble::ALL
            .iter()
            .copied()
            .filter(|trouble| is_wanted(&name(*trouble)))
            .collect();
        if cases.is_empty() {
            continue;
        }
        // Theirs is the same in each window: a long watch need not watch them too.
        let few = windows.min(WINDOWS);
        let alone = baseline(limit, few, Pace::EachAlone).await?;
        let in_redis = baseline(limit, few, Pace::InRedis).await?;
        for trouble in cases {
            let seen = fleet(limit, windows, trouble).await?;
            add(report, &name(trouble), &seen, &alone, &in_redis);
        }
    }
    Ok(())
}

fn add(report: &mut Report, case: &str, seen: &Seen, alone: &Seen, in_redis: &Seen) {
    let name = |figure: &str, beside: &str| format!("rate.{figure}.{case}{beside}");
    for (beside, of) in [(".governor", alone), (".gcra", in_redis)] {
        report.add(&name("used_ratio", beside), seen.used, "", Some(of.used));
        report.add(
            &name("throttled", beside),
            seen.throttled_per_million,
            "1/M",
            Some(of.throttled_per_million),
        );
    }
    report.add(&name("calls", ""), seen.calls, "calls", None);
    if seen.redis_per_call.is_finite() {
        let beside = Some(in_redis.redis_per_call);
        report.add(
            &name("redis_calls_per_request", ".gcra"),
            seen.redis_per_call,
            "",
            beside,
        );
    }
    if seen.fresh_p99_ms.is_finite() {
        report.add(&name("fresh_calls", ""), seen.fresh_calls, "calls", None);
        report.add(
            &name("fresh_wait_p99_ms", ""),
            seen.fresh_p99_ms,
            "ms",
            None,
        );
    }
    if seen.failed_attempts.is_finite() {
        report.add(&name("failed_attempts", ""), seen.failed_attempts, "", None);
    }
}

fn spec(limit: u32, windows: u64, connections: usize) -> WorkspaceSpec {
    WorkspaceSpec {
        id_code: Some(WORKSPACE.to_owned()),
        seed: SEED,
        contacts: 20,
        companies: 5,
        // For each connection. A fifth has no parts and costs no call. Some windows pass before the watch.
        conversations: (f64::from(limit) * (windows + 5) as f64 * 1.5) as u32 / connections as u32,
        parts: 2.0,
        limit_per_window: limit,
        ..WorkspaceSpec::default()
    }
}

/// Calls that were counted by the server, and calls that were refused.
type Count = (u64, u64);

fn seen(begun: Count, ended: Count, limit: u32, windows: u64, redis_calls: f64) -> Seen {
    let counted = (ended.0 - begun.0) as f64;
    Seen {
        used: counted / (f64::from(limit) * windows as f64),
        calls: counted,
        throttled_per_million: (ended.1 - begun.1) as f64 * 1e6 / counted.max(1.0),
        redis_per_call: redis_calls / counted.max(1.0),
        fresh_calls: f64::NAN,
        fresh_p99_ms: f64::NAN,
        failed_attempts: f64::NAN,
    }
}

/// Waits for the end of a window of the simulator's clock, which is this machine's.
async fn next_window(intercom: &str) -> Result<Count, Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let left = WINDOW - Duration::from_millis(now.as_millis() as u64 % WINDOW.as_millis() as u64);
    tokio::time::sleep(left).await;
    let ledger = sync::ledger(intercom).await?;
    let throttled = ledger["throttled"]
        .as_u64()
        .ok_or("no count of the throttled")?;
    Ok((
        ledger["total"].as_u64().ok_or("no total")? - throttled,
        throttled,
    ))
}
