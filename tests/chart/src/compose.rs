//! The compose file: it sets options that exist, and names services and secrets that it has.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{Failure, chart::values_of, object::list, rules};

pub(crate) fn check(root: &std::path::Path) -> Result<Vec<String>, Failure> {
    let compose = values_of(&root.join("deploy/compose.yaml"))?;
    let services = compose["services"]
        .as_object()
        .ok_or("deploy/compose.yaml has no services")?;
    let mut found = Vec::new();
    for (name, service) in services {
        found.extend(judge(&compose, service).map(|fault| format!("{name}: {fault}")));
    }
    Ok(found)
}

fn judge<'a>(compose: &'a Value, service: &'a Value) -> impl Iterator<Item = String> + 'a {
    let keys = |value: &'a Value| {
        value
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, _)| key.as_str())
    };
    let variables = keys(&service["environment"]).filter(|name| !rules::is_option(name));
    let variables = variables.map(|name| format!("{name} is no option"));
    let services: BTreeSet<&str> = keys(&compose["services"]).collect();
    let before = keys(&service["depends_on"]).filter(move |name| !services.contains(name));
    let before = before.map(|name| format!("it waits for {name}, which is not there"));
    let secrets: BTreeSet<&str> = list(service, "/secrets")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let declared: BTreeSet<&str> = keys(&compose["secrets"]).collect();
    let undeclared = secrets
        .clone()
        .into_iter()
        .filter(move |name| !declared.contains(name));
    let undeclared = undeclared.map(|name| format!("its secret {name} is not declared"));
    let files = service["environment"].as_object().into_iter().flatten();
    let files = files
        .filter_map(|(name, value)| Some((name, value.as_str()?.strip_prefix("/run/secrets/")?)));
    let absent = files.filter(move |(_, secret)| !secrets.contains(secret));
    let absent =
        absent.map(|(name, secret)| format!("{name} names {secret}, which it is not given"));
    variables.chain(before).chain(undeclared).chain(absent)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_name_that_finds_nothing_is_found() {
        let faults = |service: Value| {
            let compose = json!({"services": {"db": {}, "api": service}, "secrets": {"key": {}}});
            judge(&compose, &compose["services"]["api"]).collect::<Vec<_>>()
        };
        let good = json!({
            "environment": {"PATHBOUND_SERVICE_KEY_FILE": "/run/secrets/key"},
            "depends_on": {"db": {}}, "secrets": ["key"],
        });
        assert_eq!(faults(good.clone()), Vec::<String>::new());
        let cases = [
            ("environment", json!({"PATHBOUND_SERVICE_KEYS": "x"})),
            (
                "environment",
                json!({"PATHBOUND_SERVICE_KEY_FILE": "/run/secrets/other"}),
            ),
            ("depends_on", json!({"cache": {}})),
            ("secrets", json!(["key", "other"])),
        ];
        for (field, value) in cases {
            let mut service = good.clone();
            service[field] = value;
            assert_eq!(faults(service).len(), 1, "{field}");
        }
    }
}
