//! `deploy/reference/`: the committed shapes of `-o json`, the commands, the problems of the API, and the dashboards of the
//! chart. `make reference` writes them anew.

#![cfg(feature = "demo")]
#![expect(clippy::unwrap_used, reason = "tests")]

mod dashboards;

use std::{collections::BTreeSet, path::Path};

use clap::CommandFactory as _;
use pathbound::{cli::Cli, failure::EXIT_CODES, outputs};

const FILE: &str = "deploy/reference/outputs.json";

const COMMANDS: &str = "deploy/reference/commands.md";
const PROBLEMS: &str = "deploy/reference/problems.md";

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
fn the_commands_and_their_exit_codes_are_fresh() {
    let mut text =
        "<!-- Made by `make reference` from `deploy/pathbound/src/cli.rs`. -->\n\n# Exit codes\n\n\
        | code | meaning |\n|---|---|\n"
            .to_owned();
    for (code, meaning) in EXIT_CODES {
        text += &format!("| {code} | {meaning} |\n");
    }
    text += "| 130 | a second signal ended the process at once |\n\n";
    let options = clap_markdown::MarkdownOptions::new()
        .title("Commands".to_owned())
        .show_footer(false);
    text += &clap_markdown::help_markdown_command_custom(&Cli::command(), &options);
    check(COMMANDS, &format!("{}\n", text.trim_end()));
}

#[test]
fn the_help_names_every_exit_code() {
    let listed = EXIT_CODES.map(|(code, meaning)| format!("{code} {meaning}"));
    let help = Cli::command().get_long_about().unwrap().to_string();
    let sentence = format!("Exit codes: {}.", listed.join(", "));
    assert!(help.contains(&sentence), "{help}");
}

#[test]
fn the_problems_are_fresh() {
    let head = "<!-- Made by `make reference` from `api/src/codes.rs`. -->\n\n# Problems\n\n\
        Every error of the API is a problem (`application/problem+json`). A client decides by its `code`, which is never \
        renamed and never has another status. `detail` says what is wrong in words that may change.\n\n";
    check(PROBLEMS, &format!("{head}{}", api::Code::table()));
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
