//! The restricted profile of pod security, and more that every pod of ours has.

use serde_json::{Value, json};

use crate::object::{Object, list, text};

/// What each pod's spec has to say, and where.
const POD: [(&str, &str); 4] = [
    ("/automountServiceAccountToken", "false"),
    // A Service that is called pathbound would give each pod PATHBOUND_* variables.
    ("/enableServiceLinks", "false"),
    ("/securityContext/runAsNonRoot", "true"),
    ("/securityContext/seccompProfile/type", "\"RuntimeDefault\""),
];

/// What each container has to say.
const CONTAINER: [(&str, &str); 3] = [
    ("/securityContext/allowPrivilegeEscalation", "false"),
    ("/securityContext/readOnlyRootFilesystem", "true"),
    ("/securityContext/capabilities", "{\"drop\":[\"ALL\"]}"),
];

/// What gives a pod more of its node than the profile allows.
const REFUSED: [&str; 6] = [
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "hostPath",
    "privileged",
    "hostPort",
];

pub(super) fn check(objects: &[Object]) -> Vec<String> {
    let mut found = Vec::new();
    for object in objects {
        if object.kind() == "ServiceAccount"
            && object.0["automountServiceAccountToken"] != json!(false)
        {
            found.push(format!("{} gives its token to pods", object.id()));
        }
        let Some((_, spec)) = object.pod() else {
            continue;
        };
        let mut say = |what: String| found.push(format!("{}: {what}", object.id()));
        expect(spec, &POD, &mut say);
        let text = spec.to_string();
        for refused in REFUSED
            .iter()
            .filter(|refused| text.contains(&format!("\"{refused}\"")))
        {
            say(format!("{refused} is not restricted"));
        }
        for container in list(spec, "/containers") {
            expect(container, &CONTAINER, &mut say);
            limits(container, &mut say);
            probes(object, container, &mut say);
        }
    }
    found
}

fn expect(value: &Value, expected: &[(&str, &str)], say: &mut impl FnMut(String)) {
    for (pointer, wanted) in expected {
        let is = value.pointer(pointer).unwrap_or(&Value::Null).to_string();
        if is != *wanted {
            say(format!("{pointer} is {is} and not {wanted}"));
        }
    }
}

/// A pod without a limit of memory takes others with it, and one whose request is smaller is ended first.
fn limits(container: &Value, say: &mut impl FnMut(String)) {
    let memory = |kind: &str| text(container, &format!("/resources/{kind}/memory"));
    if memory("limits").is_empty() || memory("limits") != memory("requests") {
        say("its limit of memory is not what it requests".to_owned());
    }
    if text(container, "/resources/requests/cpu").is_empty() {
        say("it requests no CPU".to_owned());
    }
    let image = text(container, "/image");
    if image.ends_with(":latest") || !image.contains([':', '@']) {
        say(format!("{image} names no version"));
    }
}

/// A pod that should run for ever says when it does not.
fn probes(object: &Object, container: &Value, say: &mut impl FnMut(String)) {
    if object.kind() != "Deployment" {
        return;
    }
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        if container.get(probe).is_none() {
            say(format!("it has no {probe}"));
        }
    }
}

/// A Secret is a directory of files, because a variable or a `subPath` never shows a change.
pub(super) fn secrets(objects: &[Object]) -> Vec<String> {
    let mut found = Vec::new();
    for object in objects {
        let Some((_, spec)) = object.pod() else {
            continue;
        };
        let text = spec.to_string();
        for refused in ["subPath", "subPathExpr", "secretKeyRef", "secretRef"] {
            if text.contains(&format!("\"{refused}\"")) {
                found.push(format!("{} uses {refused}", object.id()));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::examples;

    const CONTAINER: &str = "/spec/template/spec/containers/0";

    /// What is found if a place of the deployment says something else.
    fn broken(pointer: &str, value: Value) -> Vec<String> {
        let objects = examples::with("Deployment", pointer, value);
        [check(&objects), secrets(&objects)].concat()
    }

    #[test]
    fn each_way_out_of_the_restricted_profile_is_found_once() {
        assert_eq!(check(&examples::objects()), Vec::<String>::new());
        assert_eq!(secrets(&examples::objects()), Vec::<String>::new());
        let pod = "/spec/template/spec";
        let cases = [
            (format!("{pod}/automountServiceAccountToken"), json!(true)),
            (format!("{pod}/enableServiceLinks"), json!(true)),
            (format!("{pod}/hostNetwork"), json!(true)),
            (format!("{pod}/securityContext/runAsNonRoot"), json!(false)),
            (
                format!("{pod}/securityContext/seccompProfile"),
                json!({"type": "Unconfined"}),
            ),
            (
                format!("{pod}/volumes/-"),
                json!({"name": "node", "hostPath": {"path": "/"}}),
            ),
            (
                format!("{CONTAINER}/securityContext/allowPrivilegeEscalation"),
                json!(true),
            ),
            (
                format!("{CONTAINER}/securityContext/readOnlyRootFilesystem"),
                json!(false),
            ),
            (
                format!("{CONTAINER}/securityContext/capabilities"),
                json!({"drop": ["ALL"], "add": ["NET_RAW"]}),
            ),
            (format!("{CONTAINER}/resources/limits"), json!({})),
            (
                format!("{CONTAINER}/resources/requests"),
                json!({"memory": "1Gi"}),
            ),
            (format!("{CONTAINER}/image"), json!("pathbound:latest")),
            (format!("{CONTAINER}/image"), json!("pathbound")),
            (
                format!("{CONTAINER}/env/-"),
                json!({"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}),
            ),
            (
                format!("{CONTAINER}/volumeMounts/-"),
                json!({"name": "config", "mountPath": "/x", "subPath": "x"}),
            ),
        ];
        for (pointer, value) in cases {
            assert_eq!(
                broken(&pointer, value.clone()).len(),
                1,
                "{pointer} {value}"
            );
        }
    }

    #[test]
    fn a_missing_probe_and_a_token_of_an_account_are_found() {
        let mut objects = examples::objects();
        let container = objects[0]
            .0
            .pointer_mut(CONTAINER)
            .and_then(Value::as_object_mut);
        container.expect("a container").remove("readinessProbe");
        assert_eq!(check(&objects).len(), 1);
        let objects = examples::with(
            "ServiceAccount",
            "/automountServiceAccountToken",
            json!(true),
        );
        assert_eq!(check(&objects).len(), 1);
    }
}
