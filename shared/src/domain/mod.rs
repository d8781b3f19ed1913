//! The records that we store and their names. No I/O, no async, no foreign shapes.

pub mod audit_event;
pub mod conversation_extras;
pub mod erased_text;
pub mod ids;
pub mod json_text;
pub mod masked;
mod operator_name;
pub mod permission;
pub mod profile;
pub mod records;
pub mod region;
pub mod search;
pub mod secret;
pub mod stream;
pub mod strict_json;
pub mod thread_fate;
pub mod thread_part;
pub mod verdict;

pub use ids::{ConnectionId, RunId, TenantId};
pub use json_text::JsonText;
pub use operator_name::{BadOperatorName, OperatorName};
pub use region::Region;
pub use secret::Secret;
pub use stream::{Class, Mode, Stream, WorkerPool};
pub use strict_json::Strict;
pub use thread_part::{ThreadPart, UnreadPart};
pub use verdict::Verdict;
