//! Intercom's API. This is the only module that knows it.
//!
#![doc = include_str!("README.md")]

mod client;
mod endpoint;
mod error;
mod gate;
mod hosts;
mod id;
mod memory;
mod oauth;
mod outline;
mod response;
mod search;
mod transport;
mod version;
pub mod wire;
mod workspace;

pub use client::Intercom;
pub use endpoint::Endpoint;
pub use error::{Error, Refusal};
pub use gate::Gate;
pub use hosts::hosts;
pub use memory::{MAX_RESPONSE_BYTES, MemoryPermit, ResponseMemory};
pub use oauth::authorize_url;
pub use outline::outline;
pub use response::{Response, rate_limit_headers};
pub use search::{Created, Order, Search};
pub use version::Version;
pub use wire::me::Me;
pub use workspace::Workspace;

/// The largest page of contacts and conversations. The API's own defaults are 10 to 50, so every call
/// names its page size.
pub const PAGE: usize = 150;
/// Companies per page of a scroll. Intercom sets this size.
pub const SCROLL_PAGE: usize = 100;
