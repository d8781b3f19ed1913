//! What names another object finds it, and what selects pods selects some.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::object::{Object, is_selected, list, text};

pub(super) fn check(objects: &[Object]) -> Vec<String> {
    let ids: BTreeSet<String> = objects.iter().map(Object::id).collect();
    let mut found = Vec::new();
    for object in objects {
        for id in named(object) {
            if !ids.contains(&id) {
                found.push(format!("{} names {id}, which is not there", object.id()));
            }
        }
        selects(object, objects, &mut found);
        if object.name().len() > 63 {
            found.push(format!(
                "{} has a name of more than 63 letters",
                object.id()
            ));
        }
    }
    found
}

/// The objects that an object names. Secrets are made by others.
fn named(object: &Object) -> Vec<String> {
    let mut ids = Vec::new();
    if let Some((_, spec)) = object.pod() {
        ids.push(format!(
            "ServiceAccount/{}",
            text(spec, "/serviceAccountName")
        ));
        let volumes = list(spec, "/volumes")
            .iter()
            .map(|volume| text(volume, "/configMap/name"));
        ids.extend(
            volumes
                .filter(|name| !name.is_empty())
                .map(|name| format!("ConfigMap/{name}")),
        );
        ids.extend(mounts(spec));
    }
    match object.kind() {
        "HorizontalPodAutoscaler" | "ScaledObject" => {
            ids.push(format!(
                "Deployment/{}",
                object.text("/spec/scaleTargetRef/name")
            ));
        }
        "Ingress" => {
            let rules = list(&object.0, "/spec/rules").iter();
            let paths = rules.flat_map(|rule| list(rule, "/http/paths"));
            ids.extend(
                paths.map(|path| format!("Service/{}", text(path, "/backend/service/name"))),
            );
        }
        "HTTPRoute" => {
            let rules = list(&object.0, "/spec/rules").iter();
            let backends = rules.flat_map(|rule| list(rule, "/backendRefs"));
            ids.extend(backends.map(|backend| format!("Service/{}", text(backend, "/name"))));
        }
        _ => {}
    }
    ids
}

/// Volumes that a container mounts and the pod lacks, in the form of a missing object.
fn mounts(spec: &Value) -> Vec<String> {
    let volumes: BTreeSet<&str> = list(spec, "/volumes")
        .iter()
        .map(|volume| text(volume, "/name"))
        .collect();
    let containers = list(spec, "/containers").iter();
    let mounts = containers.flat_map(|container| list(container, "/volumeMounts"));
    let missing = mounts
        .map(|mount| text(mount, "/name"))
        .filter(|name| !volumes.contains(name));
    missing.map(|name| format!("volume/{name}")).collect()
}

/// A selector finds pods, a budget those of one Deployment, and a port of a Service is one of them.
fn selects(object: &Object, objects: &[Object], found: &mut Vec<String>) {
    let pointer = match object.kind() {
        "Deployment" | "PodDisruptionBudget" => "/spec/selector/matchLabels",
        "NetworkPolicy" => "/spec/podSelector/matchLabels",
        "Service" => "/spec/selector",
        "PodMonitor" => "/spec/selector/matchLabels",
        _ => return,
    };
    let selector = object.0.pointer(pointer).unwrap_or(&Value::Null);
    let selected: Vec<&Object> = objects
        .iter()
        .filter(|other| {
            other
                .pod()
                .is_some_and(|(metadata, _)| is_selected(selector, &metadata["labels"]))
        })
        .collect();
    let is_one = matches!(object.kind(), "Deployment" | "PodDisruptionBudget");
    if selected.is_empty() || (is_one && selected.len() > 1) {
        found.push(format!(
            "{} selects {} kinds of pods",
            object.id(),
            selected.len()
        ));
    }
    if object.kind() != "Service" {
        return;
    }
    for port in list(&object.0, "/spec/ports") {
        let target = text(port, "/targetPort");
        let lacking = selected.iter().filter(|pod| !has_port(pod, target));
        found.extend(lacking.map(|pod| {
            format!(
                "{} leads to {target}, which {} lacks",
                object.id(),
                pod.id()
            )
        }));
    }
}

fn has_port(object: &Object, name: &str) -> bool {
    let containers = object
        .pod()
        .map_or(&[][..], |(_, spec)| list(spec, "/containers"));
    let mut ports = containers
        .iter()
        .flat_map(|container| list(container, "/ports"));
    ports.any(|port| text(port, "/name") == name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rules::examples;

    #[test]
    fn a_name_or_a_selector_that_finds_nothing_is_found() {
        assert_eq!(check(&examples::objects()), Vec::<String>::new());
        let pod = "/spec/template/spec";
        let cases = [
            (
                "Deployment",
                format!("{pod}/serviceAccountName"),
                json!("other"),
            ),
            (
                "Deployment",
                format!("{pod}/volumes/-"),
                json!({"name": "more", "configMap": {"name": "other"}}),
            ),
            (
                "Deployment",
                format!("{pod}/containers/0/volumeMounts/-"),
                json!({"name": "other", "mountPath": "/x"}),
            ),
            (
                "Deployment",
                "/spec/selector".to_owned(),
                json!({"matchLabels": {"app": "other"}}),
            ),
            (
                "Service",
                "/spec/selector".to_owned(),
                json!({"app": "other"}),
            ),
            (
                "Service",
                "/spec/ports".to_owned(),
                json!([{"port": 80, "targetPort": "https"}]),
            ),
            (
                "Service",
                "/metadata/name".to_owned(),
                json!("x".repeat(64)),
            ),
        ];
        for (kind, pointer, value) in cases {
            assert_eq!(
                check(&examples::with(kind, &pointer, value)).len(),
                1,
                "{kind} {pointer}"
            );
        }
        let mut objects = examples::objects();
        let budget = json!({"kind": "PodDisruptionBudget", "metadata": {"name": "b"},
                            "spec": {"selector": {"matchLabels": {"app": "other"}}}});
        objects.push(Object(budget));
        assert_eq!(check(&objects).len(), 1);
    }
}
