//! What was checked and what was found.

use std::{collections::BTreeSet, path::Path};

use serde_json::json;

use crate::{Failure, chart::Render};

/// The result of all checks, as `report.json` has it.
#[derive(Debug, Default)]
pub(crate) struct Report {
    value_files: usize,
    objects: usize,
    failures: Vec<String>,
    /// Findings of linters that no exception explains.
    unexplained: Vec<String>,
    skipped: Vec<&'static str>,
}

impl Report {
    /// Counts what is judged: every object of every value file under every Helm.
    pub(crate) fn count(&mut self, renders: &[Render]) {
        let files: BTreeSet<_> = renders.iter().map(|render| &render.values).collect();
        self.value_files = files.len();
        self.objects = renders.iter().map(|render| render.objects.len()).sum();
    }

    /// Notes what a check has found.
    pub(crate) fn check(&mut self, name: &str, found: Vec<String>) {
        say(name, &found);
        self.failures
            .extend(found.into_iter().map(|fault| format!("{name}: {fault}")));
    }

    /// Notes what a linter has found and no exception explains.
    pub(crate) fn linted(&mut self, name: &str, unexplained: Vec<String>) {
        say(name, &unexplained);
        let named = unexplained
            .into_iter()
            .map(|fault| format!("{name}: {fault}"));
        self.unexplained.extend(named);
    }

    pub(crate) fn skipped(&mut self, name: &'static str) {
        self.skipped.push(name);
    }

    /// Writes the report. Returns whether nothing was found.
    pub(crate) fn finish(&self, path: &Path) -> Result<bool, Failure> {
        let report = json!({
            "value_files": self.value_files,
            "objects": self.objects,
            "failures": self.failures.len(),
            "unexplained_findings": self.unexplained.len(),
            "skipped": self.skipped,
            "found": self.failures.iter().chain(&self.unexplained).collect::<Vec<_>>(),
        });
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, format!("{report:#}\n"))?;
        println!(
            "{} objects from {} value files: {} failures, {} unexplained findings",
            self.objects,
            self.value_files,
            self.failures.len(),
            self.unexplained.len()
        );
        Ok(self.failures.is_empty() && self.unexplained.is_empty())
    }
}

fn say(name: &str, found: &[String]) {
    let end = if found.is_empty() { "ok" } else { "FAILED" };
    println!("{name}: {end}");
    for fault in found {
        println!("  {fault}");
    }
}
