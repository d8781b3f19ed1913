//! Why a slice stopped before its end.

use crate::{intercom, store::StoreError};

/// Why a slice stopped.
#[derive(Debug, thiserror::Error)]
pub(super) enum SliceError {
    #[error(transparent)]
    Intercom(#[from] intercom::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The walk's own state cannot go on: it starts over.
    #[error("the walk starts over: {0}")]
    StartOver(&'static str),
    /// The walk was cut off; what its cursor says still holds.
    #[error("the walk was cut off: {0}")]
    Broken(&'static str),
    /// The slice could not say itself what went wrong.
    #[error("{0}")]
    Crashed(&'static str),
    #[error(
        "{0} workers in a row died with it in hand: it is tried again once soon, then in an hour, or when an operator says so"
    )]
    Deadly(u32),
    #[error("the token cannot be opened: {0}")]
    Token(String),
}
