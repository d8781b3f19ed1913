//! The arrows between layers, and the layers that may name a library: ARCHITECTURE.md's rules, as tests.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// A layer of `shared`, and the layers that it may know.
const LAYERS: &[(&str, &[&str])] = &[
    ("autoscale", &[]),
    ("backoff", &[]),
    ("domain", &["backoff"]),
    ("completeness", &["domain"]),
    ("vault", &["domain"]),
    ("config", &["domain", "vault"]),
    ("tls", &[]),
    ("egress", &["config", "tls"]),
    ("telemetry", &["config", "domain", "egress", "store"]),
    (
        "authorization",
        &["config", "domain", "egress", "telemetry", "vault"],
    ),
    ("link", &["config", "domain", "tls"]),
    (
        "pacing",
        &["backoff", "config", "domain", "link", "telemetry"],
    ),
    ("intercom", &["config", "domain", "egress", "pacing"]),
    ("store", &["completeness", "config", "domain"]),
    ("profiles", &["domain", "intercom", "store"]),
    ("text", &[]),
    ("search", &["domain", "profiles", "store", "text"]),
    (
        "sync",
        &[
            "backoff",
            "config",
            "domain",
            "intercom",
            "store",
            "telemetry",
            "vault",
        ],
    ),
    (
        "queue",
        &[
            "backoff",
            "config",
            "domain",
            "link",
            "shutdown",
            "telemetry",
        ],
    ),
];

/// A library of the outside, and the layers or files that may name it.
const ONLY: &[(&str, &[&str])] = &[
    ("apalis", &["queue"]),
    ("apalis_core", &["queue"]),
    ("governor", &["pacing", "api/src/limits.rs"]),
    ("jsonwebtoken", &["authorization"]),
    (
        "maud",
        &["api/src/pages/", "api/src/oauth/", "api/src/ops/pages/"],
    ),
    ("phonenumber", &["domain"]),
    ("psl", &["domain"]),
    ("redis", &["link", "queue", "pacing"]),
    ("rmcp", &["api/src/mcp/"]),
    ("sqlx", &["store"]),
    ("reqwest", &["authorization", "egress", "intercom"]),
    ("ring", &["vault"]),
    ("zstd", &["store"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Every Rust file below a folder, as path → code without comments and tests.
fn sources(folder: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // Built files are no sources.
                if path.file_name().is_some_and(|name| name != "target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                // Unit tests may name what the layer itself must not.
                let code = text.split("#[cfg(test)]").next().unwrap();
                let code: String = code
                    .lines()
                    .map(|line| line.split("//").next().unwrap())
                    .collect::<Vec<_>>()
                    .join("\n");
                found.insert(
                    path.strip_prefix(root()).unwrap().display().to_string(),
                    code,
                );
            }
        }
    }
    assert!(!found.is_empty());
    found
}

fn layer_of(path: &str) -> Option<&str> {
    let below = path.strip_prefix("shared/src/")?;
    Some(below.split('/').next()?.trim_end_matches(".rs"))
}

/// Whether code names a crate or module, as `name::` or in a `use`, and not as part of another word.
fn names(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = &code[at + name.len()..];
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
            && after.starts_with("::")
    })
}

#[test]
fn each_layer_knows_only_those_to_its_left() {
    let mut seen = Vec::new();
    for (path, code) in sources("shared/src") {
        let Some(layer) = layer_of(&path) else {
            continue;
        };
        let Some((layer, may)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
            continue;
        };
        seen.push(*layer);
        for (other, _) in LAYERS
            .iter()
            .filter(|(other, _)| other != layer && !may.contains(other))
        {
            let direct = format!("crate::{other}");
            // `use crate::{config::…, store::…}` groups are searched up to their end.
            let grouped = code.split("crate::{").skip(1).any(|group| {
                let group = group.split(';').next().unwrap();
                names(&format!(" {}", group.replace(['{', ',', '\n'], " ")), other)
            });
            assert!(
                !code.contains(&format!("{direct}::")) && !grouped,
                "{path} knows `{other}`, which `{layer}` must not"
            );
        }
    }
    for (layer, _) in LAYERS {
        assert!(seen.contains(layer), "there is no layer {layer}");
    }
}

#[test]
fn only_its_layers_name_a_library() {
    for (path, code) in sources("shared/src") {
        for (library, homes) in ONLY {
            if !layer_of(&path).is_some_and(|layer| homes.contains(&layer)) {
                assert!(
                    !names(&code, library),
                    "{path} names {library}, which only {homes:?} may"
                );
            }
        }
    }
}

#[test]
fn no_role_goes_around_the_library() {
    for role in ["api/src", "scheduler/src", "worker/src"] {
        for (path, code) in sources(role) {
            for (library, homes) in ONLY {
                assert!(
                    homes.iter().any(|home| path.starts_with(home)) || !names(&code, library),
                    "{path} names {library}: that is {homes:?}'s, of `shared`"
                );
            }
        }
    }
}

/// The clocks of processes may be wrong, because Redis times budgets and leases, and no operator sets the clock that
/// waits use.
#[test]
fn neither_pacing_nor_the_queue_reads_a_wall_clock() {
    for folder in ["shared/src/pacing", "shared/src/queue"] {
        for (path, code) in sources(folder) {
            for clock in ["SystemTime", "Utc::now", "Local::now", "UNIX_EPOCH"] {
                assert!(
                    !code.contains(clock),
                    "{path} reads {clock}, by which two processes may disagree"
                );
            }
        }
    }
}

