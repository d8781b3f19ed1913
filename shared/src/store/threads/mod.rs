//! The `threads` table: which conversations' parts are pending, and what became of each fetch.
//!
//! - `backlog`: stubs make threads pending, and a slice reads the pending ones,
//! - `answers`, `failures`: fetched and failed threads are stored with the fates that `domain::thread_fate` decides,
//! - `reopen`: threads that are stored already are fetched once more.

mod answers;
mod backlog;
mod failures;
mod reopen;

pub use answers::FetchedThread;
pub(super) use backlog::StubVersion;
pub use backlog::{DueThreads, PendingThread, ThreadBacklog};
pub use failures::FailedThread;
pub(super) use reopen::Reopen;
