//! Whether a connection's copy is complete, and if not, why.
//!
//! `store` reads the [`Facts`] of one connection. [`judge`] turns them into a [`SyncStatus`]: first
//! the reasons against completeness, then the notes beside it, then the status of each stream. The
//! layer knows `domain` alone and reads no clock, so equal facts always give an equal answer.
//!
//! | file           | step                                             |
//! |----------------|--------------------------------------------------|
//! | `facts.rs`     | what the store knows                             |
//! | `reasons.rs`   | facts that keep the copy from being complete     |
//! | `notes.rs`     | facts that are told without changing the answer  |
//! | `judge.rs`     | the answer                                       |
//! | `status.rs`    | the answer's types                               |
//! | `sentences.rs` | every sentence that a customer or operator reads |

mod facts;
mod judge;
mod notes;
mod reasons;
mod sentences;
mod status;

pub use facts::{
    Audit, Blocked, ConnectionFacts, Facts, OpenRun, Quarantined, StreamFacts, ThreadCounts,
};
pub use judge::judge;
pub use sentences::thread_reason;
pub use status::{Reason, StreamState, StreamStatus, SyncStatus};
