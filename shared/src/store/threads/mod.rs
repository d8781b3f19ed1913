//! The `threads` table: which conversations' parts are pending, and what became of each fetch.
//!
//! - `backlog`: stubs make threads pending, and a slice reads the pending ones,
//! - `answers`: fetched and failed threads are stored with the fate that `domain::thread_fate` decides,
//! - `reopen`: threads that are stored already are fetched once more.

mod answers;
mod backlog;
mod reopen;

pub use answers::{FailedThread, FetchedThread};
pub(super) use backlog::StubVersion;
pub use backlog::{PendingThread, ThreadBacklog};
pub(super) use reopen::Reopen;
