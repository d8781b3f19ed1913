//! The words of what readers search: those of a stored object, and those of a query.
//!
//! No language is assumed. Words are compared without case and accents, and without endings, so a query finds the words
//! that begin with it. Addresses and numbers are found whole and by their parts. Scripts without spaces between words are
//! cut into pairs of characters. Postgres stores and compares the result (`tsvector`, `tsquery`), and has no say in what a
//! word is.

mod document;
mod folding;
mod query;
mod scope;
mod snippet;
mod words;

pub use document::{DocumentWords, TEXT_BYTES, Weight};
pub use query::SearchQuery;
pub use scope::{Band, SearchKind, WordScope, is_one_word};
pub use snippet::snippet;
