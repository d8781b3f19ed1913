//! Alerts, runbooks and dashboards fit each other, the metrics and the commands. Each alert fires when it should and is
//! silent when it should, and a real Prometheus that scrapes real processes raises alerts under real faults.

mod documents;
mod limits;
mod live;
mod prometheus;
mod rules;

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The rule file, as Prometheus reads it.
#[derive(Debug, Deserialize)]
pub(super) struct RuleFile {
    groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

/// An alert.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Rule {
    pub(super) alert: String,
    pub(super) expr: String,
    pub(super) labels: Labels,
    pub(super) annotations: Annotations,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Labels {
    pub(super) severity: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Annotations {
    pub(super) summary: String,
    pub(super) runbook_url: String,
}

pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

pub(super) fn rule_text() -> String {
    let path = root().join("deploy/helm/pathbound/files/alerts.yaml");
    std::fs::read_to_string(path).unwrap()
}

pub(super) fn rules() -> Vec<Rule> {
    let file: RuleFile = serde_saphyr::from_str(&rule_text()).unwrap();
    file.groups
        .into_iter()
        .flat_map(|group| group.rules)
        .collect()
}
