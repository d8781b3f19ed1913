//! Each alert fires and is silent as it should, by the rule tester of Prometheus. A scenario is a healthy fleet with some
//! series changed, and says exactly which alerts fire at its end.

use std::{collections::BTreeSet, process::Command};

use serde_json::{Value, json};

use super::{prometheus, rule_text, rules};

/// Minutes of a scenario.
const END: usize = 480;

/// A healthy fleet: 100 tenants, one process of each role.
const HEALTHY: [(&str, &str); 24] = [
    ("pathbound_scheduler_tick_age_seconds", "1+0x480"),
    ("pathbound_retention_round_age_seconds", "900+0x480"),
    (
        "pathbound_operator_events_total{code=\"workspace_shared\"}",
        "0+0x480",
    ),
    (
        "pathbound_slices_finished_total{stream=\"contacts\",outcome=\"done\"}",
        "0+60x480",
    ),
    (
        "pathbound_slices_finished_total{stream=\"contacts\",outcome=\"retry\"}",
        "0+1x480",
    ),
    (
        "pathbound_slices_finished_total{stream=\"threads\",outcome=\"store\"}",
        "0+0x480",
    ),
    (
        "pathbound_queue_oldest_ready_age_seconds{class=\"fresh\"}",
        "2+0x480",
    ),
    (
        "pathbound_queue_oldest_ready_age_seconds{class=\"backfill\"}",
        "40+0x480",
    ),
    (
        "pathbound_autoscale_runnable_slots{pool=\"all\"}",
        "3+0x480",
    ),
    (
        "pathbound_autoscale_pool_bound{pool=\"all\",bound=\"maximum\"}",
        "0+0x480",
    ),
    ("pathbound_tenants{state=\"up_to_date\"}", "100+0x480"),
    ("pathbound_tenants{state=\"behind\"}", "0+0x480"),
    ("pathbound_tenants{state=\"reauth_required\"}", "2+0x480"),
    (
        "pathbound_freshness_tenant_seconds_total{within=\"true\"}",
        "0+6000x480",
    ),
    (
        "pathbound_freshness_tenant_seconds_total{within=\"false\"}",
        "0+0x480",
    ),
    ("pathbound_dead_letters", "5+0x480"),
    ("pathbound_audits_total{found=\"differences\"}", "3+0x480"),
    (
        "pathbound_rate_limit_scope_contradictions_total{scope=\"workspace\"}",
        "7+0x480",
    ),
    (
        "pathbound_intercom_throttled_total{cause=\"own\"}",
        "4+0x480",
    ),
    (
        "pathbound_intercom_throttled_total{cause=\"foreign\"}",
        "0+9x480",
    ),
    (
        "pathbound_quarantined_total{stream=\"contacts\",reason=\"unreadable\"}",
        "20+0x480",
    ),
    ("pathbound_orphans_recovered_total", "30+0x480"),
    ("pathbound_fenced_writes_total", "30+0x480"),
    (
        "pathbound_build_info{version=\"1\",commit=\"c\",schema=\"47\"}",
        "1+0x480",
    ),
];

/// What is changed, by the beginning of a series. Without values the series is gone.
type Change = (&'static str, &'static str);

/// Its name, what is changed, and what fires.
type Scenario = (&'static str, &'static [Change], &'static [&'static str]);

