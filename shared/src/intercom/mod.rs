//! Intercom's API: the only place that knows it, and the only one that names reqwest.
//!
//! Reading is structural: [`Read`] is a closed list of read operations and the only way to send one;
//! the token exchange is a door of its own. Hosts come from [`Region`](crate::domain::Region), and a next-page URL is never
//! followed: only its cursor is taken.

mod client;
mod error;
mod gate;
mod hosts;
mod oauth;
mod outline;
mod read;
mod room;
mod search;
mod transport;
pub mod wire;

pub use client::{Answer, Intercom, Version, Workspace, rate_limit_headers};
pub use error::{Error, Refusal};
pub use gate::Gate;
pub use hosts::hosts;
pub use oauth::authorize_url;
pub use outline::outline;
pub use read::Read;
pub use room::{Place, Room};
pub use search::{Order, Search};
pub use transport::LARGEST_ANSWER;
pub use wire::me::Me;

/// Contacts and conversations come in pages of at most 150; the API's own defaults are 10 to 50,
/// so every call says how many.
pub const PAGE: usize = 150;
/// Companies per scroll page: Intercom's choice, not ours.
pub const SCROLL_PAGE: usize = 100;
