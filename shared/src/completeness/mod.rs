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
//! | `notes.rs`     | facts that do not change the answer              |
//! | `judge.rs`     | the answer                                       |
//! | `summary.rs`   | the answer in brief                              |
//! | `status.rs`    | the answer's types                               |
//! | `sentences.rs` | every sentence that a customer or operator reads |

mod facts;
mod judge;
mod notes;
mod reasons;
mod sentences;
mod status;
mod summary;

pub use facts::{
    AuditFacts, Blocked, ConnectionFacts, Facts, OpenRun, QuarantineFacts, SetAsideFacts,
    StreamFacts, ThreadCounts, WaitingThreads,
};
pub use judge::judge;
pub use sentences::thread_reason;
pub use status::{Reason, StreamActivity, StreamStatus, SyncStatus};
