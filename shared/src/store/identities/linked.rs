//! Contacts are linked with contacts, and companies with companies.

use crate::store::noted_changes::ObjectKind;

/// Which records are linked with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Linked {
    Contacts,
    Companies,
}

impl Linked {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Contacts => "contacts",
            Self::Companies => "companies",
        }
    }

    pub(super) const fn object(self) -> ObjectKind {
        match self {
            Self::Contacts => ObjectKind::Contact,
            Self::Companies => ObjectKind::Company,
        }
    }
}
