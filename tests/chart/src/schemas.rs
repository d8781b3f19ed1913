//! Holds each object against the schema of its kind. Unknown keys are refused.

use std::{collections::BTreeMap, process::Command};

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::{
    Failure,
    chart::Render,
    tools::{self, Tools},
};

/// The version of Kubernetes whose types count.
const KUBERNETES: &str = "1.37";

/// The schemas of the operators' kinds (`schemas/README.md`).
const CUSTOM: [&str; 5] = [
    include_str!("../schemas/httproute.json"),
    include_str!("../schemas/podmonitor.json"),
    include_str!("../schemas/prometheusrule.json"),
    include_str!("../schemas/scaledobject.json"),
    include_str!("../schemas/servicemonitor.json"),
];

/// The kinds of Kubernetes itself, by kubernetes-validate. It reads YAML as a cluster does, so a bare `yes` is no text.
pub(crate) fn core(renders: &[Render], tools: &Tools) -> Result<Vec<String>, Failure> {
    let folder = tempfile::tempdir()?;
    let mut command = Command::new(tools.kubernetes_validate());
    command.args(["--strict", "--quiet", "--kubernetes-version", KUBERNETES]);
    for render in renders {
        let path = folder
            .path()
            .join(format!("{}-{}", render.helm.name(), render.values));
        std::fs::write(&path, core_documents(render))?;
        command.arg(path);
    }
    let output = tools::output(&mut command)?;
    if output.status.success() {
        return Ok(Vec::new());
    }
    let place = format!("{}/", folder.path().display());
    let said = tools::errors(&output).replace(&place, "");
    Ok(said.lines().map(str::to_owned).collect())
}

/// The documents of core kinds, as Helm wrote them.
fn core_documents(render: &Render) -> String {
    let documents = render.yaml.split("\n---\n").filter(|document| {
        crate::object::parse(document)
            .is_ok_and(|objects| objects.iter().all(crate::object::Object::is_core))
    });
    documents.collect::<Vec<_>>().join("\n---\n")
}

/// The kinds of operators, by the schemas of their definitions. A kind without a schema is a finding.
pub(crate) fn custom(renders: &[Render]) -> Result<Vec<String>, Failure> {
    let schemas = validators()?;
    let mut found = Vec::new();
    for render in renders {
        for object in render.objects.iter().filter(|object| !object.is_core()) {
            let kind = (
                object.text("/apiVersion").to_owned(),
                object.kind().to_owned(),
            );
            let Some(schema) = schemas.get(&kind) else {
                found.push(format!("{render}: {} is of an unknown kind", object.id()));
                continue;
            };
            let errors = schema.iter_errors(&object.0);
            found.extend(errors.map(|error| {
                format!(
                    "{render}: {}: {}: {error}",
                    object.id(),
                    error.instance_path()
                )
            }));
        }
    }
    Ok(found)
}

fn validators() -> Result<BTreeMap<(String, String), Validator>, Failure> {
    let mut validators = BTreeMap::new();
    for text in CUSTOM {
        let definition: Value = serde_json::from_str(text)?;
        let kind = (field(&definition, "apiVersion"), field(&definition, "kind"));
        validators.insert(
            kind,
            jsonschema::validator_for(&closed(definition["schema"].clone()))?,
        );
    }
    Ok(validators)
}

fn field(definition: &Value, name: &str) -> String {
    definition[name].as_str().unwrap_or_default().to_owned()
}

/// The same schema, in which every object with listed properties has no others. A cluster would drop those silently.
fn closed(mut schema: Value) -> Value {
    // The definitions leave the metadata of an object to Kubernetes.
    if let Some(metadata) = schema.pointer_mut("/properties/metadata") {
        *metadata = json!({
            "type": "object",
            "properties": {
                "name": {"type": "string", "maxLength": 63},
                "namespace": {"type": "string"},
                "labels": {"type": "object", "additionalProperties": {"type": "string", "maxLength": 63}},
                "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
            },
            "required": ["name"],
        });
    }
    close(&mut schema);
    schema
}

fn close(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            let lists =
                map.get("properties").is_some_and(Value::is_object) && map.contains_key("type");
            let keeps = map.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
            if lists && !keeps && !map.contains_key("additionalProperties") {
                map.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
            map.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(object: Value) -> Vec<String> {
        let render = Render {
            helm: tools::Helm::Four,
            values: "test".to_owned(),
            yaml: String::new(),
            objects: vec![crate::object::Object(object)],
        };
        custom(&[render]).expect("the schemas are read")
    }

    fn scaled_object(spec: &Value) -> Value {
        json!({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "x"}, "spec": spec})
    }

    #[test]
    fn an_unknown_key_and_a_wrong_type_of_an_operators_kind_are_refused() {
        let triggers = json!([{"type": "prometheus", "metadata": {}}]);
        let good =
            json!({"scaleTargetRef": {"name": "x"}, "minReplicaCount": 1, "triggers": triggers});
        assert_eq!(faults(scaled_object(&good)), Vec::<String>::new());

        let typo = json!({"scaleTargetRef": {"name": "x"}, "minReplicas": 1, "triggers": triggers});
        assert_eq!(faults(scaled_object(&typo)).len(), 1);
        let wrong =
            json!({"scaleTargetRef": {"name": "x"}, "minReplicaCount": "1", "triggers": triggers});
        assert_eq!(faults(scaled_object(&wrong)).len(), 1);
        let missing = json!({"scaleTargetRef": {"name": "x"}});
        assert_eq!(faults(scaled_object(&missing)).len(), 1);
    }

    #[test]
    fn a_kind_without_a_schema_is_a_finding() {
        let unknown = json!({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledJob", "metadata": {"name": "x"}});
        assert_eq!(faults(unknown).len(), 1);
    }

    #[test]
    fn a_rule_without_an_alert_or_a_record_of_wrong_type_is_refused() {
        let rule = |rule: Value| {
            json!({"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule", "metadata": {"name": "x"},
                   "spec": {"groups": [{"name": "g", "rules": [rule]}]}})
        };
        assert_eq!(
            faults(rule(json!({"alert": "A", "expr": "up == 0", "for": "5m"}))),
            Vec::<String>::new()
        );
        assert_eq!(
            faults(rule(
                json!({"alert": "A", "expr": "up == 0", "for": "5 minutes"})
            ))
            .len(),
            1
        );
        assert_eq!(
            faults(rule(
                json!({"alert": "A", "expr": "up == 0", "sumary": "x"})
            ))
            .len(),
            1
        );
    }
}
