//! Identity values as text: the kind, a colon, and the normalised text.

use crate::domain::profile::{IdentityKind, IdentityValue};

pub(super) fn write(value: &IdentityValue) -> String {
    format!("{}:{}", value.kind().as_str(), value.text())
}

/// A stored value. `None` if a newer build has written one of a kind that this one does not know.
pub(super) fn read(stored: &str) -> Option<IdentityValue> {
    let (kind, text) = stored.split_once(':')?;
    match kind {
        "external_id" => Some(IdentityValue::external_id(text)),
        "email" => Some(IdentityValue::email(text)),
        "phone" => Some(IdentityValue::phone(text)),
        _ => None,
    }
}

/// The kind and the text of a stored value.
pub(super) fn kind_and_text(stored: &str) -> Option<(IdentityKind, String)> {
    read(stored).map(|value| (value.kind(), value.text().to_owned()))
}
