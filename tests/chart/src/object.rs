//! An object as it was rendered, and the pods that it makes.

use serde_json::Value;

use crate::Failure;

/// One object of Kubernetes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Object(pub(crate) Value);

impl Object {
    pub(crate) fn text(&self, pointer: &str) -> &str {
        text(&self.0, pointer)
    }

    pub(crate) fn kind(&self) -> &str {
        self.text("/kind")
    }

    pub(crate) fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// Kind and name, which a namespace has once.
    pub(crate) fn id(&self) -> String {
        format!("{}/{}", self.kind(), self.name())
    }

    /// Whether it belongs to the API of Kubernetes itself and not to that of an operator.
    pub(crate) fn is_core(&self) -> bool {
        let group = self
            .text("/apiVersion")
            .split_once('/')
            .map_or("", |(group, _)| group);
        !group.contains('.') || group.ends_with(".k8s.io") && group != "gateway.networking.k8s.io"
    }

    /// The pod that it is or makes: its metadata and its spec.
    pub(crate) fn pod(&self) -> Option<(&Value, &Value)> {
        let template = match self.kind() {
            "Pod" => Some(&self.0),
            "Deployment" | "Job" => self.0.pointer("/spec/template"),
            _ => None,
        }?;
        Some((template.get("metadata")?, template.get("spec")?))
    }
}

/// The text at a place, or nothing.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

/// The list at a place, or an empty one.
pub(crate) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// Whether every label of a selector is there.
pub(crate) fn is_selected(selector: &Value, labels: &Value) -> bool {
    let Some(selector) = selector.as_object() else {
        return false;
    };
    selector
        .iter()
        .all(|(key, value)| labels.get(key) == Some(value))
}

/// Reads a stream of YAML documents. A key that is given twice is an error.
pub(crate) fn parse(yaml: &str) -> Result<Vec<Object>, Failure> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml)?;
    Ok(documents
        .into_iter()
        .filter(|document| !document.is_null())
        .map(Object)
        .collect())
}
