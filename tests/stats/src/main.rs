//! `make stats`: prints the figures of the working tree, and of commits beside it.

use std::{fmt::Write as _, io, path::PathBuf, process::ExitCode};

use clap::{Parser, ValueEnum};
use stats::{Place, circles, figures, functions, names, prose, table, tree::Tree, twins};

#[derive(Parser)]
struct Arguments {
    /// A commit to measure too, in a column of its own. May be given several times.
    #[arg(long)]
    rev: Vec<String>,
    /// Print JSON: an object of figures per tree.
    #[arg(long)]
    json: bool,
    /// Print every place that counts for a figure, in the working tree.
    #[arg(long)]
    list: Option<List>,
    /// The repository.
    #[arg(default_value = ".")]
    root: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum List {
    Semicolons,
    /// "who", "whoever", "nobody" and the like in documents and comments.
    Persons,
    /// Retired words in identifiers.
    Words,
    Circles,
    Twins,
    /// Files over 300 lines, functions over 38.
    Long,
    /// Files with few comments inside functions.
    Comments,
    /// Type names that several files define.
    Types,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("stats: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> io::Result<String> {
    let tree = Tree::read(&arguments.root)?;
    if let Some(list) = arguments.list {
        return Ok(listed(&tree, list));
    }
    let mut columns = Vec::new();
    for rev in &arguments.rev {
        let measured = figures::of(&Tree::at(&arguments.root, rev)?);
        columns.push((rev.chars().take(12).collect(), measured));
    }
    columns.push(("working tree".to_owned(), figures::of(&tree)));
    if !arguments.json {
        return Ok(table::of(&columns));
    }
    let json: serde_json::Map<_, _> = columns
        .into_iter()
        .map(|(name, figures)| (name, figures::json(&figures)))
        .collect();
    Ok(format!("{:#}\n", serde_json::Value::Object(json)))
}

fn listed(tree: &Tree, list: List) -> String {
    let prose = || prose::of(tree).into_iter();
    let places: Vec<Place> = match list {
        List::Semicolons => prose().flat_map(|kind| kind.semicolons).collect(),
        List::Persons => prose().flat_map(|kind| kind.persons).collect(),
        List::Words => names::retired(&tree.product),
        List::Twins => twins::of(&tree.product),
        List::Long => functions::long(&tree.product),
        List::Comments => functions::uncommented(&tree.product),
        List::Types => names::types_defined_twice(&tree.product)
            .into_values()
            .flatten()
            .collect(),
        List::Circles => return circles_listed(tree),
    };
    places.iter().map(|place| format!("{place}\n")).collect()
}

fn circles_listed(tree: &Tree) -> String {
    let mut text = String::new();
    for (n, circle) in circles::of(&tree.product, "shared/src/").iter().enumerate() {
        let _ = writeln!(text, "circle {} of {} files", n + 1, circle.files.len());
        for (file, needs) in &circle.arrows {
            let _ = writeln!(text, "  {file} -> {needs}");
        }
    }
    text
}
