//! Lists whose members have a key of their own. Helm 4 refuses a key that is given twice, and schemas do not.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::object::Object;

/// Lists by the name of their field, and what tells their members apart.
const KEYS: [(&str, &[&str]); 9] = [
    ("containers", &["name"]),
    ("env", &["name"]),
    ("hostnames", &[""]),
    ("imagePullSecrets", &["name"]),
    ("items", &["path"]),
    ("ports", &["name"]),
    ("topologySpreadConstraints", &["topologyKey"]),
    ("volumeMounts", &["mountPath"]),
    ("volumes", &["name"]),
];

pub(super) fn check(objects: &[Object]) -> Vec<String> {
    let mut found = Vec::new();
    let mut ids = BTreeSet::new();
    for object in objects {
        if !ids.insert(object.id()) {
            found.push(format!("{} is there twice", object.id()));
        }
        walk(&object.0, &object.id(), &mut found);
    }
    found
}

fn walk(value: &Value, place: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (field, value) in map {
                if let Value::Array(items) = value {
                    twice(field, items, place, found);
                }
                walk(value, &format!("{place}.{field}"), found);
            }
        }
        Value::Array(items) => {
            for item in items {
                walk(item, place, found);
            }
        }
        _ => {}
    }
}

fn twice(field: &str, items: &[Value], place: &str, found: &mut Vec<String>) {
    let keys = KEYS.iter().filter(|(name, _)| *name == field);
    for key in keys.flat_map(|(_, keys)| keys.iter()) {
        let mut seen = BTreeSet::new();
        for item in items {
            let value = if key.is_empty() {
                Some(item)
            } else {
                item.get(key)
            };
            if let Some(value) = value.filter(|value| !seen.insert(value.to_string())) {
                found.push(format!("{place}.{field} has {value} twice"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rules::examples;

    #[test]
    fn a_variable_a_port_and_an_object_that_are_there_twice_are_found() {
        assert_eq!(check(&examples::objects()), Vec::<String>::new());
        let container = "/spec/template/spec/containers/0";
        let variable = json!({"name": "PATHBOUND_CONFIG", "value": "x"});
        assert_eq!(
            check(&examples::with(
                "Deployment",
                &format!("{container}/env/-"),
                variable
            ))
            .len(),
            1
        );
        let port = json!({"name": "ops", "containerPort": 9});
        assert_eq!(
            check(&examples::with(
                "Deployment",
                &format!("{container}/ports/-"),
                port
            ))
            .len(),
            1
        );
        let twice = [examples::objects(), examples::objects()].concat();
        assert_eq!(check(&twice).len(), examples::objects().len());
    }
}
