//! `deploy/reference/`: the lists of options and metrics, made from the code. A list that is stale
//! fails here. `make reference` writes both anew.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    path::{Path, PathBuf},
};

use shared::{
    config::DEFAULTS,
    telemetry::{METRICS, MetricKind},
};

/// The folders of the product, whose metrics the list must name.
const PRODUCT: [&str; 5] = ["api", "deploy", "scheduler", "shared", "worker"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Compares a list with its committed file, or writes the file if `REFERENCE=write` asks for it.
fn check(name: &str, text: &str) {
    let path = root().join("deploy/reference").join(name);
    if std::env::var("REFERENCE").is_ok_and(|mode| mode == "write") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == text,
        "deploy/reference/{name} is stale: run `make reference` and commit the result"
    );
}

#[test]
fn the_list_of_options_is_fresh() {
    check("options.md", &options());
}

#[test]
fn the_list_of_metrics_is_fresh() {
    check("metrics.md", &metrics());
}

#[test]
fn the_list_of_metrics_names_what_the_code_writes() {
    let listed: BTreeSet<Written> = METRICS
        .iter()
        .map(|metric| Written {
            name: metric.name.to_owned(),
            kind: metric.kind.as_str(),
            labels: metric
                .labels
                .iter()
                .map(|&label| label.to_owned())
                .collect(),
        })
        .collect();
    let mut written = BTreeSet::new();
    for folder in PRODUCT {
        collect(&root().join(folder), &mut written);
    }
    let missing: Vec<_> = written.difference(&listed).collect();
    let unused: Vec<_> = listed.difference(&written).collect();
    assert!(
        missing.is_empty() && unused.is_empty(),
        "correct shared/src/telemetry/metric_table.rs and run `make reference`\n\
         written by the code and not listed: {missing:#?}\nlisted and not written: {unused:#?}"
    );
}

#[test]
fn the_list_is_sorted_and_every_entry_has_a_meaning() {
    assert!(METRICS.is_sorted_by(|left, right| left.name < right.name));
    for metric in METRICS {
        assert!(metric.meaning.ends_with('.'), "{}", metric.name);
        assert_eq!(
            metric.kind == MetricKind::Counter,
            metric.name.ends_with("_total"),
            "{}",
            metric.name
        );
    }
}

/// One table per section of `default.toml`. The comment above an option is its meaning.
fn options() -> String {
    let mut text = String::from(
        "# Options\n\n\
         Made from `shared/src/default.toml` by `make reference`. Do not edit.\n\n\
         A file of the same shape overrides the defaults (`--config`, `PATHBOUND_CONFIG`), and a variable \
         overrides both.\nAny variable may be given as `NAME_FILE=/path`. The file's content is then the value.\n",
    );
    let mut meaning: Vec<&str> = Vec::new();
    let mut has_table = false;
    for line in DEFAULTS.lines() {
        if let Some(section) = line.strip_prefix("# --- ") {
            let _ = write!(text, "\n## {}\n", section.trim_end_matches(['-', ' ']));
            has_table = false;
            meaning.clear();
        } else if let Some(comment) = line.strip_prefix("# ") {
            meaning.push(comment);
        } else if let Some((option, default)) = line.split_once(" = ") {
            assert!(!meaning.is_empty(), "{option} has no comment of its own");
            if !has_table {
                text += "\n| option | variable | default | meaning |\n|---|---|---|---|\n";
                has_table = true;
            }
            let default = default.trim_matches('"');
            let default = if default.is_empty() {
                "not set".to_owned()
            } else {
                format!("`{default}`")
            };
            let variable = option.to_ascii_uppercase();
            let meaning = cell(&meaning.join(" "));
            let _ = writeln!(
                text,
                "| `{option}` | `PATHBOUND_{variable}` | {default} | {meaning} |"
            );
        } else {
            // An empty line ends a comment that belongs to no option, such as the file's head.
            meaning.clear();
        }
        if line.contains(" = ") && !line.starts_with('#') {
            meaning.clear();
        }
    }
    text
}

fn metrics() -> String {
    let mut text = String::from(
        "# Metrics\n\n\
         Made from `shared/src/telemetry/metric_table.rs` by `make reference`. Do not edit.\n\n\
         Every role serves its metrics at `/metrics` of the ops listener, in the format of Prometheus.\n\n\
         | metric | type | labels | meaning |\n|---|---|---|---|\n",
    );
    for metric in METRICS {
        let labels: Vec<String> = metric
            .labels
            .iter()
            .map(|label| format!("`{label}`"))
            .collect();
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} |",
            metric.name,
            metric.kind.as_str(),
            labels.join(", "),
            cell(metric.meaning)
        );
    }
    text
}

/// Text as it may stand in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// A metric as a macro in the code writes it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Written {
    name: String,
    kind: &'static str,
    labels: Vec<String>,
}

/// Collects the metrics of every Rust file below a folder, without those of its tests.
fn collect(folder: &Path, found: &mut BTreeSet<Written>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            if name != "tests" && name != "target" {
                collect(&path, found);
            }
        } else if name.ends_with(".rs") && name != "tests.rs" {
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            for kind in ["counter", "gauge", "histogram"] {
                for call in code.split(&format!("metrics::{kind}!(")).skip(1) {
                    found.insert(written(kind, arguments(call), &path));
                }
            }
        }
    }
}

/// The macro's arguments: the text up to the parenthesis that closes it.
fn arguments(call: &str) -> &str {
    let mut depth = 1_usize;
    for (at, byte) in call.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &call[..at];
        }
    }
    call
}

fn written(kind: &'static str, arguments: &str, path: &Path) -> Written {
    let name = arguments.trim_start().strip_prefix('"');
    let name = name.and_then(|name| name.split('"').next());
    Written {
        name: name
            .unwrap_or_else(|| panic!("{}: a metric's name must be a literal", path.display()))
            .to_owned(),
        kind,
        labels: arguments
            .split(" =>")
            .map(|before| before.rsplit('"').nth(1).unwrap_or_default().to_owned())
            .take(arguments.matches(" =>").count())
            .collect(),
    }
}
