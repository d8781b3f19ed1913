//! All figures of one tree.

use serde_json::{Map, Value};

use crate::{
    circles,
    functions::{self, Spread},
    names,
    prose::{self, Prose},
    source::Source,
    tree::Tree,
    twins,
};

/// A row of the table: a name and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    pub name: String,
    pub value: Number,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    Count(usize),
    /// Printed with one decimal.
    Rate(f64),
    Spread(Spread),
}

/// Measures a tree. The order is the order of the table.
#[must_use]
pub fn of(tree: &Tree) -> Vec<Figure> {
    let mut figures = sizes("product", &tree.product);
    figures.extend(sizes("tests", &tree.tests));
    let prose = prose::of(tree);
    for kind in &prose {
        let rate = prose::rate(kind.semicolons.len(), kind.words);
        figures.push(rated(
            &format!("semicolons per 1,000 words: {}", kind.kind),
            rate,
        ));
    }
    let all = |count: fn(&Prose) -> usize| prose.iter().map(count).sum::<usize>();
    let words = all(|kind| kind.words);
    let semicolons = all(|kind| kind.semicolons.len());
    let persons = all(|kind| kind.persons.len());
    figures.extend([
        rated(
            "semicolons per 1,000 words: all",
            prose::rate(semicolons, words),
        ),
        rated(
            "who, whoever, nobody… per 1,000 words: all",
            prose::rate(persons, words),
        ),
        count("words in documents and comments", words),
        count(
            "retired words in identifiers",
            names::retired(&tree.product).len(),
        ),
        count(
            "type names defined in several files",
            names::types_defined_twice(&tree.product).len(),
        ),
        count(
            "import circles in shared",
            circles::of(&tree.product, "shared/src/").len(),
        ),
        count("twins of six lines or more", twins::of(&tree.product).len()),
        count("tracked files", tree.tracked),
    ]);
    figures
}

fn sizes(kind: &str, sources: &[Source]) -> Vec<Figure> {
    let spread = |name: &str, spread| Figure {
        name: format!("{kind}: {name}"),
        value: Number::Spread(spread),
    };
    vec![
        count(&format!("{kind}: Rust files"), sources.len()),
        spread("lines per file", functions::file_lines(sources)),
        spread("lines per function", functions::function_lines(sources)),
        spread("tokens per function", functions::function_tokens(sources)),
        rated(
            &format!("{kind}: documentation, % of lines"),
            functions::doc_density(sources),
        ),
        rated(
            &format!("{kind}: comments per 100 code lines in functions"),
            functions::comments_inside(sources),
        ),
    ]
}

fn count(name: &str, count: usize) -> Figure {
    Figure {
        name: name.to_owned(),
        value: Number::Count(count),
    }
}

fn rated(name: &str, rate: f64) -> Figure {
    Figure {
        name: name.to_owned(),
        value: Number::Rate(rate),
    }
}

/// The figures as a JSON object, in their order by name.
#[must_use]
pub fn json(figures: &[Figure]) -> Value {
    let members = figures.iter().map(|figure| {
        let value = match figure.value {
            Number::Count(count) => count.into(),
            Number::Rate(rate) => ((rate * 10.0).round() / 10.0).into(),
            Number::Spread(spread) => serde_json::json!({
                "median": spread.median, "p90": spread.p90, "max": spread.max,
            }),
        };
        (figure.name.clone(), value)
    });
    Value::Object(members.collect::<Map<_, _>>())
}
