//! Measures the tree: sizes, comments, words, import circles, twins. `make stats` prints the table.
//!
//! - [`tree`] reads the files of a folder, [`source`] parses a Rust file into lines, tokens and items.
//! - [`functions`], [`prose`], [`names`], [`circles`] and [`twins`] each measure one thing and name
//!   every place that counts.
//! - [`figures`] puts the numbers together, [`table`] prints them side by side.
//!
//! `tests/it/architecture.rs` uses the same code, so the test and the table cannot disagree.

pub mod circles;
pub mod comments;
pub mod figures;
pub mod functions;
pub mod names;
pub mod prose;
pub mod source;
pub mod table;
pub mod tree;
pub mod twins;

use std::fmt;

/// A line of a file, with a remark: what `--list` prints.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Path below the root of the tree.
    pub path: String,
    /// Counted from 1.
    pub line: usize,
    pub remark: String,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.path, self.line, self.remark)
    }
}
