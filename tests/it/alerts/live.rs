//! A real Prometheus scrapes real processes, and real faults raise the alerts. A minute of a rule is a second here.

use std::{collections::BTreeSet, time::Duration};

use intercom_simulator::{Fault, FaultAction, Garble, TokenState, WorkspaceSpec};
use shared::domain::Stream;
use tokio::sync::Mutex;

use super::{limits, prometheus::Prometheus, rule_text, rules};
use crate::{
    operations::workspace,
    support::{Case, OBJECTS, Process, World},
};

/// Prometheus looks once a second and its rules count seconds, so one test has the machine at a time.
pub(super) static QUIET: Mutex<()> = Mutex::const_new(());

/// Ages that a rule waits for, and what they are here.
const AGES: [(&str, &str); 4] = [
    ("tick_age_seconds) > 60", "tick_age_seconds) > 5"),
    ("{class=\"fresh\"}) > 300", "{class=\"fresh\"}) > 3"),
    ("{class=\"backfill\"}) > 1800", "{class=\"backfill\"}) > 30"),
    ("round_age_seconds) > 21600", "round_age_seconds) > 6"),
];

/// The rules with seconds in place of minutes, and minutes in place of hours. A rate needs five scrapes.
pub(super) fn shortened() -> String {
    let mut text = rule_text();
    for (age, here) in AGES {
        assert!(text.contains(age), "no rule has {age}");
        text = text.replace(age, here);
    }
    for (from, to) in [("m]", "s]"), ("h]", "m]"), ("offset 30m", "offset 30s")] {
        text = text.replace(from, to);
    }
    let lines = text
        .lines()
        .map(|line| match line.trim_start().starts_with("for: ") {
            true => line.trim_end_matches('m').to_owned() + "s",
            false => line.to_owned(),
        });
    lines.collect::<Vec<_>>().join("\n")
}

/// Whether this run has a quiet machine. Without one, a number of seconds says little.
pub(super) fn is_asked_for() -> bool {
    let is_asked_for = std::env::var_os("ALERTS_LIVE").is_some();
    if !is_asked_for {
        eprintln!(
            "SKIPPED: no alert is raised by a real fault, run `make alerts` on a quiet machine"
        );
    }
    is_asked_for
}

/// Revokes the token of each, and lets the fleet find out.
async fn revoke(cases: &[Case]) {
    for case in cases {
        case.workspace.set_token_state(TokenState::Revoked);
        case.make_due(&[Stream::Contacts, Stream::Reference]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn real_faults_raise_the_alerts() {
    if !is_asked_for() {
        return;
    }
    let _quiet = QUIET.lock().await;
    let world = World::with(&[
        ("FRESHNESS_TARGET", "2s"),
        ("FLEET_INTERVAL", "1s"),
        ("AUTOSCALE_SLOTS", "1"),
        ("AUTOSCALE_MAX_WORKERS", "1"),
        ("AUTOSCALE_FRESH_DRAIN", "1s"),
        ("WORKER_SLOTS", "16"),
    ])
    .await;
    let mut roles = Vec::new();
    let mut addresses = Vec::new();
    for command in ["api", "scheduler", "worker"] {
        let (process, address) = world.listening_with(command, &[]);
        roles.push(process);
        addresses.push(address);
    }
    let second_worker = free_address();
    addresses.push(second_worker.clone());
    let Some(prometheus) = Prometheus::start(&shortened(), &addresses) else {
        return;
    };
    let mut cases = Vec::new();
    for seed in 1..=16 {
        cases.push(world.connect(workspace(seed)).await);
    }
    for case in &cases {
        case.until_complete().await;
    }
    // Before anything breaks, it has seen the fleet whole, so that every rise is one.
    prometheus
        .until_true("count(up == 1) == 3 and on() pathbound_tenants{state=\"behind\"} == 16")
        .await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    prometheus.forget();
    let (revoked, others) = cases.split_at(6);
    let [failing, differing, busy @ ..] = others else {
        unreachable!("there are sixteen");
    };
    revoke(revoked).await;
    failing.inject(Fault::status(500).operation("list_contacts"));
    failing.inject(Fault::status(500).operation("search_contacts"));
    failing.fail_nine_times(Stream::Contacts).await;
    differing.lose_a_contact().await;
    differing.make_audit_due().await;
    // A part of every thread.
    let spec = WorkspaceSpec {
        conversations: 40,
        ..workspace(17)
    };
    let garbled = world.case(spec).await;
    let garble = FaultAction::Garble {
        how: Garble::WrongTypes,
        id: None,
        place: 0,
        part: true,
    };
    garbled.inject(Fault::new(garble).operation("get_conversation"));
    let _garbled = garbled.connect().await;
    let fails = async {
        loop {
            failing.make_due(&[Stream::Contacts]).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let fired = prometheus.until_fired(&[
        "PathboundFreshnessBurnFast",
        "PathboundFreshnessBurnSlow",
        "PathboundReauthWave",
        "PathboundDeadLettersGrow",
        "PathboundSlicesFail",
        "PathboundCopyDiffers",
        "PathboundQuarantineGrows",
        "PathboundRetentionLate",
    ]);
    tokio::select! {
        () = fired => {}
        () = fails => {}
    }
    // Intercom hangs, so slots stay taken, and what is ready waits.
    let mut hanging = Vec::new();
    for case in busy {
        hanging.push((
            case,
            case.inject(Fault::new(FaultAction::Hold { after: 0 })),
        ));
        case.make_due(OBJECTS).await;
        case.make_due(&[Stream::Reference]).await;
    }
    prometheus
        .until_fired(&[
            "PathboundOldestReadyTicket",
            "PathboundNoProgress",
            "PathboundAtMaximumWhileBehind",
        ])
        .await;
    // The worker freezes, and its leases run out.
    let worker = &roles[2];
    worker.freeze();
    prometheus.until_fired(&["PathboundWorkersGone"]).await;
    let (successor, _) =
        world.listening_with("worker", &[("PATHBOUND_OPS_LISTEN", &second_worker)]);
    prometheus.until_fired(&["PathboundOrphans"]).await;
    // It comes back to slices that another worker has, and Intercom answers it.
    worker.thaw();
    for (case, fault) in hanging {
        case.clear_fault(fault);
    }
    prometheus.until_fired(&["PathboundFencedWrites"]).await;
    roles[0].kill();
    roles[1].kill();
    prometheus
        .until_fired(&[
            "PathboundApiGone",
            "PathboundSchedulerSilent",
            "PathboundFleetUnmeasured",
        ])
        .await;
    let expected: BTreeSet<String> = rules()
        .into_iter()
        .map(|rule| rule.alert)
        .filter(|alert| !limits::RAISED_HERE.contains(&alert.as_str()))
        .collect();
    assert_eq!(prometheus.fired(), expected);
    drop(successor);
    let _: Vec<Process> = roles;
}

/// An address at which nothing listens yet.
fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}
