//! Contacts: the source record, the fields read from it, and the raw bytes.

use std::collections::HashMap;

use intercom_simulator::TruthLine;
use serde_json::{Value, json};
use shared::{domain::records::ContactFields, intercom::wire, store::reads::StoredContact};

use super::{fields::Fields, truth::Shape, value};

/// A contact shows at most this many companies, tags and notes.
const SHOWN: usize = 10;

/// The first difference of a live contact from the truth.
pub(super) fn differs(
    stored: &StoredContact,
    line: &TruthLine,
    truth: &Value,
    shape: Shape,
) -> Option<String> {
    let mut fields = Fields::default();
    fields.same("deleted_at", &stored.deleted_at, &None);
    fields.same("merged_into", &stored.merged_into, &None);
    fields.time(
        "source_updated_at",
        Some(stored.source_updated_at),
        &truth["updated_at"],
    );
    fields.text(
        "external_id",
        stored.external_id.as_deref(),
        &truth["external_id"],
    );
    match wire::read_contact_fields(&String::from_utf8_lossy(&stored.raw)) {
        Ok(shown) => derived(&mut fields, &shown, truth),
        Err(poison) => fields.wrong(|| format!("raw cannot be read: {}", poison.reason)),
    }
    if shape == Shape::Current {
        raw(&mut fields, stored, line, truth);
    }
    fields.difference()
}

/// A contact that is gone must be marked as deleted, or name its survivor. The sync may have followed a
/// survivor that was merged itself. Before version 2.16 a merge looks like a deletion: 404, and no history.
pub(super) fn ended(
    stored: &StoredContact,
    line: &TruthLine,
    survivors: &HashMap<&str, &str>,
    shape: Shape,
) -> Option<String> {
    let Some(survivor) = line
        .merged_into
        .as_deref()
        .filter(|_| shape == Shape::Current)
    else {
        return stored
            .deleted_at
            .is_none()
            .then(|| "is deleted in the truth and not marked here".to_owned());
    };
    let mut chain = std::iter::successors(Some(survivor), |id| survivors.get(id).copied()).take(32);
    let named = stored.merged_into.as_deref();
    (!chain.any(|id| named == Some(id)))
        .then(|| format!("merged_into is {named:?}, should be {survivor:?}"))
}

/// The fields that profiles are folded from.
fn derived(fields: &mut Fields, stored: &ContactFields, truth: &Value) {
    let texts = [
        ("role", &stored.role, "role"),
        ("email", &stored.email, "email"),
        ("name", &stored.name, "name"),
        ("phone", &stored.phone, "phone"),
    ];
    for (name, stored, member) in texts {
        fields.text(name, stored.as_deref(), &truth[member]);
    }
    fields.same("owner", &stored.owner, &value::id(&truth["owner_id"]));
    fields.json(
        "attributes",
        &stored.attributes.parsed(),
        &value::object(&truth["custom_attributes"]),
    );
    fields.json(
        "location",
        &stored.location.parsed(),
        &value::object(&truth["location"]),
    );
    let times = [
        ("last_seen_at", stored.last_seen_at, "last_seen_at"),
        ("last_replied_at", stored.last_replied_at, "last_replied_at"),
        (
            "last_contacted_at",
            stored.last_contacted_at,
            "last_contacted_at",
        ),
    ];
    for (name, stored, member) in times {
        fields.time(name, stored, &truth[member]);
    }
}

/// The truth has sub-lists in full and no merge history. A contact of a page has only the first ten entries
/// of each, and its merge history if the request asks for it.
fn raw(fields: &mut Fields, stored: &StoredContact, line: &TruthLine, truth: &Value) {
    if stored.raw == line.object.get().as_bytes() {
        return;
    }
    let shown = std::str::from_utf8(&stored.raw).ok().and_then(value::parse);
    let Some(mut shown) = shown else {
        return fields.wrong(|| "raw is not JSON".to_owned());
    };
    // The truth has no merge history.
    if let Some(map) = shown.as_object_mut() {
        map.remove("merge_history");
    }
    let mut expected = truth.clone();
    for list in ["companies", "tags", "notes"] {
        cut(&mut expected[list]);
    }
    fields.json("raw", &shown, &expected);
}

fn cut(list: &mut Value) {
    if let Some(entries) = list["data"].as_array_mut()
        && entries.len() > SHOWN
    {
        entries.truncate(SHOWN);
        list["has_more"] = json!(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_list_of_more_than_ten_is_cut() {
        let list = |n: usize, has_more: bool| json!({"data": vec![1; n], "total_count": 12, "has_more": has_more});
        let (mut long, mut short) = (list(12, false), list(10, false));
        cut(&mut long);
        cut(&mut short);
        assert_eq!((long, short), (list(10, true), list(10, false)));
    }
}
