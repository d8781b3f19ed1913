//! The Kustomize base, which is made from the chart: the fleet, and the migration beside it.

use std::collections::BTreeMap;

use crate::{
    Failure,
    chart::{Chart, NAMESPACE},
    object::{self, Object},
    tools::{self, Helm},
};

/// A part of `deploy/kustomize`, and the values that make it.
const PARTS: [(&str, &[&str]); 2] = [
    ("base", &["migrate.mode=external", "tests.enabled=false"]),
    ("migrate", &["migrate.mode=argo"]),
];

const HEADER: &str = "# Made from the Helm chart by `make chart ARGS=--write`. Do not edit.\n";

/// Writes both parts anew.
pub(crate) fn write(chart: &Chart<'_>) -> Result<(), Failure> {
    for (part, _) in PARTS {
        let yaml = rendered(chart, part)?;
        std::fs::write(
            chart
                .root
                .join("deploy/kustomize")
                .join(part)
                .join("pathbound.yaml"),
            yaml,
        )?;
    }
    Ok(())
}

/// What the files are not, and where Kustomize makes something else of them than Helm does.
pub(crate) fn check(chart: &Chart<'_>) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    for (part, _) in PARTS {
        let folder = chart.root.join("deploy/kustomize").join(part);
        let yaml = rendered(chart, part)?;
        if tools::read(&folder.join("pathbound.yaml"))? != yaml {
            found.push(format!(
                "{part} is not what the chart makes, run `make chart ARGS=--write`"
            ));
        }
        let built = tools::printed(chart.tools.kubectl().arg("kustomize").arg(&folder))?;
        let (built, helm) = (by_id(&built)?, by_id(&yaml)?);
        let ids = built.keys().chain(helm.keys());
        let differ = ids.filter(|id| built.get(*id) != helm.get(*id));
        found.extend(differ.map(|id| format!("{part}: {id} differs between Kustomize and Helm")));
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn by_id(yaml: &str) -> Result<BTreeMap<String, Object>, Failure> {
    let objects = object::parse(yaml)?.into_iter();
    Ok(objects.map(|object| (object.id(), object)).collect())
}

/// What the chart makes of the values of `deploy/kustomize` for a part.
fn rendered(chart: &Chart<'_>, part: &str) -> Result<String, Failure> {
    let sets = PARTS
        .iter()
        .filter(|(name, _)| *name == part)
        .flat_map(|(_, sets)| sets.iter());
    let mut more: Vec<&str> = sets.flat_map(|set| ["--set", set]).collect();
    if part == "migrate" {
        more.extend(["--show-only", "templates/migrate.yaml"]);
    }
    let values = chart.root.join("deploy/kustomize/values.yaml");
    let yaml = chart.template(Helm::Four, &chart.folder, &values, &more)?;
    // Only Helm calls an object its own, and an overlay chooses the namespace.
    let ours = yaml
        .lines()
        .filter(|line| !is_of_helm(line))
        .fold(HEADER.to_owned(), |text, line| text + line + "\n");
    Ok(ours)
}

fn is_of_helm(line: &str) -> bool {
    let line = line.trim_start();
    if line == format!("namespace: {NAMESPACE}") {
        return true;
    }
    [
        "helm.sh/chart:",
        "app.kubernetes.io/managed-by:",
        "# Source:",
    ]
    .iter()
    .any(|start| line.starts_with(start))
}
