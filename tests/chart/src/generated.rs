//! What is made from other files: the README of the chart, the schema of `config`, and the version.

use serde_json::{Map, Value, json};
use toml::Table;

use crate::{Failure, chart::Chart, object::text, tools};

const DEFAULTS: &str = include_str!("../../../shared/src/default.toml");

/// Options that the chart sets by other values.
const OF_THE_CHART: [&str; 5] = [
    "listen",
    "ops_listen",
    "shutdown_delay",
    "worker_pool",
    "migrate_url",
];
/// Options that belong to a Secret. The schema of `secrets.options` lists them.
const SECRET_OPTIONS: &str = "/properties/secrets/properties/options/properties";

const README_BEGIN: &str = "# The chart `pathbound`

Made from `values.yaml` by `make chart ARGS=--write`. Do not edit. [deploy/docs/kubernetes.md](../../docs/kubernetes.md) says how to install and what matters.

| value | default | meaning |
|---|---|---|
";

/// Writes the README and the schema anew.
pub(crate) fn write(chart: &Chart<'_>) -> Result<(), Failure> {
    std::fs::write(chart.folder.join("README.md"), readme(chart)?)?;
    std::fs::write(chart.folder.join("values.schema.json"), schema(chart)?)?;
    Ok(())
}

/// What is stale.
pub(crate) fn check(chart: &Chart<'_>) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    let files = [
        ("README.md", readme(chart)?),
        ("values.schema.json", schema(chart)?),
    ];
    for (name, wanted) in files {
        if tools::read(&chart.folder.join(name))? != wanted {
            found.push(format!("{name} is stale, run `make chart ARGS=--write`"));
        }
    }
    let about: Value = serde_saphyr::from_str(&tools::read(&chart.folder.join("Chart.yaml"))?)?;
    for field in ["version", "appVersion"] {
        if about[field] != json!(env!("CARGO_PKG_VERSION")) {
            found.push(format!(
                "{field} of Chart.yaml is {} and not that of the workspace",
                about[field]
            ));
        }
    }
    Ok(found)
}

/// The schema, whose `config` has every option that belongs there, with its type.
fn schema(chart: &Chart<'_>) -> Result<String, Failure> {
    let mut schema: Value =
        serde_json::from_str(&tools::read(&chart.folder.join("values.schema.json"))?)?;
    let secrets = schema
        .pointer(SECRET_OPTIONS)
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    let options: Table = DEFAULTS.parse()?;
    let properties: Map<String, Value> = options
        .iter()
        .filter(|(name, _)| !secrets.contains_key(*name) && !OF_THE_CHART.contains(&name.as_str()))
        .map(|(name, default)| (name.clone(), json!({"type": [kind(default), "null"]})))
        .collect();
    schema["properties"]["config"] = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    });
    Ok(format!("{schema:#}\n"))
}

fn kind(value: &toml::Value) -> &'static str {
    match value {
        toml::Value::Integer(_) => "integer",
        toml::Value::Float(_) => "number",
        toml::Value::Boolean(_) => "boolean",
        _ => "string",
    }
}

/// A table of the values. The comment above a value is its meaning.
fn readme(chart: &Chart<'_>) -> Result<String, Failure> {
    let defaults = chart.defaults()?;
    let mut table = README_BEGIN.to_owned();
    for (path, meaning) in described(&tools::read(&chart.folder.join("values.yaml"))?) {
        let pointer = format!("/{}", path.replace('.', "/"));
        let Some(value) = defaults.pointer(&pointer) else {
            return Err(format!("{path} of values.yaml was not understood").into());
        };
        // A map with members has a line for each of them.
        let is_leaf = !value.is_object() || value.as_object().is_some_and(Map::is_empty);
        if !is_leaf && meaning.is_empty() {
            continue;
        }
        let shown = if is_leaf {
            format!("`{value}`")
        } else {
            String::new()
        };
        table += &format!("| `{path}` | {shown} | {} |\n", meaning.replace('|', "\\|"));
    }
    let about: Value = serde_saphyr::from_str(&tools::read(&chart.folder.join("Chart.yaml"))?)?;
    table += &format!(
        "\nIt needs Kubernetes {}.\n",
        text(&about, "/kubeVersion").trim_end_matches("-0")
    );
    Ok(table)
}

/// Every key of a YAML file of maps by its path, with the comment above it.
fn described(yaml: &str) -> Vec<(String, String)> {
    let mut parents: Vec<(usize, String)> = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    let mut described = Vec::new();
    for line in yaml.lines() {
        let content = line.trim_start();
        let indent = line.len() - content.len();
        if let Some(words) = content.strip_prefix("# ") {
            comment.push(words);
            continue;
        }
        let key = content
            .split_once(':')
            .map(|(key, _)| key.trim_matches('"'));
        if let Some(key) = key.filter(|_| !content.starts_with('-')) {
            parents.retain(|(depth, _)| *depth < indent);
            parents.push((indent, key.to_owned()));
            let path: Vec<&str> = parents.iter().map(|(_, key)| key.as_str()).collect();
            described.push((path.join("."), comment.join(" ")));
        }
        comment.clear();
    }
    described
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_describes_the_key_below_it() {
        let yaml =
            "# About the file.\n\n# One.\na:\n  # Two,\n  # and more.\n  b: 1\n  c: {}\nd: x\n";
        let expected = [
            ("a", "One."),
            ("a.b", "Two, and more."),
            ("a.c", ""),
            ("d", ""),
        ];
        let expected: Vec<_> = expected
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
            .collect();
        assert_eq!(described(yaml), expected);
    }
}
