//! Rules of our own for the objects of one render. Each one returns what it finds.

mod duplicates;
mod options;
mod references;
mod restricted;
mod scaling;

pub(crate) use self::options::is_option;
use crate::object::Object;

type Rule = fn(&[Object]) -> Vec<String>;

/// Every rule, by the name that the report gives it.
pub(crate) const ALL: [(&str, Rule); 9] = [
    ("keys of lists are given once", duplicates::check),
    ("the restricted profile", restricted::check),
    ("secrets are files in directories", restricted::secrets),
    ("what names something finds it", references::check),
    ("replicas have one owner", scaling::replicas),
    ("triggers of KEDA", scaling::triggers),
    ("metrics of autoscalers exist", scaling::metrics),
    ("options exist", options::check),
    ("the grace period covers a drain", options::grace),
];

#[cfg(test)]
pub(crate) mod examples {
    //! A small set of objects without a fault, for tests to break.

    use serde_json::{Value, json};

    use crate::object::Object;

    pub(crate) fn deployment() -> Value {
        let labels = json!({"app.kubernetes.io/component": "api"});
        let security = json!({
            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
        });
        let probe = json!({"httpGet": {"path": "/livez", "port": "ops"}});
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x-api"},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "serviceAccountName": "x-api", "automountServiceAccountToken": false, "enableServiceLinks": false,
                        "terminationGracePeriodSeconds": 35,
                        "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
                        "containers": [{
                            "name": "api", "image": "pathbound:0.1.0", "args": ["api"],
                            "env": [
                                {"name": "PATHBOUND_CONFIG", "value": "/etc/pathbound/config/pathbound.toml"},
                                {"name": "PATHBOUND_SHUTDOWN_DELAY", "value": "5s"},
                            ],
                            "ports": [{"name": "http", "containerPort": 8080}, {"name": "ops", "containerPort": 8081}],
                            "startupProbe": probe, "livenessProbe": probe, "readinessProbe": probe,
                            "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
                            "securityContext": security,
                            "volumeMounts": [{"name": "config", "mountPath": "/etc/pathbound/config", "readOnly": true}],
                        }],
                        "volumes": [{"name": "config", "configMap": {"name": "x"}}],
                    },
                },
            },
        })
    }

    /// The deployment with what it names.
    pub(crate) fn objects() -> Vec<Object> {
        let labels = json!({"app.kubernetes.io/component": "api"});
        let others = [
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "x-api"}, "automountServiceAccountToken": false}),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"pathbound.toml": "drain_limit = \"15s\"\n"}}),
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x-api"},
                   "spec": {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}}),
        ];
        std::iter::once(deployment())
            .chain(others)
            .map(Object)
            .collect()
    }

    /// The same set with another value at a place of its object.
    pub(crate) fn with(kind: &str, pointer: &str, value: Value) -> Vec<Object> {
        let mut objects = objects();
        let object = objects
            .iter_mut()
            .find(|object| object.kind() == kind)
            .expect("the kind is there");
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
        match object.0.pointer_mut(parent).expect("the parent is there") {
            Value::Object(map) => {
                map.insert(key.to_owned(), value);
            }
            Value::Array(items) => items.push(value),
            _ => panic!("{parent} has no members"),
        }
        objects
    }
}
