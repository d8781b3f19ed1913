//! Limits of the REST API, and the web pages that may call it.

use std::num::NonZeroU32;

use super::values::Reader;

/// What the API allows its callers.
#[derive(Clone, Debug)]
pub struct RestConfig {
    /// Origins whose pages may call the API from a browser.
    pub cors_origins: Vec<String>,
    /// Requests of one tenant key, in each process.
    pub key_requests_per_minute: NonZeroU32,
    /// Requests of the service key, in each process.
    pub service_requests_per_minute: NonZeroU32,
}

impl RestConfig {
    pub(super) fn read(read: &mut Reader<'_>, development: bool) -> Self {
        Self {
            cors_origins: read.origins("cors_origins", development),
            key_requests_per_minute: read.rate("key_requests_per_minute"),
            service_requests_per_minute: read.rate("service_requests_per_minute"),
        }
    }
}
