//! What readers search: documents that are derived from objects, and how far they are behind.

mod exact;
mod finding;
mod indexing;

pub use finding::{FoundDocument, SearchCandidate, SearchProgress, WordQuery};
pub use indexing::SearchDocument;
