//! `values.schema.json` refuses what the chart does not know, and what is of a wrong type.

use crate::{
    Failure,
    chart::{Chart, NAMESPACE, RELEASE},
    tools::{self, Helm},
};

/// Values with one fault each, and what the refusal has to name.
const FAULTS: [(&str, &str); 27] = [
    ("replicaCount: 2", "replicaCount"),
    ("api: {replicas: 2}", "replicas"),
    ("api: {scaling: {mode: fixd}}", "mode"),
    ("api: {scaling: {mode: fixed, replicas: '2'}}", "replicas"),
    ("api: {scaling: {mode: hpa, max: 0}}", "max"),
    ("api: {scaling: {mode: hpa, maxReplicas: 3}}", "maxReplicas"),
    ("api: {shutdownDelay: 5}", "shutdownDelay"),
    ("api: {shutdownDelay: 5 seconds}", "shutdownDelay"),
    ("api: {service: {port: 70000}}", "port"),
    ("api: {resources: {limit: {memory: 1Gi}}}", "limit"),
    ("scheduler: {scaling: {mode: hpa}}", "mode"),
    ("workers: {fresh: {pool: fast}}", "pool"),
    (
        "workers: {Whales: {pool: fresh, scaling: {mode: fixed, replicas: 1}}}",
        "Whales",
    ),
    ("workers: {whales: {pool: fresh}}", "scaling"),
    (
        "workers: {whales: {pool: fresh, scaling: {mode: fixed}}}",
        "replicas",
    ),
    (
        "workers: {whales: {pool: fresh, scaling: {mode: keda, min: 1}}}",
        "max",
    ),
    ("config: {sync_intervall: 5m}", "sync_intervall"),
    ("config: {worker_slots: many}", "worker_slots"),
    (
        "config: {database_url: postgres://app:secret@db/app}",
        "database_url",
    ),
    ("secrets: {options: {service_keys: {}}}", "service_keys"),
    ("secrets: {files: {ca.pem: {secret: tls}}}", "key"),
    ("image: {digest: sha256:12}", "digest"),
    ("migrate: {mode: job}", "mode"),
    ("networkPolicy: {postgres: {port: 5432}}", "port"),
    ("ingress: {enabled: true}", "hosts"),
    (
        "httpRoute: {enabled: true, hostnames: [a.example]}",
        "parentRefs",
    ),
    ("monitoring: {rules: {label: {}}}", "label"),
];

/// Values that the chart refuses by a sentence of its own, which says what to set.
const MISSING: [(&str, &str); 3] = [
    ("config: {public_url: null}", "config.public_url"),
    (
        "workers: {fresh: {scaling: {mode: keda}}}",
        "keda.serverAddress",
    ),
    (
        "{api: {scaling: {mode: keda}}, keda: {serverAddress: http://p}}",
        "api.scaling.query",
    ),
];

pub(crate) fn check(chart: &Chart<'_>) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    for helm in Helm::ALL {
        for (values, named) in FAULTS.iter().chain(&MISSING) {
            found.extend(accepted(chart, helm, values, named)?);
        }
        // Without it the others would be refused for any reason.
        if let Some(refusal) = refusal(chart, helm, "{}")? {
            found.push(format!(
                "{} refuses the minimal values: {refusal}",
                helm.name()
            ));
        }
    }
    Ok(found)
}

fn accepted(
    chart: &Chart<'_>,
    helm: Helm,
    values: &str,
    named: &str,
) -> Result<Option<String>, Failure> {
    let helm_name = helm.name();
    Ok(match refusal(chart, helm, values)? {
        None => Some(format!("{helm_name} takes {values}")),
        Some(text) if !text.contains(named) => Some(format!(
            "{helm_name} refuses {values} without a word of {named}: {text}"
        )),
        Some(_) => None,
    })
}

/// Why Helm refuses these values beside the minimal ones.
pub(crate) fn refusal(
    chart: &Chart<'_>,
    helm: Helm,
    values: &str,
) -> Result<Option<String>, Failure> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), values)?;
    let mut command = chart.tools.helm(helm);
    command.args(["template", RELEASE, "--namespace", NAMESPACE, "--values"]);
    command
        .arg(chart.folder.join("ci/minimal.yaml"))
        .arg("--values")
        .arg(file.path());
    let output = tools::output(command.arg(&chart.folder))?;
    Ok((!output.status.success()).then(|| tools::errors(&output)))
}
