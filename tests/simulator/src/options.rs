//! What a simulator is started with.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Start options. All workspaces of one simulator belong to one OAuth app.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The OAuth app's client id.
    pub client_id: String,
    /// The OAuth app's client secret.
    pub client_secret: String,
    /// The `Intercom-Version` that counts when a request names none.
    pub app_version: String,
    /// Redirect URIs that are registered. Empty: any loopback address.
    pub redirect_uris: Vec<String>,
    /// Requests per 10-second window that all workspaces share. `None` for no such bucket.
    /// Whether a public app has one is not documented, so both can be tried.
    pub app_limit_per_window: Option<u32>,
    /// Keep one row per call, not only counters.
    pub ledger_rows: bool,
    /// At most this many rows. Later calls are counted only.
    pub ledger_cap: usize,
    /// Delay before each answer.
    pub latency: Latency,
    /// Seconds that the simulator's clock is ahead of real time.
    pub clock_offset: i64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            client_id: "simulator-client-id".to_owned(),
            client_secret: "simulator-client-secret".to_owned(),
            app_version: "2.11".to_owned(),
            redirect_uris: Vec::new(),
            app_limit_per_window: None,
            ledger_rows: true,
            ledger_cap: 1_000_000,
            latency: Latency::None,
            clock_offset: 0,
        }
    }
}

/// Delay before each answer, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Latency {
    /// At once.
    #[default]
    None,
    /// Always the same.
    Fixed(u64),
    /// Evenly spread between two bounds, both included.
    Between(u64, u64),
}

impl Latency {
    /// The delay for a call. `noise` picks the point between the bounds.
    pub(crate) fn pick(self, noise: u64) -> Option<Duration> {
        let millis = match self {
            Self::None => 0,
            Self::Fixed(millis) => millis,
            Self::Between(low, high) => low + noise % (high.saturating_sub(low) + 1),
        };
        (millis > 0).then(|| Duration::from_millis(millis))
    }
}

/// The simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken or not ours.
    #[error("listen on {address}; choose another address or port 0")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// `app_version` is not a version that Intercom knows.
    #[error("app version {version:?} is unknown; use 2.0 to 2.17 or Preview")]
    AppVersion {
        /// The version asked for.
        version: String,
    },
}
