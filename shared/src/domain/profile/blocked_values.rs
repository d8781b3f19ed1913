//! Values that a tenant says are no identities, such as the number of a switchboard.

use std::collections::BTreeSet;

use super::{
    block_reason::BlockReason,
    identity_value::{IdentityValue, MAX_BYTES},
};

/// The values that a tenant blocks. What is an identity for no tenant, such as `info@` and public mail domains, is blocked
/// without being here, and may be here as well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockedValues {
    /// They join no contacts.
    pub contacts: BTreeSet<IdentityValue>,
    /// They join no companies.
    pub companies: BTreeSet<IdentityValue>,
}

/// Why a value cannot be blocked. Each says what it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockedValueError {
    #[error("must not be blank")]
    Blank,
    #[error("must have at most {MAX_BYTES} bytes")]
    TooLong,
    #[error("must not contain a NUL character")]
    Nul,
    #[error("must be an email address, such as ann@acme.example")]
    NoAddress,
    #[error("must be a phone number with its country, such as +49 30 123456")]
    NoNumber,
    #[error("must be a registered domain, such as acme.example")]
    NoDomain,
}

impl BlockedValues {
    /// Values of one object. Each is a part of a statement, and a change of each is tested against its records.
    pub const LIMIT: usize = 1_000;
}

impl IdentityValue {
    /// The value, if a tenant may block it.
    ///
    /// # Errors
    /// If no record can ever hold it, so that it would block nothing.
    pub fn to_be_blocked(self) -> Result<Self, BlockedValueError> {
        let fault = match self.blocked() {
            Some(BlockReason::Empty) => BlockedValueError::Blank,
            Some(BlockReason::TooLong) => BlockedValueError::TooLong,
            Some(BlockReason::NoAddress) => BlockedValueError::NoAddress,
            Some(BlockReason::NoCountry | BlockReason::NoNumber) => BlockedValueError::NoNumber,
            Some(BlockReason::NoDomain) => BlockedValueError::NoDomain,
            _ if self.text().contains('\0') => BlockedValueError::Nul,
            // Records do hold these, so a tenant that lists them is right.
            Some(
                BlockReason::Placeholder
                | BlockReason::RoleAddress
                | BlockReason::PublicMail
                | BlockReason::Tenant,
            )
            | None => return Ok(self),
        };
        Err(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(value: IdentityValue) -> String {
        value.to_be_blocked().unwrap_err().to_string()
    }

    #[test]
    fn what_records_can_hold_may_be_blocked() {
        for (value, text) in [
            (
                IdentityValue::email(" Desk@ACME.example"),
                "desk@acme.example",
            ),
            (
                IdentityValue::email("info@acme.example"),
                "info@acme.example",
            ),
            (IdentityValue::phone("0049 30 123456"), "+4930123456"),
            (IdentityValue::external_id(" u1 "), "u1"),
            (IdentityValue::external_id("NULL"), "NULL"),
            (IdentityValue::domain("www.Acme.example"), "acme.example"),
            (IdentityValue::domain("gmail.com"), "gmail.com"),
        ] {
            assert_eq!(value.to_be_blocked().unwrap().text(), text);
        }
    }

    #[test]
    fn what_no_record_can_hold_says_what_it_must_be() {
        for (value, expected) in [
            (IdentityValue::email("  "), "must not be blank"),
            (
                IdentityValue::external_id(&"é".repeat(128)),
                "must have at most 255 bytes",
            ),
            (
                IdentityValue::external_id("u\0"),
                "must not contain a NUL character",
            ),
            (
                IdentityValue::email("acme.example"),
                "must be an email address, such as ann@acme.example",
            ),
            (
                IdentityValue::phone("030 123456"),
                "must be a phone number with its country, such as +49 30 123456",
            ),
            (
                IdentityValue::phone("+49"),
                "must be a phone number with its country, such as +49 30 123456",
            ),
            (
                IdentityValue::domain("https://acme.example/"),
                "must be a registered domain, such as acme.example",
            ),
        ] {
            assert_eq!(refused(value), expected);
        }
    }
}
