//! JSON objects of the customer's own making, taken apart and put together as text, so that numbers keep their digits.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::domain::JsonText;

/// The members of an object by name. None if it cannot be read. Of two of one name the last counts.
pub(super) fn members(document: &JsonText) -> BTreeMap<String, &RawValue> {
    serde_json::from_str(document.get()).unwrap_or_default()
}

/// An object of these members.
pub(super) fn object<'a>(members: impl Iterator<Item = (&'a str, &'a RawValue)>) -> JsonText {
    let members: BTreeMap<&str, &RawValue> = members.collect();
    // Never fails, because each member is JSON.
    let text = serde_json::value::to_raw_value(&members);
    text.map(JsonText::from).unwrap_or_default()
}

/// Whether a value is null, blank, `[]` or `{}`.
pub(super) fn is_empty(value: &RawValue) -> bool {
    let text = value.get().trim();
    match text.as_bytes() {
        [b'[', inner @ .., b']'] | [b'{', inner @ .., b'}'] => inner.trim_ascii().is_empty(),
        [b'"', ..] => serde_json::from_str::<String>(text).is_ok_and(|text| text.trim().is_empty()),
        _ => text == "null",
    }
}

pub(super) fn has_members(document: &JsonText) -> bool {
    !members(document).is_empty()
}

/// Whether any member but the type is set.
pub(super) fn says_something(document: &JsonText) -> bool {
    let members = members(document);
    members
        .iter()
        .any(|(name, value)| name != "type" && !is_empty(value))
}
