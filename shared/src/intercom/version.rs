//! Versions of Intercom's API, as far as they change what we ask for.

/// An API version, compared as numbers: 2.9 comes before 2.16.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(u32, u32);

impl Version {
    /// The first version with string owner ids, 410 for merged contacts, `/conversations/deleted` and
    /// merge history.
    pub const V2_16: Self = Self(2, 16);
    /// The first version whose contact search is exact to the second, in UTC.
    pub const V2_17: Self = Self(2, 17);

    pub(super) fn parse(text: &str) -> Self {
        // `Preview` is ahead of every number.
        text.split_once('.')
            .and_then(|(major, minor)| Some(Self(major.parse().ok()?, minor.parse().ok()?)))
            .unwrap_or(Self(u32::MAX, 0))
    }
}
