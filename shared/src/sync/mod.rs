//! The decisions: what to fetch next, what to store, when to wait, when to stop.
//!
//! A *slice* is some pages, a batch of threads, or one scroll through the companies. Each step of it ends in a
//! transaction that holds both the fetched objects and the cursor behind them. `sync` does not know that a queue
//! exists, because a slice returns what should happen next.
//!
//! | file                              | task                                                     |
//! |-----------------------------------|----------------------------------------------------------|
//! | `work.rs`                         | takes a stream over and runs its job                     |
//! | `reference.rs` … `threads.rs`     | one job per stream, each a `run(cx)`                     |
//! | `slice.rs`                        | the context that every job uses                          |
//! | `course.rs`, `paged_walk.rs`      | a walk page by page, and the polls between its pages     |
//! | `walk_ranges.rs`, `walk_range.rs` | the ranges that a full walk of conversations reads       |
//! | `*_page.rs`, `*_store.rs`         | a page as it was read, and the transaction that keeps it |
//! | `outcome.rs`, `failure.rs`        | what follows from a slice that ended well, or failed     |
//! | `failures.rs`                     | what is logged of slices that fail again and again       |
//! | `refusal.rs`, `belief.rs`         | what follows from a refusal, and how long it is doubted  |
//! | `connect.rs`, `replay.rs`         | connecting a workspace, and replaying its quarantine     |
//! | `key_rotation.rs`                 | sealing all tokens anew with another key                 |

mod attempt;
mod audit;
mod belief;
mod bisect;
mod block_messages;
mod calls;
pub mod companies;
mod companies_by_id;
mod company_walk;
pub mod connect;
mod contact_absences;
mod contact_companies;
mod contact_culprit;
mod contact_page;
mod contact_questions;
mod contact_route;
mod contact_store;
mod contact_walk;
pub mod contacts;
mod context;
mod conversation_answer;
mod conversation_bisect;
mod conversation_page;
mod conversation_store;
mod conversation_walk;
pub mod conversations;
mod course;
mod deleted_conversations;
mod error;
mod failure;
mod failures;
mod fence_gate;
mod future_dated;
mod key_rotation;
mod outcome;
mod overlap_probe;
mod page_objects;
mod page_size;
mod paged_walk;
mod record_faults;
pub mod reference;
mod reference_lists;
mod reference_trouble;
mod reference_walk;
mod refusal;
mod replay;
mod set_aside;
mod slice;
mod statistics;
mod thread_answer;
mod thread_backlog;
mod thread_batch;
mod thread_doubt;
mod thread_store;
pub mod threads;
mod walk_range;
mod walk_ranges;
mod work;

pub use context::Context;
pub use error::SliceError;
pub use failures::SliceFailures;
pub use fence_gate::FENCE_RECHECK_INTERVAL;
pub use key_rotation::{CONCURRENCY, Rotated, rotate_keys};
pub use outcome::SliceOutcome;
pub use replay::{Replayed, replay};
pub use slice::SliceContext;
pub use work::{Job, crashed, work};
