//! Values by which two records are known to be one person or one company.

use super::{
    block_reason::BlockReason, company_domain, email_address, phone_number,
    placeholder::is_placeholder,
};
use crate::domain::records::{Company, Contact};

/// In bytes. Far longer than ids, addresses and numbers, and short enough for an index.
pub(super) const MAX_BYTES: usize = 255;

impl Contact {
    /// What it may be linked by, values that are no identities included.
    pub fn identity_values(&self) -> impl Iterator<Item = IdentityValue> {
        let external_ids = self.external_id.iter();
        external_ids
            .map(|id| IdentityValue::external_id(id))
            .chain(self.emails.iter().map(|email| IdentityValue::email(email)))
            .chain(self.phones.iter().map(|phone| IdentityValue::phone(phone)))
    }
}

impl Company {
    /// The same of a company.
    pub fn identity_values(&self) -> impl Iterator<Item = IdentityValue> {
        let external_ids = self.external_id.iter();
        external_ids.map(|id| IdentityValue::external_id(id)).chain(
            self.domains
                .iter()
                .map(|domain| IdentityValue::domain(domain)),
        )
    }
}

/// What links two records, the strongest first. The order decides which link holds where two contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IdentityKind {
    /// Intercom itself has merged the two.
    Merge,
    /// The customer's own id of the person or company.
    ExternalId,
    Email,
    Phone,
    /// A company's registered domain.
    Domain,
}

/// A value that a record holds, in the one spelling in which values are compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdentityValue {
    kind: IdentityKind,
    text: String,
    blocked: Option<BlockReason>,
}

impl IdentityKind {
    /// The name in our API and tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Merge => "merge",
            Self::ExternalId => "external_id",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Domain => "domain",
        }
    }
}

/// Each reads a value as a source sends it. A value that was read before is read as itself.
impl IdentityValue {
    /// The customer's own id. Its case counts, because ids such as `aB3` and `Ab3` are two.
    #[must_use]
    pub fn external_id(raw: &str) -> Self {
        let text = raw.trim();
        let blocked = is_placeholder(text).then_some(BlockReason::Placeholder);
        Self::new(IdentityKind::ExternalId, (text.to_owned(), blocked))
    }

    #[must_use]
    pub fn email(raw: &str) -> Self {
        Self::new(IdentityKind::Email, email_address::normalise(raw))
    }

    /// A phone number with its country, as `+49…` or `0049…`.
    #[must_use]
    pub fn phone(raw: &str) -> Self {
        Self::new(IdentityKind::Phone, phone_number::normalise(raw))
    }

    /// The host of a company's website, or of its addresses.
    #[must_use]
    pub fn domain(raw: &str) -> Self {
        Self::new(IdentityKind::Domain, company_domain::normalise(raw))
    }

    fn new(kind: IdentityKind, (mut text, blocked): (String, Option<BlockReason>)) -> Self {
        let is_long = text.len() > MAX_BYTES;
        text.truncate(text.floor_char_boundary(MAX_BYTES));
        let blocked = if text.is_empty() {
            Some(BlockReason::Empty)
        } else if is_long {
            Some(BlockReason::TooLong)
        } else {
            blocked
        };
        Self {
            kind,
            text,
            blocked,
        }
    }

    #[must_use]
    pub const fn kind(&self) -> IdentityKind {
        self.kind
    }

    /// At most 255 bytes.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Why the value is no identity for any tenant. `None` if it is one.
    #[must_use]
    pub const fn blocked(&self) -> Option<BlockReason> {
        self.blocked
    }
}