const SCENARIOS: &[Scenario] = &[
    ("a healthy fleet", &[], &[]),
    (
        "everything is gone",
        &[("pathbound_", "")],
        &[
            "PathboundApiGone",
            "PathboundFleetUnmeasured",
            "PathboundSchedulerSilent",
            "PathboundWorkersGone",
        ],
    ),
    (
        "a tenth of the tenants is behind for an hour",
        &[(
            "pathbound_freshness_tenant_seconds_total{within=\"false\"}",
            "0+0x395 600+600x85",
        )],
        &["PathboundFreshnessBurnFast", "PathboundFreshnessBurnSlow"],
    ),
    (
        "a hundredth of the tenants is behind",
        &[(
            "pathbound_freshness_tenant_seconds_total{within=\"false\"}",
            "0+60x480",
        )],
        &[],
    ),
    (
        "a fiftieth of the tenants is behind all day",
        &[(
            "pathbound_freshness_tenant_seconds_total{within=\"false\"}",
            "0+120x480",
        )],
        &["PathboundFreshnessBurnSlow"],
    ),
    (
        "tenants were behind and are no longer",
        &[(
            "pathbound_freshness_tenant_seconds_total{within=\"false\"}",
            "0+0x300 600+600x130 78600+0x50",
        )],
        &[],
    ),
    (
        "no slice ends",
        &[
            (
                "pathbound_slices_finished_total{stream=\"contacts\",outcome=\"done\"}",
                "0+60x465 27900+0x15",
            ),
            (
                "pathbound_slices_finished_total{stream=\"contacts\",outcome=\"retry\"}",
                "0+1x465 465+0x15",
            ),
        ],
        &["PathboundNoProgress"],
    ),
    (
        "slices end because postgres is away",
        &[
            (
                "pathbound_slices_finished_total{stream=\"contacts\",outcome=\"done\"}",
                "0+60x460 27600+0x20",
            ),
            (
                "pathbound_slices_finished_total{stream=\"contacts\",outcome=\"retry\"}",
                "0+1x460 460+0x20",
            ),
            (
                "pathbound_slices_finished_total{stream=\"threads\",outcome=\"store\"}",
                "0+0x440 0+9x40",
            ),
        ],
        &["PathboundNoProgress", "PathboundSlicesFail"],
    ),
    (
        "no slice ends because nothing is due",
        &[
            (
                "pathbound_slices_finished_total{stream=\"contacts\",outcome=\"done\"}",
                "0+60x465 27900+0x15",
            ),
            (
                "pathbound_slices_finished_total{stream=\"contacts\",outcome=\"retry\"}",
                "0+1x465 465+0x15",
            ),
            (
                "pathbound_autoscale_runnable_slots{pool=\"all\"}",
                "0+0x480",
            ),
        ],
        &[],
    ),
    (
        "fresh tickets wait",
        &[(
            "pathbound_queue_oldest_ready_age_seconds{class=\"fresh\"}",
            "2+0x470 400+0x10",
        )],
        &["PathboundOldestReadyTicket"],
    ),
    (
        "tickets of threads wait as long as they may",
        &[(
            "pathbound_queue_oldest_ready_age_seconds{class=\"backfill\"}",
            "2+0x470 400+0x10",
        )],
        &[],
    ),
    (
        "tickets of threads wait",
        &[(
            "pathbound_queue_oldest_ready_age_seconds{class=\"backfill\"}",
            "2+0x470 2000+0x10",
        )],
        &["PathboundOldestReadyTicket"],
    ),
    (
        "a stream is given up",
        &[("pathbound_dead_letters", "5+0x470 6+0x10")],
        &["PathboundDeadLettersGrow"],
    ),
    (
        "dead letters are dropped",
        &[("pathbound_dead_letters", "5+0x470 1+0x10")],
        &[],
    ),
    (
        "tenants lose their access",
        &[(
            "pathbound_tenants{state=\"reauth_required\"}",
            "2+0x470 12+0x10",
        )],
        &["PathboundReauthWave"],
    ),
    (
        "a few tenants lose their access",
        &[(
            "pathbound_tenants{state=\"reauth_required\"}",
            "2+0x470 6+0x10",
        )],
        &[],
    ),
    (
        "a few of many tenants lose their access",
        &[
            (
                "pathbound_tenants{state=\"reauth_required\"}",
                "2+0x470 12+0x10",
            ),
            ("pathbound_tenants{state=\"up_to_date\"}", "1000+0x480"),
        ],
        &[],
    ),
    (
        "an audit finds a difference",
        &[(
            "pathbound_audits_total{found=\"differences\"}",
            "3+0x475 4+0x5",
        )],
        &["PathboundCopyDiffers"],
    ),
    (
        "an audit finds the first difference after a restart",
        &[(
            "pathbound_audits_total{found=\"differences\"}",
            "3+0x470 0+0x5 1+0x5",
        )],
        &["PathboundCopyDiffers"],
    ),
    (
        "ticks hang",
        &[("pathbound_scheduler_tick_age_seconds", "1+0x470 61+60x10")],
        &["PathboundSchedulerSilent"],
    ),
    (
        "no scheduler",
        &[
            ("pathbound_scheduler_tick_age_seconds", ""),
            ("pathbound_tenants", ""),
            ("pathbound_retention", ""),
            ("pathbound_freshness", ""),
            ("pathbound_dead", ""),
            ("pathbound_autoscale", ""),
        ],
        &["PathboundFleetUnmeasured", "PathboundSchedulerSilent"],
    ),
    (
        "no worker",
        &[("pathbound_slices_finished_total", "")],
        &["PathboundNoProgress", "PathboundWorkersGone"],
    ),
    (
        "no api",
        &[("pathbound_operator_events_total", "")],
        &["PathboundApiGone"],
    ),
    (
        "nothing is measured",
        &[
            ("pathbound_tenants", ""),
            ("pathbound_freshness", ""),
            ("pathbound_dead_letters", ""),
        ],
        &["PathboundFleetUnmeasured"],
    ),
    (
        "half of the slices fail",
        &[(
            "pathbound_slices_finished_total{stream=\"contacts\",outcome=\"retry\"}",
            "0+1x450 450+60x30",
        )],
        &["PathboundSlicesFail"],
    ),
    (
        "a tenth of the slices fails",
        &[(
            "pathbound_slices_finished_total{stream=\"contacts\",outcome=\"retry\"}",
            "0+6x480",
        )],
        &[],
    ),
    (
        "the janitor hangs",
        &[("pathbound_retention_round_age_seconds", "900+60x480")],
        &["PathboundRetentionLate"],
    ),
    (
        "headers contradict the scope",
        &[(
            "pathbound_rate_limit_scope_contradictions_total",
            "7+0x460 7+1x20",
        )],
        &["PathboundRateLimitScope"],
    ),
    (
        "headers contradict the scope after a restart",
        &[(
            "pathbound_rate_limit_scope_contradictions_total",
            "7+0x450 0+0x10 1+1x20",
        )],
        &["PathboundRateLimitScope"],
    ),
    (
        "headers contradict the scope once or twice",
        &[(
            "pathbound_rate_limit_scope_contradictions_total",
            "7+0x470 9+0x10",
        )],
        &[],
    ),
    (
        "our own calls are refused",
        &[(
            "pathbound_intercom_throttled_total{cause=\"own\"}",
            "4+0x450 4+1x30",
        )],
        &["PathboundAvoidable429"],
    ),
    (
        "objects cannot be read",
        &[("pathbound_quarantined_total", "20+0x440 20+1x40")],
        &["PathboundQuarantineGrows"],
    ),
    (
        "a few objects cannot be read",
        &[("pathbound_quarantined_total", "20+0x475 25+0x5")],
        &[],
    ),
    (
        "workers die",
        &[("pathbound_orphans_recovered_total", "30+0x465 50+0x15")],
        &["PathboundOrphans"],
    ),
    (
        "workers die after a restart of the others",
        &[(
            "pathbound_orphans_recovered_total",
            "30+0x460 0+0x5 20+0x15",
        )],
        &["PathboundOrphans"],
    ),
    (
        "a worker starts, and takes back what those before it had",
        &[("pathbound_orphans_recovered_total", "_x470 20+0x10")],
        &["PathboundOrphans"],
    ),
    (
        "a worker dies",
        &[("pathbound_orphans_recovered_total", "30+0x465 38+0x15")],
        &[],
    ),
    (
        "leases are lost",
        &[("pathbound_fenced_writes_total", "30+0x465 50+0x15")],
        &["PathboundFencedWrites"],
    ),
    (
        "a pool is at its maximum while tenants are behind",
        &[
            ("pathbound_autoscale_pool_bound", "0+0x450 1+0x30"),
            ("pathbound_tenants{state=\"behind\"}", "0+0x450 9+0x30"),
        ],
        &["PathboundAtMaximumWhileBehind"],
    ),
    (
        "a pool is at its maximum and nobody is behind",
        &[("pathbound_autoscale_pool_bound", "0+0x450 1+0x30")],
        &[],
    ),
];

