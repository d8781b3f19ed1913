//! `deploy/reference/outputs.json`: the committed shapes of `-o json`, and the dashboards of the chart. `make reference`
//! writes them anew.

#![cfg(feature = "demo")]
#![expect(clippy::unwrap_used, reason = "tests")]

mod dashboards;

use std::{collections::BTreeSet, path::Path};

use clap::CommandFactory as _;
use pathbound::{cli::Cli, outputs};

const FILE: &str = "deploy/reference/outputs.json";

/// Where the dashboards are.
const DASHBOARDS: &str = "deploy/helm/pathbound/files/dashboards";

/// Compares a text with its committed file, or writes the file if `REFERENCE=write` asks for it.
fn check(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(file);
    if std::env::var("REFERENCE").is_ok_and(|mode| mode == "write") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == text,
        "{file} is stale: run `make reference` and commit the result"
    );
}

#[test]
fn the_shapes_of_outputs_are_fresh() {
    check(FILE, &outputs::text());
}

#[test]
fn the_dashboards_are_fresh() {
    for dashboard in dashboards::DASHBOARDS {
        check(
            &format!("{DASHBOARDS}/{}", dashboard.file),
            &dashboard.text(),
        );
    }
}

/// Which serve, or print text for other programs whatever the format is.
const WITHOUT_A_SHAPE: [&str; 9] = [
    "all",
    "api",
    "completions",
    "demo worker",
    "man",
    "openapi",
    "scheduler",
    "unpack",
    "worker",
];

fn names(command: &clap::Command, above: &str, names: &mut BTreeSet<String>) {
    for below in command.get_subcommands() {
        let name = format!("{above}{}", below.get_name());
        let takes_one = below.is_subcommand_required_set();
        if !takes_one {
            names.insert(name.clone());
        }
        self::names(below, &format!("{name} "), names);
    }
}

#[test]
fn every_command_has_a_shape_or_prints_no_data() {
    let mut commands = BTreeSet::new();
    names(&Cli::command(), "", &mut commands);
    let document = outputs::document();
    let shapes = document["commands"].as_object().unwrap();
    let mut known: BTreeSet<String> = shapes.keys().cloned().collect();
    known.extend(WITHOUT_A_SHAPE.map(str::to_owned));
    assert_eq!(known, commands);
}