#[test]
fn the_top_level_is_fixed() {
    const FIXED: &[&str] = &[
        "ARCHITECTURE.md",
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE",
        "Makefile",
        "README.md",
        "api",
        "deploy",
        "migrations",
        "scheduler",
        "shared",
        "target",
        "tests",
        "worker",
    ];
    for entry in std::fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            name.starts_with('.') || FIXED.contains(&name.as_str()),
            "{name} does not belong at the top level"
        );
    }
}

#[test]
fn lints_are_expected_with_a_reason_and_never_allowed() {
    for folder in ["api", "deploy", "scheduler", "shared", "tests", "worker"] {
        for (path, code) in sources(folder) {
            if !path.ends_with("tests/it/architecture.rs") {
                assert!(
                    !code.contains("#[allow(") && !code.contains("#![allow("),
                    "{path} allows a lint: expect it, with a reason"
                );
            }
        }
    }
}

/// Tests whose subject is the database or this tree.
const ABOUT_SQL: &[&str] = &["tests/it/architecture.rs", "tests/it/tenancy.rs"];

#[test]
fn tests_read_the_database_through_the_harness() {
    for (path, code) in sources("tests/it") {
        if path.starts_with("tests/it/support/") || ABOUT_SQL.contains(&path.as_str()) {
            continue;
        }
        for sign in [
            "sqlx",
            ".sql(",
            "SELECT ",
            "UPDATE ",
            "INSERT INTO ",
            "DELETE FROM ",
        ] {
            assert!(
                !code.contains(sign),
                "{path} has SQL of its own ({sign}): give tests/it/support a verb for it"
            );
        }
    }
}

#[test]
fn no_migration_is_without_isolation() {
    let mut tables = Vec::new();
    let mut isolated = Vec::new();
    for entry in std::fs::read_dir(root().join("migrations")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "sql") {
            continue;
        }
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            if let Some(name) = line.strip_prefix("CREATE TABLE ") {
                tables.push(name.split([' ', '(']).next().unwrap().to_owned());
            }
            if let Some(name) = line.strip_prefix("SELECT isolate('") {
                isolated.push(name.split('\'').next().unwrap().to_owned());
            }
        }
    }
    assert!(tables.len() > 10);
    // The operators' own: no tenant's role has a right on it.
    tables.retain(|table| table != "pauses");
    for table in tables {
        assert!(
            isolated.contains(&table),
            "table {table} is not isolated: add SELECT isolate('{table}')"
        );
    }
}

/// The table has one home, so that a reader finds every change of a stream in one folder.
#[test]
fn only_one_folder_writes_streams() {
    for (path, code) in sources("shared/src") {
        if path.starts_with("shared/src/store/streams/") {
            continue;
        }
        for writes in [
            "UPDATE streams",
            "INSERT INTO streams",
            "DELETE FROM streams",
        ] {
            assert!(
                !code.contains(writes),
                "{path} has {writes}: move it to store/streams"
            );
        }
    }
}

/// One trace shows a slice with its calls and its statements, because each method of the store is a span.
#[test]
fn every_public_method_of_the_store_is_a_span() {
    for (path, code) in sources("shared/src/store") {
        let lines: Vec<&str> = code.lines().map(str::trim).collect();
        for (n, line) in lines.iter().enumerate() {
            let Some(method) = line.strip_prefix("pub async fn ") else {
                continue;
            };
            let name = method.split(['(', '<']).next().unwrap();
            let span = format!(
                "#[tracing::instrument(name = \"db.{name}\", level = \"debug\", skip_all)]"
            );
            assert_eq!(lines[n - 1], span, "{path}: {name} has no span of its name");
        }
    }
}

#[test]
fn files_of_shared_do_not_import_each_other() {
    let product = stats::tree::Tree::product(&root()).unwrap();
    let circles = stats::circles::of(&product, "shared/src/");
    assert!(circles.is_empty(), "import circles: {circles:#?}");
}

#[test]
fn no_identifier_uses_a_retired_word() {
    let product = stats::tree::Tree::product(&root()).unwrap();
    let places: Vec<String> = stats::names::retired(&product)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(places.is_empty(), "retired words:\n{}", places.join("\n"));
}

/// Every crate in the dependency tree of the product's binary.
fn crates_of_the_binary(arguments: &[&str]) -> String {
    let output = std::process::Command::new(std::env::var_os("CARGO").unwrap())
        .args([
            "tree",
            "--quiet",
            "--locked",
            "--package",
            "pathbound",
            "--edges",
            "normal",
        ])
        .args(["--prefix", "none", "--format", "{p}"])
        .args(arguments)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_release_has_no_simulator_and_no_launcher() {
    let names = ["intercom-simulator v", "servers v", "indicatif v"];
    // If the names were misspelt, the release would pass for the wrong reason.
    let with_demo = crates_of_the_binary(&[]);
    let release = crates_of_the_binary(&["--no-default-features"]);
    for name in names {
        assert!(with_demo.contains(name), "the demo does not need {name}");
        assert!(!release.contains(name), "a release needs {name}");
    }
}
