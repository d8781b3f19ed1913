//! Hosts by region. They are constants, so that a token can only go to Intercom.

use crate::domain::Region;

/// The API host and the authorize host of a region.
#[must_use]
pub const fn hosts(region: Region) -> (&'static str, &'static str) {
    match region {
        Region::Us => ("https://api.intercom.io", "https://app.intercom.com"),
        Region::Eu => ("https://api.eu.intercom.io", "https://app.eu.intercom.com"),
        Region::Au => ("https://api.au.intercom.io", "https://app.au.intercom.com"),
    }
}
