//! What was answered: each operation has succeeded often enough, and each documented status came.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::Failure;

/// Fewer successes of an operation would say little about its answers.
const FEWEST_SUCCESSES: u64 = 5;

/// Statuses that need not come, each with its reason.
const EXCEPTIONS: &str = include_str!("../exceptions.toml");

/// How often each operation had each status, by `GET /v1/contacts` and the status.
#[derive(Debug, Default)]
pub(crate) struct Seen(BTreeMap<String, BTreeMap<String, u64>>);

impl Seen {
    /// Adds what `hooks.py` has written.
    pub(crate) fn add(&mut self, json: &str) -> Result<(), Failure> {
        let counts: BTreeMap<String, BTreeMap<String, u64>> = serde_json::from_str(json)?;
        for (operation, statuses) in counts {
            let known = self.0.entry(operation).or_default();
            for (status, count) in statuses {
                *known.entry(status).or_default() += count;
            }
        }
        Ok(())
    }

    pub(crate) fn cases(&self) -> u64 {
        self.0.values().flat_map(BTreeMap::values).sum()
    }

    pub(crate) fn operations(&self) -> usize {
        self.0.len()
    }

    fn count(&self, operation: &str, status: &str) -> u64 {
        let statuses = self.0.get(operation);
        statuses
            .and_then(|statuses| statuses.get(status))
            .copied()
            .unwrap_or_default()
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exceptions {
    unseen: Vec<Unseen>,
}

/// A status that need not come.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unseen {
    status: String,
    /// All operations if it is left out.
    operation: Option<String>,
    #[expect(dead_code, reason = "an exception without a reason cannot be read")]
    reason: String,
}

impl Unseen {
    fn covers(&self, operation: &str, status: &str) -> bool {
        self.status == status
            && self
                .operation
                .as_ref()
                .is_none_or(|named| named == operation)
    }
}

/// What is missing, one line each.
pub(crate) fn faults(seen: &Seen, document: &Value) -> Result<Vec<String>, Failure> {
    let exceptions: Exceptions = toml::from_str(EXCEPTIONS)?;
    let mut faults = Vec::new();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            let name = format!("{} {path}", method.to_uppercase());
            let statuses = operation["responses"].as_object().into_iter().flatten();
            let statuses: Vec<&String> = statuses.map(|(status, _)| status).collect();
            let successes: u64 = statuses
                .iter()
                .filter(|status| status.starts_with('2'))
                .map(|status| seen.count(&name, status))
                .sum();
            if successes < FEWEST_SUCCESSES {
                faults.push(format!("{name} succeeded {successes} times only"));
            }
            let missing = statuses.into_iter().filter(|status| {
                seen.count(&name, status) == 0
                    && !exceptions
                        .unseen
                        .iter()
                        .any(|unseen| unseen.covers(&name, status))
            });
            faults.extend(missing.map(|status| format!("{name} never answered with {status}")));
        }
    }
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document() -> Value {
        json!({"paths": {"/v1/things": {"get": {"responses": {"200": {}, "400": {}, "500": {}}}}}})
    }

    #[test]
    fn a_rare_success_and_a_status_that_never_came_are_faults() {
        let mut seen = Seen::default();
        seen.add(r#"{"GET /v1/things": {"200": 3, "404": 90}}"#)
            .unwrap();
        assert_eq!(
            faults(&seen, &document()).unwrap(),
            [
                "GET /v1/things succeeded 3 times only",
                "GET /v1/things never answered with 400"
            ]
        );
        // A second pass counts as well. No request of ours makes the API fail.
        seen.add(r#"{"GET /v1/things": {"200": 2, "400": 1}}"#)
            .unwrap();
        assert_eq!(faults(&seen, &document()).unwrap(), Vec::<String>::new());
        assert_eq!((seen.cases(), seen.operations()), (96, 1));
    }
}