/// The series of a scenario, and what each says.
fn values(changes: &[Change]) -> Vec<(&'static str, &'static str)> {
    let changed = |series: &str| {
        let change = changes
            .iter()
            .find(|(beginning, _)| series.starts_with(beginning));
        change.map(|(_, values)| *values)
    };
    for (beginning, _) in changes {
        let is_there = HEALTHY
            .iter()
            .any(|(series, _)| series.starts_with(beginning));
        assert!(is_there, "no series begins with {beginning}");
    }
    let series = HEALTHY
        .iter()
        .map(|(series, values)| (*series, changed(series).unwrap_or(values)));
    series.filter(|(_, values)| !values.is_empty()).collect()
}

/// The same of one of several fleets. One that is gone was there until twenty minutes before the end.
fn values_of_fleet(namespace: &str, changes: &[Change]) -> Vec<(String, String)> {
    let is_gone = values(changes).is_empty();
    let values = values(if is_gone { &[] } else { changes }).into_iter();
    let in_namespace = |(series, values): (&str, &str)| {
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let said = if is_gone {
            values.replace(&format!("x{END}"), &format!("x{}", END - 20))
        } else {
            values.to_owned()
        };
        (format!("{name}{{namespace=\"{namespace}\",{labels}"), said)
    };
    values.map(in_namespace).collect()
}

