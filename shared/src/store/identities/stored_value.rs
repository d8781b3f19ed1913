//! Identity values as text: the kind, a colon, and the normalised text.

use std::collections::BTreeSet;

use super::linked::Linked;
use crate::domain::profile::{IdentityKind, IdentityValue};

/// The kind of a company's own id. A person and a company may have the same one by chance.
const COMPANY_ID: &str = "company_id";

pub(in crate::store) fn write(linked: Linked, value: &IdentityValue) -> String {
    let kind = match (linked, value.kind()) {
        (Linked::Companies, IdentityKind::ExternalId) => COMPANY_ID,
        (_, kind) => kind.as_str(),
    };
    format!("{kind}:{}", value.text())
}

/// A stored value. `None` if a newer build has written one of a kind that this one does not know.
pub(super) fn read(stored: &str) -> Option<IdentityValue> {
    let (kind, text) = stored.split_once(':')?;
    match kind {
        "external_id" | COMPANY_ID => Some(IdentityValue::external_id(text)),
        "email" => Some(IdentityValue::email(text)),
        "phone" => Some(IdentityValue::phone(text)),
        "domain" => Some(IdentityValue::domain(text)),
        _ => None,
    }
}

/// The kind and the text of a stored value.
pub(super) fn kind_and_text(stored: &str) -> Option<(IdentityKind, String)> {
    read(stored).map(|value| (value.kind(), value.text().to_owned()))
}

/// Of stored values, those that link such objects.
pub(super) fn read_all(linked: Linked, stored: &BTreeSet<String>) -> BTreeSet<IdentityValue> {
    let of_object = stored.iter().filter(|value| object(value) == linked);
    of_object.filter_map(|value| read(value)).collect()
}

/// What a stored value links.
pub(super) fn object(stored: &str) -> Linked {
    match stored.split_once(':') {
        Some((COMPANY_ID | "domain", _)) => Linked::Companies,
        _ => Linked::Contacts,
    }
}
