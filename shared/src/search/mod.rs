//! Search: documents are derived from what `store` holds, behind the commits and in the order of the feed, and queries
//! read them.

mod documents;
mod indexing;
mod searching;

pub use indexing::{IndexedSlice, index_slice};
pub use searching::{
    FILTER_CHARACTERS, QUERY_CHARACTERS, SearchFilters, SearchHit, SearchMatches, SearchPosition,
    SearchRequest, find,
};
