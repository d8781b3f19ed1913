//! An upgrade changes nothing that a cluster refuses to change.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    Failure,
    chart::Chart,
    object::Object,
    subchart,
    tools::{self, Helm},
};

/// Fields that cannot be changed, by the kind that has them. A Job cannot be changed at all, so it is a hook.
const FIXED: [(&str, &[&str]); 3] = [
    ("Deployment", &["/spec/selector"]),
    ("Service", &["/spec/clusterIP"]),
    ("PriorityClass", &["/value", "/preemptionPolicy"]),
];

/// What a hook is called by Helm and by Argo CD.
const HOOKS: [&str; 2] = ["helm.sh/hook", "argocd.argoproj.io/hook"];

/// Renders each pair of value files as one release before and after an upgrade to a newer version of the chart.
pub(crate) fn check(chart: &Chart<'_>) -> Result<Vec<String>, Failure> {
    let folder = tempfile::tempdir()?;
    subchart::copy(&chart.folder, folder.path())?;
    let file = folder.path().join("Chart.yaml");
    let newer = tools::read(&file)?.replace("ersion: 0.1.0", "ersion: 0.2.0");
    std::fs::write(&file, &newer)?;
    let mut found = Vec::new();
    if newer.matches("0.2.0").count() != 2 {
        found.push("Chart.yaml has no version to raise".to_owned());
    }
    // A name of a release is its identity, so an upgrade does not change it.
    let name = ["--set", "fullnameOverride=,nameOverride="];
    let mut before = Vec::new();
    let mut after = Vec::new();
    for values in &chart.values {
        before.push(chart.objects(Helm::Four, &chart.folder, values, &name)?);
        after.push(chart.objects(Helm::Four, folder.path(), values, &name)?);
    }
    for old in &before {
        for new in &after {
            found.extend(refused(old, new));
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// What a cluster would refuse.
fn refused(before: &[Object], after: &[Object]) -> Vec<String> {
    let old: BTreeMap<String, &Object> =
        before.iter().map(|object| (object.id(), object)).collect();
    let mut found = Vec::new();
    for new in after {
        if new.kind() == "Job" && !is_hook(new) {
            found.push(format!("{} cannot be changed and is no hook", new.id()));
        }
        let Some(old) = old.get(&new.id()) else {
            continue;
        };
        let fixed = FIXED.iter().filter(|(kind, _)| *kind == new.kind());
        for pointer in fixed.flat_map(|(_, pointers)| pointers.iter()) {
            let value = |object: &Object| object.0.pointer(pointer).cloned().unwrap_or(Value::Null);
            if value(old) != value(new) {
                found.push(format!("{} changes {pointer}", new.id()));
            }
        }
    }
    found
}

fn is_hook(object: &Object) -> bool {
    let annotations = object.0.pointer("/metadata/annotations");
    HOOKS
        .iter()
        .any(|hook| annotations.is_some_and(|annotations| annotations.get(hook).is_some()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_changed_selector_and_a_job_that_is_no_hook_are_refused() {
        let deployment = |label: &str| {
            Object(
                json!({"kind": "Deployment", "metadata": {"name": "x"}, "spec": {"selector": {"matchLabels": {"v": label}}}}),
            )
        };
        assert_eq!(
            refused(&[deployment("1")], &[deployment("1")]),
            Vec::<String>::new()
        );
        assert_eq!(refused(&[deployment("1")], &[deployment("2")]).len(), 1);
        let job = |annotations: Value| {
            Object(json!({"kind": "Job", "metadata": {"name": "x", "annotations": annotations}}))
        };
        assert_eq!(
            refused(&[], &[job(json!({"helm.sh/hook": "pre-upgrade"}))]),
            Vec::<String>::new()
        );
        assert_eq!(refused(&[], &[job(json!({}))]).len(), 1);
    }
}
