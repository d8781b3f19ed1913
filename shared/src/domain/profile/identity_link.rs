//! What was found out about each value: whom it links, or why it links nobody.

use super::{block_reason::BlockReason, identity_value::IdentityKind, source::RecordKey};

/// One reason why two records are one profile, or are not although they look like it.
///
/// The links of a value form a star around one of its holders, so a value that ten records hold has nine links.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    pub kind: IdentityKind,
    /// The value. Of a merge, the survivor's source id.
    pub value: String,
    pub record: RecordKey,
    /// The other holder. `None` for a value that is shared or blocked, because thousands may hold it.
    pub other: Option<RecordKey>,
    pub status: LinkStatus,
    /// Of an ambiguous or refused link: the oldest holder in each of the profiles that contradict each other.
    pub candidates: Vec<RecordKey>,
}

/// What a value does to its two records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinkStatus {
    /// They are one profile.
    Linked,
    /// Holders of the value carry different values of a stronger kind, so nobody can tell whom it means.
    Ambiguous,
    /// They would be one profile but for this.
    Refused(Refusal),
    /// More records hold the value than one person has.
    Shared,
    /// The value is no identity.
    Blocked(BlockReason),
}

/// Why a link does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// Their profiles have different values of a stronger kind, by way of other records.
    Conflict,
    /// A person has split them.
    Split,
}

impl LinkStatus {
    /// The name in our API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Linked => "linked",
            Self::Ambiguous => "ambiguous",
            Self::Refused(_) => "refused",
            Self::Shared => "shared",
            Self::Blocked(_) => "blocked",
        }
    }

    /// The reason beside the name. `None` if the name says it all.
    #[must_use]
    pub const fn reason(self) -> Option<&'static str> {
        match self {
            Self::Refused(Refusal::Conflict) => Some("conflict"),
            Self::Refused(Refusal::Split) => Some("split"),
            Self::Blocked(reason) => Some(reason.as_str()),
            Self::Linked | Self::Ambiguous | Self::Shared => None,
        }
    }
}