fn test(name: &str, series: Vec<(String, String)>, query: &str, fires: &[String]) -> Value {
    let series = series
        .into_iter()
        .map(|(series, values)| json!({"series": series, "values": values}));
    let samples = fires
        .iter()
        .map(|labels| json!({"labels": labels, "value": 1}));
    json!({
        "name": name,
        "interval": "1m",
        "input_series": series.collect::<Vec<_>>(),
        "promql_expr_test": [{
            "expr": query,
            "eval_time": format!("{END}m"),
            "exp_samples": samples.collect::<Vec<_>>(),
        }],
    })
}

/// A fleet alone, in a Prometheus that adds no namespace.
fn alone((name, changes, fires): &Scenario) -> Value {
    let series = values(changes)
        .into_iter()
        .map(|(series, values)| (series.to_owned(), values.to_owned()));
    let fires = fires
        .iter()
        .map(|alert| format!("{{alertname=\"{alert}\"}}"));
    let query = "group by (alertname) (ALERTS{alertstate=\"firing\"})";
    test(name, series.collect(), query, &fires.collect::<Vec<_>>())
}

/// The same fleet beside a healthy one, which raises nothing and hides nothing.
fn beside_a_healthy_one((name, changes, fires): &Scenario) -> Value {
    let mut series = values_of_fleet("healthy", &[]);
    series.extend(values_of_fleet("other", changes));
    let fires = fires
        .iter()
        .map(|alert| format!("{{alertname=\"{alert}\", namespace=\"other\"}}"));
    let query = "group by (alertname, namespace) (ALERTS{alertstate=\"firing\"})";
    test(name, series, query, &fires.collect::<Vec<_>>())
}

/// Lets promtool try scenarios.
fn try_each(tests: &[Value]) {
    let Some(promtool) = prometheus::program("promtool") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("alerts.yaml"), rule_text()).unwrap();
    // JSON is YAML.
    let document =
        json!({"rule_files": ["alerts.yaml"], "evaluation_interval": "2m", "tests": tests});
    std::fs::write(folder.path().join("tests.yaml"), document.to_string()).unwrap();
    for arguments in [
        ["check", "rules", "alerts.yaml"],
        ["test", "rules", "tests.yaml"],
    ] {
        let run = Command::new(&promtool)
            .args(arguments)
            .current_dir(folder.path())
            .output()
            .unwrap();
        let said = [run.stdout, run.stderr].concat();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&said));
    }
}

#[test]
fn each_alert_fires_and_is_silent_as_it_should() {
    let tests: Vec<Value> = SCENARIOS.iter().map(alone).collect();
    try_each(&tests);
}

#[test]
fn each_alert_names_the_fleet_that_is_ill_and_no_other() {
    let ill = SCENARIOS.iter().filter(|(_, _, fires)| !fires.is_empty());
    let tests: Vec<Value> = ill.map(beside_a_healthy_one).collect();
    try_each(&tests);
}

#[test]
fn every_alert_has_a_scenario_in_which_it_fires() {
    let fired: BTreeSet<&str> = SCENARIOS
        .iter()
        .flat_map(|(_, _, fires)| fires.iter().copied())
        .collect();
    let rules = rules();
    let alerts: BTreeSet<&str> = rules.iter().map(|rule| rule.alert.as_str()).collect();
    assert_eq!(fired, alerts);
}
