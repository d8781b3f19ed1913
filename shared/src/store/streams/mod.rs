//! The `streams` table: which work is due, how far each walk has come, and what is stored of it.
//!
//! Only this folder writes the table. In the order of a slice's life:
//! - `schedule`: the scheduler reads which streams are due,
//! - `claim`: a worker takes over one stream for one slice,
//! - `fence`: every write of the slice locks the stream's row and compares the fence,
//! - `progress`: the slice moves the cursor,
//! - `proof`: the counts of stored and expected objects that go with it,
//! - `finish`: the slice ends its walk, fails, idles or is blocked,
//! - `refusals`: what Intercom has refused so far, until it is believed or ends,
//! - `due`: everything else that makes a stream due, or stops it.

mod claim;
mod due;
mod fence;
mod finish;
mod progress;
mod proof;
mod refusals;
mod schedule;

pub use claim::{ClaimedStream, SliceKey, StreamClaim};
pub use finish::{CursorAfterFailure, WalkEnd};
pub use proof::ProofDelta;
pub use refusals::StreamRefusals;
pub use schedule::Due;
pub(super) use schedule::{DueRow, dues};
