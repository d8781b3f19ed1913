//! Rate limits that are not what the fleet takes them for raise their alerts: one limit that workspaces share while
//! `rate_limit_scope` says that each has its own, and a limit that Intercom lowers in the middle of a window.
//!
//! Intercom's windows last ten seconds, however short the rules are made.

use std::time::Duration;

use intercom_simulator::{Latency, Options, WorkspaceSpec};

use super::{
    live::{QUIET, is_asked_for, shortened},
    prometheus::Prometheus,
};
use crate::support::{Case, World, tiny};

/// Only these faults raise them.
pub(super) const RAISED_HERE: [&str; 2] = ["PathboundAvoidable429", "PathboundRateLimitScope"];

/// Calls in ten seconds that all workspaces may make together.
const APP_LIMIT: u32 = 120;
/// A workspace's own limit, and what Intercom lowers it to while calls are under way.
const HIGH: u32 = 400;
const LOW: u32 = 20;
/// So many calls of a window are answered before that.
const BEFORE: u64 = 60;
/// Of Intercom's answers, so that calls are under way.
const LATENCY_MILLIS: u64 = 200;

/// Ranges that hold as many windows as the rules mean.
const RANGES: [(&str, &str); 2] = [
    ("contradictions_total[15s]", "contradictions_total[90s]"),
    ("{cause=\"own\"}[30s]", "{cause=\"own\"}[60s]"),
];

fn rules_of_windows() -> String {
    let mut text = shortened();
    for (range, here) in RANGES {
        assert!(text.contains(range), "no rule has {range}");
        text = text.replace(range, here);
    }
    text
}

async fn connected(world: &World, seed: u64) -> Case {
    let spec = WorkspaceSpec {
        seed,
        conversations: 900,
        limit_per_window: HIGH,
        ..tiny()
    };
    world.connect(spec).await
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_that_mislead_the_fleet_raise_their_alerts() {
    if !is_asked_for() {
        return;
    }
    let _quiet = QUIET.lock().await;
    let options = Options {
        latency: Latency::Fixed(LATENCY_MILLIS),
        ..Options::default()
    };
    let world = World::before(options, &[("MAX_SHARE", "1.0")]).await;
    let mut roles = Vec::new();
    let mut addresses = Vec::new();
    for command in ["api", "scheduler", "worker"] {
        let (process, address) = world.listening_with(command, &[]);
        roles.push(process);
        addresses.push(address);
    }
    let Some(prometheus) = Prometheus::start(&rules_of_windows(), &addresses) else {
        return;
    };
    prometheus.until_true("count(up == 1) == 3").await;
    let lowered = connected(&world, 1).await;
    let lowers = async {
        loop {
            lowered.workspace.set_limit(HIGH);
            let whole = lowered.calls("get_conversation") + BEFORE;
            lowered
                .until("calls are under way", |_| {
                    lowered.calls("get_conversation") >= whole
                })
                .await;
            lowered.workspace.set_limit(LOW);
            // Until the next window.
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
    };
    tokio::select! {
        () = prometheus.until_fired(&["PathboundAvoidable429"]) => {}
        () = lowers => {}
    }
    assert!(!prometheus.fired().contains("PathboundRateLimitScope"));
    // Two other workspaces use up one limit, each as if it were its own.
    world.simulator.set_app_limit(Some(APP_LIMIT));
    let _sharing = [connected(&world, 2).await, connected(&world, 3).await];
    prometheus.until_fired(&["PathboundRateLimitScope"]).await;
}
