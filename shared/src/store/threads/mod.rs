//! The `threads` table: which conversations' parts are pending, and what became of each fetch.
//!
//! - `stubs`: stubs make threads pending,
//! - `backlog`: a slice reads the pending ones,
//! - `rows`: threads as they are stored, which everything here compares with,
//! - `answers`, `failures`: fetched and failed threads are stored with the fates that `domain::thread_fate` decides,
//! - `reopen`: threads that are stored already are fetched once more.

mod answers;
mod backlog;
mod failures;
mod reopen;
mod rows;
mod stubs;

pub use answers::FetchedThread;
pub use backlog::{DueThreads, PendingThread, ThreadBacklog};
pub use failures::FailedThread;
pub(super) use reopen::Reopen;
pub(super) use stubs::StubVersion;
