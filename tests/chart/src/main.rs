//! `make chart`: renders the Helm chart and judges every object. The report is `target/chart/report.json`.
//!
//! There is no cluster here. In its place, each object is held against the schema of its kind with unknown keys refused,
//! and against rules of our own (`rules/`). What only a cluster can show, such as admission by expressions, the loops of
//! KEDA and of the HPA, and the network, is not tested here.

mod chart;
mod compose;
mod document;
mod generated;
mod kustomize;
mod object;
mod policies;
mod report;
mod rules;
mod schemas;
mod starts;
mod subchart;
mod tools;
mod typos;
mod upgrade;
mod values;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;

use crate::{
    chart::{Chart, Render},
    report::Report,
    tools::Tools,
};

/// Whatever stops the program itself.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Renders the Helm chart and judges every object.
#[derive(Debug, Parser)]
struct Arguments {
    /// Leave out checkov, which takes half a minute to install
    #[arg(long)]
    quick: bool,
    /// Write what is generated anew: the README of the chart, the schema of `config` and the Kustomize base
    #[arg(long, conflicts_with = "quick")]
    write: bool,
    /// The program that reads the configuration of each pod. Not given: that of the last build for tests
    #[arg(long)]
    binary: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Some(tools) = Tools::find() else {
        println!(
            "SKIPPED: the chart is NOT checked, Helm or the schemas of Kubernetes could not be had"
        );
        return ExitCode::SUCCESS;
    };
    match run(&arguments, &tools) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("chart: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether nothing was found.
fn run(arguments: &Arguments, tools: &Tools) -> Result<bool, Failure> {
    let root = Path::new(".");
    let chart = Chart::open(root, tools)?;
    if arguments.write {
        generated::write(&chart)?;
        kustomize::write(&chart)?;
        return Ok(true);
    }
    let mut report = Report::default();
    report.check("the generated files", generated::check(&chart)?);
    report.check("helm lint", chart.lint()?);
    let renders = chart.render_all()?;
    report.count(&renders);
    report.check("one render under Helm 3 and 4", chart::compare(&renders));
    report.check("types of Kubernetes", schemas::core(&renders, tools)?);
    report.check("types of operators", schemas::custom(&renders)?);
    for (name, rule) in rules::ALL {
        let found = renders.iter().flat_map(|render| render.found(rule));
        report.check(name, found.collect());
    }
    report.check("replicas by mode", values::replicas(&chart, &renders)?);
    starts(&mut report, arguments, &renders)?;
    report.check("typos and wrong types", typos::check(&chart)?);
    report.check("as a subchart", subchart::check(&chart)?);
    report.check("upgrades", upgrade::check(&chart)?);
    report.check("Kustomize", kustomize::check(&chart)?);
    report.check("the compose file", compose::check(root)?);
    report.check("examples in the document", document::check(&chart)?);
    policies::dockerfile(&mut report, root, tools)?;
    if arguments.quick {
        println!("SKIPPED: policies are NOT checked by checkov, because of --quick");
        report.skipped("checkov");
    } else {
        policies::checkov(&mut report, &renders, tools)?;
    }
    report.finish(&tools::target().join("chart/report.json"))
}

/// Without the program, each pod's configuration is only compared with the list of options.
fn starts(report: &mut Report, arguments: &Arguments, renders: &[Render]) -> Result<(), Failure> {
    let built = || tools::target().join("debug/pathbound");
    let binary = arguments.binary.clone().unwrap_or_else(built);
    if binary.exists() {
        let binary = binary.canonicalize()?;
        report.check(
            "every pod has what its role needs",
            starts::check(renders, &binary)?,
        );
    } else {
        println!(
            "SKIPPED: no program reads the pods' configuration, {} is not there",
            binary.display()
        );
        report.skipped("config check");
    }
    Ok(())
}
