//! Exactly one thing decides how many replicas there are.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::object::{Object, list, text};

/// What a prometheus trigger may say. KEDA takes any text there and ignores what it does not know.
const TRIGGER: [&str; 12] = [
    "activationThreshold",
    "authModes",
    "awsRegion",
    "customHeaders",
    "ignoreNullValues",
    "namespace",
    "query",
    "queryParameters",
    "serverAddress",
    "threshold",
    "timeout",
    "unsafeSsl",
];

/// Every metric of Pathbound.
const METRICS: &str = include_str!("../../../../deploy/reference/metrics.md");

/// A Deployment that something scales says no replicas, because each upgrade would set them back.
pub(super) fn replicas(objects: &[Object]) -> Vec<String> {
    let mut found = Vec::new();
    let mut scaled = BTreeSet::new();
    for object in objects {
        if !matches!(object.kind(), "HorizontalPodAutoscaler" | "ScaledObject") {
            continue;
        }
        let target = object.text("/spec/scaleTargetRef/name");
        if !scaled.insert(target) {
            found.push(format!("two objects scale {target}"));
        }
    }
    for object in objects
        .iter()
        .filter(|object| object.kind() == "Deployment")
    {
        let says = object.0.pointer("/spec/replicas").is_some();
        if says && scaled.contains(object.name()) {
            found.push(format!("{} is scaled and says replicas", object.id()));
        }
    }
    found
}

/// What scales by a metric of ours scales by one that there is.
pub(super) fn metrics(objects: &[Object]) -> Vec<String> {
    let mut found = Vec::new();
    for object in objects {
        if !matches!(object.kind(), "HorizontalPodAutoscaler" | "ScaledObject") {
            continue;
        }
        let spec = object.0["spec"].to_string();
        let words = spec.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let unknown = words.filter(|word| {
            word.starts_with("pathbound_") && !METRICS.contains(&format!("| `{word}` |"))
        });
        found.extend(
            unknown.map(|word| format!("{} asks for {word}, which is no metric", object.id())),
        );
    }
    found
}

/// One trigger each, of which no answer is not the answer 0, and a fallback that never takes pods away.
pub(super) fn triggers(objects: &[Object]) -> Vec<String> {
    let mut found = Vec::new();
    for object in objects
        .iter()
        .filter(|object| object.kind() == "ScaledObject")
    {
        let mut say = |what: String| found.push(format!("{}: {what}", object.id()));
        let triggers = list(&object.0, "/spec/triggers");
        if triggers.len() != 1 {
            say(format!("it has {} triggers", triggers.len()));
        }
        for trigger in triggers {
            judge(trigger, &mut say);
        }
        let behavior = object.text("/spec/fallback/behavior");
        if behavior != "currentReplicasIfHigher" {
            say(format!("its fallback is {behavior:?}"));
        }
        let number = |name: &str| object.0["spec"][name].as_i64().unwrap_or(0);
        if number("minReplicaCount") < 1 || number("maxReplicaCount") < number("minReplicaCount") {
            say("its range of replicas is empty or begins with 0".to_owned());
        }
    }
    found
}

fn judge(trigger: &Value, say: &mut impl FnMut(String)) {
    let kind = text(trigger, "/type");
    if kind != "prometheus" {
        say(format!("the trigger {kind} is not on the list"));
    }
    let metadata = trigger["metadata"].as_object();
    for key in metadata.into_iter().flatten().map(|(key, _)| key) {
        if !TRIGGER.contains(&key.as_str()) {
            say(format!("{key} is no key of a prometheus trigger"));
        }
    }
    if trigger["metadata"]["ignoreNullValues"] != json!("false") {
        say("no answer counts as 0 without ignoreNullValues \"false\"".to_owned());
    }
    if trigger["metadata"]["threshold"] != json!("1")
        || trigger["metricType"] != json!("AverageValue")
    {
        say("its answer is not the number of replicas".to_owned());
    }
    if text(trigger, "/metadata/query").is_empty()
        || text(trigger, "/metadata/serverAddress").is_empty()
    {
        say("it asks nothing".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::examples;

    fn scaled(spec: &Value) -> Object {
        Object(
            json!({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "x-api"}, "spec": spec}),
        )
    }

    fn good() -> Value {
        json!({
            "scaleTargetRef": {"name": "x-api"}, "minReplicaCount": 1, "maxReplicaCount": 3,
            "fallback": {"failureThreshold": 3, "replicas": 2, "behavior": "currentReplicasIfHigher"},
            "triggers": [{"type": "prometheus", "metricType": "AverageValue", "metadata": {
                "serverAddress": "http://p", "query": "q", "threshold": "1", "ignoreNullValues": "false"}}],
        })
    }

    #[test]
    fn each_fault_of_a_trigger_is_found() {
        assert_eq!(triggers(&[scaled(&good())]), Vec::<String>::new());
        let cases = [
            ("/triggers/0/metadata/querry", json!("q")),
            ("/triggers/0/metadata/ignoreNullValues", json!("true")),
            ("/triggers/0/metadata/threshold", json!("5")),
            ("/triggers/0/metadata/query", json!("")),
            ("/triggers/0/metricType", json!("Value")),
            ("/fallback/behavior", json!("static")),
            ("/minReplicaCount", json!(0)),
            ("/triggers", json!([])),
        ];
        for (pointer, value) in cases {
            let mut spec = good();
            let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
            spec.pointer_mut(parent).expect("the parent is there")[key] = value;
            assert_eq!(triggers(&[scaled(&spec)]).len(), 1, "{pointer}");
        }
    }

    #[test]
    fn a_metric_that_there_is_not_is_found() {
        let asks = |query: &str| {
            let mut spec = good();
            spec["triggers"][0]["metadata"]["query"] = json!(query);
            metrics(&[scaled(&spec)])
        };
        assert_eq!(
            asks("max(pathbound_autoscale_desired_workers)"),
            Vec::<String>::new()
        );
        assert_eq!(asks("max(pathbound_autoscale_desired_worker)").len(), 1);
    }

    #[test]
    fn replicas_beside_an_autoscaler_and_two_autoscalers_are_found() {
        assert_eq!(replicas(&examples::objects()), Vec::<String>::new());
        let mut objects = examples::objects();
        objects.push(scaled(&good()));
        assert_eq!(replicas(&objects).len(), 1);
        objects[0].0["spec"]
            .as_object_mut()
            .expect("a spec")
            .remove("replicas");
        assert_eq!(replicas(&objects), Vec::<String>::new());
        objects.push(scaled(&good()));
        assert_eq!(replicas(&objects).len(), 1);
    }
}
