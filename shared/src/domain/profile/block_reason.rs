//! Why a value is no identity.

/// Why a value names nobody, although a record holds it. The field that holds it is shown all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BlockReason {
    /// Nothing, or only white space.
    Empty,
    /// What programs write where they have no value, such as `null` and `0000-00`.
    Placeholder,
    /// Longer than any id, address or number.
    TooLong,
    /// Not an email address.
    NoAddress,
    /// A mailbox that belongs to a function and not to a person, such as `info@`.
    RoleAddress,
    /// A phone number without a country, which another country may have as well.
    NoCountry,
    /// Not a phone number.
    NoNumber,
    /// Not a domain that somebody can register.
    NoDomain,
    /// A domain at which anybody gets a mailbox.
    PublicMail,
    /// The tenant blocks it.
    Tenant,
}

impl BlockReason {
    /// The name in our API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Placeholder => "placeholder",
            Self::TooLong => "too_long",
            Self::NoAddress => "no_address",
            Self::RoleAddress => "role_address",
            Self::NoCountry => "no_country",
            Self::NoNumber => "no_number",
            Self::NoDomain => "no_domain",
            Self::PublicMail => "public_mail",
            Self::Tenant => "tenant",
        }
    }
}
