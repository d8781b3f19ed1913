//! Why a slice stopped before its end.

use crate::{
    intercom::{self, wire::ReferenceKind},
    store::StoreError,
};

/// Why a slice stopped. `failure.rs` gives each its consequence.
#[derive(Debug, thiserror::Error)]
pub enum SliceError {
    #[error(transparent)]
    Intercom(#[from] intercom::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Intercom refuses these lists of reference data, and serves others.
    #[error("intercom refuses lists of reference data: {}", names(.0))]
    RefusedLists(Vec<ReferenceKind>),
    /// One part of the reference data could not be read. The other parts were.
    #[error("{part} could not be read")]
    Part {
        part: &'static str,
        #[source]
        error: intercom::Error,
    },
    /// The walk's cursor is of no use any more.
    #[error("the walk starts over: {0}")]
    StartOver(&'static str),
    /// The walk was cut off. Its cursor is still good.
    #[error("the walk was cut off: {0}")]
    Broken(&'static str),
    /// The slice panicked or hung.
    #[error("{0}")]
    Crashed(&'static str),
    #[error(
        "{0} workers in a row died with this slice leased, so it is retried once soon, then hourly, or when an operator retries it"
    )]
    Deadly(u32),
    #[error("the token cannot be opened: {0}")]
    Token(String),
}

fn names(kinds: &[ReferenceKind]) -> String {
    let names: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    names.join(", ")
}
