//! Every alert has a runbook, every command of a runbook can be typed, every query parses, and every metric is of use.

use std::collections::BTreeSet;

use clap::Parser as _;
use pathbound::cli::Cli;
use promql_parser::{
    parser::{self, VectorSelector},
    util::{ExprVisitor, walk_expr},
};
use serde_json::Value;
use shared::telemetry::{METRICS, MetricKind};

use super::{root, rules};

/// Runbooks of procedures, which no alert names.
const PROCEDURES: [&str; 2] = ["encryption-keys", "rate-limit"];

struct Runbook {
    name: String,
    text: String,
}

fn runbooks() -> Vec<Runbook> {
    pages_of("deploy/runbooks")
}

fn pages_of(folder: &str) -> Vec<Runbook> {
    let folder = std::fs::read_dir(root().join(folder)).unwrap();
    let mut found: Vec<Runbook> = folder
        .map(|entry| {
            let path = entry.unwrap().path();
            Runbook {
                name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
                text: std::fs::read_to_string(&path).unwrap(),
            }
        })
        .collect();
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found
}

impl Runbook {
    /// The lines of all blocks in this language.
    fn lines_of(&self, language: &str) -> Vec<&str> {
        let mut lines = Vec::new();
        let mut is_inside = false;
        for line in self.text.lines().map(str::trim) {
            if line == format!("```{language}") {
                is_inside = true;
            } else if line == "```" {
                is_inside = false;
            } else if is_inside {
                lines.push(line);
            }
        }
        lines
    }
}

/// Every query of a dashboard, with its file.
fn dashboard_queries() -> Vec<(String, String)> {
    let folder = root().join("deploy/helm/pathbound/files/dashboards");
    let mut queries = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let dashboard: Value =
            serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for panel in dashboard["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().unwrap() {
                let query = target["expr"].as_str().unwrap().to_owned();
                queries.push((path.display().to_string(), query));
            }
        }
    }
    assert!(queries.len() > 30, "only {} queries", queries.len());
    queries
}

/// Every query of alerts, dashboards and runbooks, with where it is.
fn queries() -> Vec<(String, String)> {
    let alerts = rules().into_iter().map(|rule| (rule.alert, rule.expr));
    let mut queries: Vec<_> = alerts.chain(dashboard_queries()).collect();
    for runbook in runbooks() {
        for line in runbook.lines_of("promql") {
            queries.push((runbook.name.clone(), line.to_owned()));
        }
    }
    queries
}

/// Collects what a query reads: the name of a metric and its labels.
#[derive(Default)]
struct Reads(Vec<(String, Vec<String>)>);

impl ExprVisitor for Reads {
    type Error = std::convert::Infallible;

    fn pre_visit(&mut self, expression: &parser::Expr) -> Result<bool, Self::Error> {
        let mut read = |selector: &VectorSelector| {
            let labels = selector.matchers.matchers.iter();
            let labels = labels.map(|matcher| matcher.name.clone()).collect();
            self.0
                .push((selector.name.clone().unwrap_or_default(), labels));
        };
        match expression {
            parser::Expr::VectorSelector(selector) => read(selector),
            parser::Expr::MatrixSelector(matrix) => read(&matrix.vs),
            _ => {}
        }
        Ok(true)
    }
}

fn reads(query: &str) -> Result<Vec<(String, Vec<String>)>, String> {
    let expression = parser::parse(query)?;
    let mut found = Reads::default();
    let Ok(_) = walk_expr(&mut found, &expression);
    Ok(found.0)
}

/// The metric of a series. A histogram has three.
fn metric_of(series: &str) -> Option<&'static shared::telemetry::Metric> {
    METRICS.iter().find(|metric| {
        let is_part = |suffix: &str| series.strip_suffix(suffix) == Some(metric.name);
        match metric.kind {
            MetricKind::Histogram => ["_bucket", "_count", "_sum"].into_iter().any(is_part),
            MetricKind::Counter | MetricKind::Gauge => series == metric.name,
        }
    })
}

