//! Intercom's API: the only place that knows it, and the only one that names reqwest.
//!
//! Reading is structural: [`Endpoint`] is a closed list of read operations and the only way to send one;
//! the token exchange is a door of its own. Hosts come from [`Region`](crate::domain::Region), and a next-page URL is never
//! followed: only its cursor is taken.

mod client;
mod endpoint;
mod error;
mod gate;
mod hosts;
mod memory;
mod oauth;
mod outline;
mod search;
mod transport;
pub mod wire;

pub use client::{Intercom, Response, Version, Workspace, rate_limit_headers};
pub use endpoint::Endpoint;
pub use error::{Error, Refusal};
pub use gate::Gate;
pub use hosts::hosts;
pub use memory::{MemoryPermit, ResponseMemory};
pub use oauth::authorize_url;
pub use outline::outline;
pub use search::{Order, Search};
pub use transport::MAX_RESPONSE_BYTES;
pub use wire::me::Me;

/// Contacts and conversations come in pages of at most 150; the API's own defaults are 10 to 50,
/// so every call says how many.
pub const PAGE: usize = 150;
/// Companies per scroll page: Intercom's choice, not ours.
pub const SCROLL_PAGE: usize = 100;
