//! The decisions: what to fetch next, what to store, when to wait, when to stop.
//!
//! A *slice* is one page, a batch of threads, or one scroll through the companies. Each step of it ends in a
//! transaction that holds both the fetched objects and the cursor behind them. `sync` does not know that a queue
//! exists, because a slice returns what should happen next.

mod audit;
mod bisect;
mod block_messages;
mod companies;
pub mod connect;
mod contact_companies;
mod contacts;
mod context;
mod conversations;
mod error;
mod failure;
mod fence_gate;
mod future_dated;
mod outcome;
mod overlap_probe;
mod page_size;
mod reference;
mod replay;
mod slice;
mod threads;
mod work;

pub use context::Context;
use error::SliceError;
pub use fence_gate::FENCE_RECHECK_INTERVAL;
pub use outcome::{Next, Outcome};
use outcome::{Progress, Sliced};
pub use replay::{Replayed, replay};
pub use work::{crashed, work};
