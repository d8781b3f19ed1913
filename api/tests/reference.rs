//! `deploy/reference/openapi.json`: the committed description of the API. It is what the code describes, and it breaks no
//! program that was written for the description before. `make reference` writes it anew.

#![expect(clippy::unwrap_used, reason = "tests")]

mod breaking;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

const FILE: &str = "deploy/reference/openapi.json";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

#[test]
fn the_description_is_fresh() {
    let path = root().join(FILE);
    let text = api::openapi::text();
    if std::env::var("REFERENCE").is_ok_and(|mode| mode == "write") {
        std::fs::write(&path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == text,
        "{FILE} is stale: run `make reference` and commit the result"
    );
}

#[test]
fn nothing_that_was_described_is_taken_back() {
    let Some((revision, old)) = described_before() else {
        return;
    };
    let changes = breaking::changes(&old, &api::openapi::document());
    assert!(
        changes.is_empty(),
        "programs that were written for {revision} would break:\n{}",
        changes.join("\n")
    );
}

/// The description of the last release, or else of the branch point from main, or else of the last commit.
fn described_before() -> Option<(String, Value)> {
    let revision = ["origin/main", "main"]
        .iter()
        .find_map(|main| git(&["merge-base", "HEAD", main]));
    let revision = git(&["describe", "--tags", "--abbrev=0"])
        .or(revision)
        .or_else(|| git(&["rev-parse", "HEAD"]));
    let Some(revision) = revision else {
        eprintln!("SKIPPED: breaking changes are NOT looked for, git shows no history here");
        return None;
    };
    let Some(text) = git(&["show", &format!("{revision}:{FILE}")]) else {
        eprintln!("SKIPPED: breaking changes are NOT looked for, {revision} has no {FILE}");
        return None;
    };
    Some((revision, serde_json::from_str(&text).unwrap()))
}

/// What git prints, unless it fails or is not there.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        // A checkout may belong to another account than the tests.
        .args(["-c", "safe.directory=*"])
        .args(arguments)
        .current_dir(root())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
