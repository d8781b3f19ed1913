//! The decisions: what to fetch next, what to store, when to wait, when to stop.
//!
//! A *slice* is one page, a batch of threads, or one scroll through the companies. It ends in one
//! transaction that holds what was fetched and the cursor that says so. Nothing here knows of a queue:
//! a slice returns what should happen next.

mod audit;
mod bisect;
mod blocked;
mod companies;
pub mod connect;
mod contact_companies;
mod contacts;
mod conversations;
mod future;
mod page_size;
mod reference;
mod replay;
mod slice;
mod still_ours;
mod threads;
mod witness;

use std::{sync::Arc, time::Instant};

use crate::{
    config::Config,
    domain::Stream,
    intercom::{self, Intercom},
    shutdown::Shutdown,
    store::{Store, StoreError},
    vault::KeyRing,
};

pub use replay::{Replayed, replay};
pub use slice::{Next, Outcome, crashed, work};
pub use still_ours::UNSEEN;

/// What a slice may touch, and nothing else. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Context {
    pub store: Store,
    pub vault: Arc<KeyRing>,
    pub intercom: Intercom,
    pub config: Arc<Config>,
    /// The process is ending: begin nothing that can wait for another.
    pub stopping: Shutdown,
}

/// How a stream's slice ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Progress {
    /// There is more to fetch now.
    More,
    /// Nothing before this time.
    Wait(Instant),
    /// The walk ended; the store knows when the next one is due.
    Done,
}

/// Progress, and the streams that it made due.
#[derive(Debug)]
struct Sliced {
    progress: Progress,
    made_due: Vec<Stream>,
}

impl From<Progress> for Sliced {
    fn from(progress: Progress) -> Self {
        Self {
            progress,
            made_due: Vec::new(),
        }
    }
}

/// Why a slice stopped.
#[derive(Debug, thiserror::Error)]
enum SliceError {
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