#[test]
fn every_alert_has_a_runbook_and_every_runbook_an_alert() {
    let alerts: BTreeSet<String> = rules().into_iter().map(|rule| rule.alert).collect();
    let mut pages: BTreeSet<String> = runbooks().into_iter().map(|page| page.name).collect();
    for procedure in PROCEDURES {
        assert!(pages.remove(procedure), "{procedure} is gone");
    }
    assert_eq!(alerts, pages);
    for rule in rules() {
        let address = rule.annotations.runbook_url;
        assert!(
            address.ends_with(&format!("/{}.md", rule.alert)),
            "{address}"
        );
        assert!(
            ["page", "ticket"].contains(&rule.labels.severity.as_str()),
            "{}",
            rule.alert
        );
        let summary = rule.annotations.summary;
        assert!(
            summary.contains("$value")
                || !rule.expr.contains('>')
                || summary.contains("No ")
                || summary.contains("$labels"),
            "{summary}"
        );
    }
}

#[test]
fn every_runbook_has_its_four_parts_and_leads_somewhere() {
    for page in runbooks() {
        if PROCEDURES.contains(&page.name.as_str()) {
            continue;
        }
        let parts: Vec<&str> = page
            .text
            .lines()
            .filter_map(|line| line.strip_prefix("## "))
            .collect();
        assert_eq!(
            parts,
            ["Meaning", "Impact", "Diagnosis", "Mitigation"],
            "{}",
            page.name
        );
        for link in page.text.split("](").skip(1) {
            let file = link.split(')').next().unwrap();
            assert!(
                root().join("deploy/runbooks").join(file).is_file(),
                "{}: {file}",
                page.name
            );
        }
    }
}

#[test]
fn every_command_of_a_runbook_can_be_typed() {
    let mut tried = 0;
    for page in runbooks() {
        for line in page.lines_of("sh") {
            let command = line.rsplit(" | ").next().unwrap();
            let words = words(command);
            assert_eq!(words[0], "pathbound", "{}: {line}", page.name);
            let parsed = Cli::try_parse_from(&words);
            assert!(parsed.is_ok(), "{}: {line}: {:?}", page.name, parsed.err());
            tried += 1;
        }
    }
    assert!(tried > 40, "only {tried} commands");
}

#[test]
fn every_command_of_a_guide_can_be_typed() {
    let mut tried = 0;
    for page in pages_of("deploy/docs") {
        let lines = page.lines_of("sh").into_iter();
        for line in lines.filter(|line| line.starts_with("pathbound ")) {
            let parsed = Cli::try_parse_from(words(line));
            assert!(parsed.is_ok(), "{}: {line}: {:?}", page.name, parsed.err());
            tried += 1;
        }
    }
    assert!(tried >= 2, "only {tried} commands");
}

/// As a shell splits it. A variable is an id.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (n, part) in line.split('"').enumerate() {
        if n % 2 == 1 {
            let is_variable = part.starts_with('$');
            let id = uuid::Uuid::nil().to_string();
            words.push(if is_variable { id } else { part.to_owned() });
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

#[test]
fn every_query_parses_and_reads_metrics_and_labels_that_exist() {
    for (home, query) in queries() {
        let reads = reads(&query).unwrap_or_else(|error| panic!("{home}: {query}: {error}"));
        assert!(!reads.is_empty(), "{home}: {query} reads nothing");
        for (series, labels) in reads {
            let metric = metric_of(&series);
            let metric = metric.unwrap_or_else(|| panic!("{home}: there is no {series}"));
            for label in labels {
                assert!(
                    metric.labels.contains(&label.as_str()),
                    "{home}: {series} has no label {label}"
                );
            }
        }
    }
    assert!(
        reads("sum(rate(x[5m])").is_err(),
        "a query that does not parse is found"
    );
}

#[test]
fn every_metric_is_of_use() {
    let mut used = BTreeSet::new();
    for (_, query) in queries() {
        for (series, _) in reads(&query).unwrap() {
            used.extend(metric_of(&series).map(|metric| metric.name));
        }
    }
    let metrics: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
    assert_eq!(used, metrics);
}
