//! The variables and the TOML of a pod, beside the options of Pathbound.

use std::collections::BTreeSet;

use serde_json::Value;
use toml::Table;

use crate::object::{Object, list, text};

/// The manual of all options.
const DEFAULTS: &str = include_str!("../../../../shared/src/default.toml");

/// What a process takes after its drain, in seconds (README, Processes), and what its node needs.
const AFTER_DRAIN: u64 = 15;

/// Every variable and every line of the file is an option. A variable that is none has no effect.
pub(super) fn check(objects: &[Object]) -> Vec<String> {
    let options = options();
    let mut found = Vec::new();
    for object in objects {
        let mut say = |what: String| found.push(format!("{}: {what}", object.id()));
        let variables = object
            .pod()
            .into_iter()
            .flat_map(|(_, spec)| variables(spec));
        for variable in variables.filter(|variable| !is_option(variable)) {
            say(format!("{variable} is no option"));
        }
        match configuration(object) {
            Some(Ok(table)) => {
                for key in table.keys().filter(|key| !options.contains(*key)) {
                    say(format!("{key} is no option"));
                }
            }
            Some(Err(error)) => say(format!("its configuration is no TOML: {error}")),
            None => {}
        }
    }
    found
}

/// Whether a variable is one of ours that an option has, or one of others.
pub(crate) fn is_option(variable: &str) -> bool {
    let Some(option) = variable.strip_prefix("PATHBOUND_") else {
        return true;
    };
    let option = option.to_ascii_lowercase();
    let bare = option.strip_suffix("_file").unwrap_or(&option);
    let options = options();
    option == "config" || options.contains(&option) || options.contains(bare)
}

/// A pod is given the time that a drain takes.
pub(super) fn grace(objects: &[Object]) -> Vec<String> {
    let drain = objects
        .iter()
        .find_map(|object| {
            Some(
                configuration(object)?
                    .ok()?
                    .get("drain_limit")?
                    .as_str()?
                    .to_owned(),
            )
        })
        .map_or(15, |limit| seconds(&limit));
    let mut found = Vec::new();
    for object in objects
        .iter()
        .filter(|object| object.kind() == "Deployment")
    {
        let Some((_, spec)) = object.pod() else {
            continue;
        };
        let delay = list(spec, "/containers/0/env")
            .iter()
            .find(|variable| text(variable, "/name") == "PATHBOUND_SHUTDOWN_DELAY");
        let needed = drain + AFTER_DRAIN + delay.map_or(0, |delay| seconds(text(delay, "/value")));
        let given = spec["terminationGracePeriodSeconds"].as_u64().unwrap_or(30);
        if given < needed {
            found.push(format!(
                "{} has {given} s to end and may need {needed} s",
                object.id()
            ));
        }
    }
    found
}

fn options() -> BTreeSet<String> {
    let table: Table = DEFAULTS.parse().expect("the defaults are TOML");
    table.keys().cloned().collect()
}

fn variables(spec: &Value) -> impl Iterator<Item = &str> {
    let containers = list(spec, "/containers").iter();
    containers.flat_map(|container| {
        list(container, "/env")
            .iter()
            .map(|variable| text(variable, "/name"))
    })
}

fn configuration(object: &Object) -> Option<Result<Table, toml::de::Error>> {
    Some(object.0.pointer("/data/pathbound.toml")?.as_str()?.parse())
}

/// The seconds of a duration such as `15s`. Milliseconds are rounded up.
fn seconds(duration: &str) -> u64 {
    let digits = duration.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let number: u64 = digits.parse().unwrap_or(0);
    match &duration[digits.len()..] {
        "ms" => number.div_ceil(1000),
        "m" => number * 60,
        "h" => number * 3600,
        "d" => number * 86_400,
        _ => number,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rules::examples;

    #[test]
    fn a_variable_and_a_line_that_are_no_option_are_found() {
        assert_eq!(check(&examples::objects()), Vec::<String>::new());
        let env = "/spec/template/spec/containers/0/env/-";
        let typo = json!({"name": "PATHBOUND_DATABASE_ULR_FILE", "value": "/x"});
        assert_eq!(check(&examples::with("Deployment", env, typo)).len(), 1);
        let other = json!({"name": "RUST_BACKTRACE", "value": "1"});
        assert_eq!(
            check(&examples::with("Deployment", env, other)),
            Vec::<String>::new()
        );
        let typo = json!({"pathbound.toml": "sync_intervall = \"5m\"\n"});
        assert_eq!(check(&examples::with("ConfigMap", "/data", typo)).len(), 1);
        let broken = json!({"pathbound.toml": "log = info"});
        assert_eq!(
            check(&examples::with("ConfigMap", "/data", broken)).len(),
            1
        );
    }

    #[test]
    fn a_grace_period_that_is_shorter_than_a_drain_is_found() {
        assert_eq!(grace(&examples::objects()), Vec::<String>::new());
        let longer = json!({"pathbound.toml": "drain_limit = \"1m\"\n"});
        assert_eq!(
            grace(&examples::with("ConfigMap", "/data", longer)).len(),
            1
        );
        let shorter = examples::with(
            "Deployment",
            "/spec/template/spec/terminationGracePeriodSeconds",
            json!(34),
        );
        assert_eq!(grace(&shorter).len(), 1);
    }
}
