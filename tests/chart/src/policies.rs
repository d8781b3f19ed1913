//! What linters of others say, without what `exceptions.toml` explains.

use std::{path::Path, process::Command};

use serde_json::Value;
use toml::Table;

use crate::{
    Failure,
    chart::Render,
    object::{list, text},
    report::Report,
    tools::{self, Tools},
};

/// Findings that are meant so, each with its reason.
const EXCEPTIONS: &str = include_str!("../exceptions.toml");

/// A finding that is explained, by the check and by a part of the place's name.
struct Exception {
    check: String,
    place: String,
}

fn exceptions() -> Result<Vec<Exception>, Failure> {
    let table: Table = EXCEPTIONS.parse()?;
    let entries = table.get("exception").and_then(toml::Value::as_array);
    let mut exceptions = Vec::new();
    for entry in entries.into_iter().flatten() {
        let field = |name: &str| {
            entry
                .get(name)
                .and_then(toml::Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        if field("check").is_empty() || field("reason").is_empty() {
            return Err("an exception lacks its check or its reason".into());
        }
        exceptions.push(Exception {
            check: field("check"),
            place: field("place"),
        });
    }
    Ok(exceptions)
}

impl Exception {
    fn explains(&self, check: &str, place: &str) -> bool {
        self.check == check && place.contains(&self.place)
    }
}

/// Judges all objects of Helm 4. An exception that explains nothing any more is a failure.
pub(crate) fn checkov(
    report: &mut Report,
    renders: &[Render],
    tools: &Tools,
) -> Result<(), Failure> {
    if !tools.checkov().exists() {
        println!("SKIPPED: policies are NOT checked by checkov, it could not be had");
        report.skipped("checkov");
        return Ok(());
    }
    // checkov looks into no hidden folder.
    let folder = tempfile::Builder::new().prefix("chart").tempdir()?;
    for render in renders
        .iter()
        .filter(|render| render.helm == tools::Helm::Four)
    {
        std::fs::write(folder.path().join(&render.values), &render.yaml)?;
    }
    let mut command = Command::new(tools.checkov());
    command.args([
        "--framework",
        "kubernetes",
        "--compact",
        "--quiet",
        "--output",
        "json",
        "--directory",
    ]);
    // It ends with 1 if it has findings.
    let output = tools::output(command.arg(folder.path()))?;
    let answer: Value = serde_json::from_slice(&output.stdout).map_err(|error| {
        format!(
            "checkov printed no JSON: {error}: {}",
            tools::errors(&output)
        )
    })?;
    if answer
        .pointer("/summary/passed")
        .and_then(Value::as_u64)
        .unwrap_or(0)
        == 0
    {
        return Err("checkov has judged nothing".into());
    }
    let failed = list(&answer, "/results/failed_checks").iter();
    let findings = failed.map(|finding| {
        let place = format!(
            "{} {}",
            text(finding, "/file_path"),
            text(finding, "/resource")
        );
        (
            text(finding, "/check_id").to_owned(),
            place,
            text(finding, "/check_name").to_owned(),
        )
    });
    let findings: Vec<_> = findings.collect();
    let exceptions = exceptions()?;
    let stale = exceptions.iter().filter(|exception| {
        exception.check.starts_with("CKV")
            && !findings
                .iter()
                .any(|(check, place, _)| exception.explains(check, place))
    });
    let stale = stale.map(|exception| {
        format!(
            "nothing is found by {} in {:?}",
            exception.check, exception.place
        )
    });
    report.check("exceptions are needed", stale.collect());
    let unexplained = findings.iter().filter(|(check, place, _)| {
        !exceptions
            .iter()
            .any(|exception| exception.explains(check, place))
    });
    let unexplained = unexplained.map(|(check, place, name)| format!("{check} {place}: {name}"));
    report.linted("checkov", unexplained.collect());
    Ok(())
}

/// Judges the Dockerfile.
pub(crate) fn dockerfile(report: &mut Report, root: &Path, tools: &Tools) -> Result<(), Failure> {
    if !tools.hadolint().exists() {
        println!("SKIPPED: the Dockerfile is NOT checked, hadolint could not be had");
        report.skipped("hadolint");
        return Ok(());
    }
    let mut command = Command::new(tools.hadolint());
    let output = tools::output(
        command
            .args(["--format", "json"])
            .arg(root.join("deploy/Dockerfile")),
    )?;
    let answer: Value = serde_json::from_slice(&output.stdout).map_err(|error| {
        format!(
            "hadolint printed no JSON: {error}: {}",
            tools::errors(&output)
        )
    })?;
    let exceptions = exceptions()?;
    let findings = list(&answer, "").iter().filter(|finding| {
        !exceptions
            .iter()
            .any(|exception| exception.explains(text(finding, "/code"), "Dockerfile"))
    });
    let findings = findings.map(|finding| {
        format!(
            "{} line {}: {}",
            text(finding, "/code"),
            finding["line"],
            text(finding, "/message")
        )
    });
    report.linted("hadolint", findings.collect());
    Ok(())
}
