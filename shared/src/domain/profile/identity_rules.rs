//! What a tenant decides about identities.

use std::collections::BTreeSet;

use super::{
    identity_value::{IdentityKind, IdentityValue},
    source::RecordKey,
};

/// A value that more records hold is shared.
///
/// A person has some records: one in each other source, and in Intercom a lead for every visit from a new browser, of
/// which a dozen for one address was seen. A value of more than 25 records belongs to a switchboard, a family of
/// machines or a form that fills it in. The bound is also what one changed record can touch at once by one value, and
/// the comparison of a value's holders takes the square of it.
pub const DEFAULT_MAX_HOLDERS: usize = 25;

/// Values that are shared because of records which the caller leaves out.
pub type SharedValues = BTreeSet<(IdentityKind, String)>;

/// The rules of one tenant. A change of them is applied by resolving again: nothing is kept that depends on older ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityRules {
    blocked: BTreeSet<(IdentityKind, String)>,
    max_holders: usize,
}

/// Records that are not one person, because a person said so. No record of the left side and another record of the
/// right side are ever in one profile, unless their source itself has merged the two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    pub left: BTreeSet<RecordKey>,
    pub right: BTreeSet<RecordKey>,
}

impl Default for IdentityRules {
    fn default() -> Self {
        Self::blocking([])
    }
}

impl IdentityRules {
    /// The default rules, and values that the tenant blocks, in any spelling.
    #[must_use]
    pub fn blocking(values: impl IntoIterator<Item = IdentityValue>) -> Self {
        Self {
            blocked: values
                .into_iter()
                .map(|value| (value.kind(), value.text().to_owned()))
                .collect(),
            max_holders: DEFAULT_MAX_HOLDERS,
        }
    }

    /// These rules with another bound on how many records may hold a value that still links them.
    #[must_use]
    pub fn with_max_holders(self, max_holders: usize) -> Self {
        Self {
            max_holders,
            ..self
        }
    }

    /// How many records may hold a value that still links them.
    #[must_use]
    pub const fn max_holders(&self) -> usize {
        self.max_holders
    }

    /// Whether the tenant blocks this value.
    #[must_use]
    pub fn blocks(&self, value: &IdentityValue) -> bool {
        // Almost no tenant blocks anything, and a look-up needs a text of its own.
        !self.blocked.is_empty()
            && self
                .blocked
                .contains(&(value.kind(), value.text().to_owned()))
    }
}
