//! Words and semicolons of documents and comments. Code in them does not count.

use crate::{
    Place,
    comments::{self, Comment},
    source::Source,
    tree::Tree,
};

/// A kind of text, with all its lines.
#[derive(Debug)]
pub struct Prose {
    pub kind: &'static str,
    pub words: usize,
    /// Every semicolon.
    pub semicolons: Vec<Place>,
    /// Every "whoever", "nobody" and the like.
    pub persons: Vec<Place>,
}

const PERSONS: [&str; 7] = [
    "whoever",
    "nobody",
    "somebody",
    "anybody",
    "everybody",
    "whom",
    "who",
];

/// README, ARCHITECTURE, and the comments by language.
#[must_use]
pub fn of(tree: &Tree) -> Vec<Prose> {
    let mut kinds = [
        "README.md",
        "ARCHITECTURE.md",
        "Rust comments (product)",
        "Rust comments (tests)",
        "Lua comments",
        "shell, make, TOML comments",
    ]
    .map(Prose::new);
    for (path, text) in &tree.texts {
        let is_document = path.ends_with(".md");
        let kind = match path.as_str() {
            "README.md" => 0,
            "ARCHITECTURE.md" => 1,
            _ if path.ends_with(".lua") => 4,
            _ => 5,
        };
        let lines = if is_document {
            document(text)
        } else {
            comments::of_script(path, text)
        };
        kinds[kind].add(path, &lines);
    }
    for source in &tree.product {
        let is_test = |comment: &Comment| source.is_test(comment.line);
        let (tests, product): (Vec<_>, Vec<_>) = source.comments.iter().cloned().partition(is_test);
        kinds[2].add(&source.path, &product);
        kinds[3].add(&source.path, &tests);
    }
    tree.tests
        .iter()
        .for_each(|source: &Source| kinds[3].add(&source.path, &source.comments));
    kinds.into()
}

fn document(text: &str) -> Vec<Comment> {
    let lines = text.lines().enumerate();
    lines
        .map(|(n, text)| Comment {
            line: n + 1,
            text: text.to_owned(),
            is_doc: true,
        })
        .collect()
}

impl Prose {
    fn new(kind: &'static str) -> Self {
        Self {
            kind,
            words: 0,
            semicolons: Vec::new(),
            persons: Vec::new(),
        }
    }

    fn add(&mut self, path: &str, lines: &[Comment]) {
        let mut in_code = false;
        for comment in lines {
            if comment.text.trim_start().starts_with("```") {
                in_code = !in_code;
            } else if !in_code {
                self.add_line(path, comment);
            }
        }
    }

    fn add_line(&mut self, path: &str, comment: &Comment) {
        let text = without_code(&comment.text);
        let place = || Place {
            path: path.to_owned(),
            line: comment.line,
            remark: comment.text.trim().to_owned(),
        };
        self.semicolons.extend(text.matches(';').map(|_| place()));
        for word in text
            .split_whitespace()
            .filter(|word| word.contains(char::is_alphabetic))
        {
            self.words += 1;
            let word = word
                .trim_matches(|c: char| !c.is_alphanumeric())
                .to_lowercase();
            if PERSONS.contains(&word.as_str()) {
                self.persons.push(place());
            }
        }
    }
}

/// Code between backquotes counts as one word.
fn without_code(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts
        .map(|(n, part)| if n % 2 == 0 { part } else { "code" })
        .collect()
}

/// Per 1,000 words.
#[must_use]
pub fn rate(count: usize, words: usize) -> f64 {
    if words == 0 {
        0.0
    } else {
        count as f64 * 1000.0 / words as f64
    }
}
