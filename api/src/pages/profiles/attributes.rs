//! The attributes of a profile, with the types that its workspace declares.

use std::collections::BTreeMap;

use chrono::DateTime;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::value::RawValue;
use shared::{domain::JsonText, store::reads::AttributeDefinition};

use super::fields::{self, FieldRow, FieldValue, Origins};
use crate::pages::text::{counted, shown, time};

/// Attributes that are shown.
const ATTRIBUTES: usize = 300;
/// As much of a declaration as is shown.
const NOTE: usize = 200;

/// What is read of a definition.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct DeclaredType {
    data_type: Option<String>,
    description: Option<String>,
}

/// The rows of a profile's attributes, by name, and how many are left out.
pub(super) fn rows(
    attributes: &JsonText,
    definitions: &[AttributeDefinition],
    origins: &Origins<'_>,
) -> (Vec<FieldRow>, usize) {
    let all: BTreeMap<String, &RawValue> =
        serde_json::from_str(attributes.get()).unwrap_or_default();
    let left_out = all.len().saturating_sub(ATTRIBUTES);
    let declared = by_name(definitions);
    let row = |(name, value): (String, &RawValue)| {
        let declared = declared.get(name.as_str());
        let data_type = declared.and_then(|declared| declared.data_type.as_deref());
        let value = FieldValue {
            origin: origins.of(&format!("attributes.{name}")),
            ..FieldValue::new(&text(value.get(), data_type))
        };
        FieldRow {
            note: declared.and_then(note),
            ..FieldRow::new(&name, vec![value])
        }
    };
    (
        all.into_iter().take(ATTRIBUTES).map(row).collect(),
        left_out,
    )
}

pub(super) fn section(rows: &[FieldRow], left_out: usize) -> Markup {
    html! {
        section {
            h2 { "Attributes" }
            @if rows.is_empty() { p class="dim" { "There are none." } } @else { (fields::render(rows)) }
            @if left_out > 0 {
                p class="dim" { (counted(left_out as i64, "more attribute is", "more attributes are")) " not shown here." }
            }
        }
    }
}

/// Definitions by the names that records have. Of several workspaces, the first one's.
fn by_name(definitions: &[AttributeDefinition]) -> BTreeMap<&str, DeclaredType> {
    let mut declared = BTreeMap::new();
    for definition in definitions {
        let path = definition.source_id.as_str();
        let name = path.strip_prefix("custom_attributes.");
        let name = name.or(definition.name.as_deref()).unwrap_or(path);
        declared
            .entry(name)
            .or_insert_with(|| serde_json::from_str(definition.doc.get()).unwrap_or_default());
    }
    declared
}

fn note(declared: &DeclaredType) -> Option<String> {
    let pieces = [&declared.data_type, &declared.description];
    let pieces: Vec<String> = pieces
        .into_iter()
        .flatten()
        .map(|piece| shown(piece, NOTE))
        .filter(|piece| !piece.trim().is_empty())
        .collect();
    (!pieces.is_empty()).then(|| pieces.join(": "))
}

/// Texts without quotes, dates as dates, and everything else as JSON, with all digits of long numbers.
fn text(json: &str, data_type: Option<&str>) -> String {
    let text = serde_json::from_str::<String>(json).ok();
    let is_date = matches!(data_type, Some("date" | "datetime"));
    let seconds = json.parse::<i64>().ok().filter(|_| is_date);
    let at = seconds.and_then(|at| DateTime::from_timestamp(at, 0));
    match (text, at, json) {
        (Some(text), ..) if !text.is_empty() => text,
        // That it exists is worth knowing.
        (Some(_), ..) | (_, _, "null") => "(empty)".to_owned(),
        (_, Some(at), _) => time(at),
        (.., "true") => "yes".to_owned(),
        (.., "false") => "no".to_owned(),
        _ => json.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_their_types_say() {
        for (json, data_type, expected) in [
            (r#""<b>""#, None, "<b>"),
            (r#""""#, None, "(empty)"),
            ("null", Some("date"), "(empty)"),
            ("true", None, "yes"),
            ("1764504300", Some("date"), "30 November 2025, 12:05 UTC"),
            ("1764504300", Some("integer"), "1764504300"),
            (
                "123456789012345678901234567890",
                Some("date"),
                "123456789012345678901234567890",
            ),
            (r#"{"a":[1]}"#, None, r#"{"a":[1]}"#),
        ] {
            assert_eq!(text(json, data_type), expected, "{json}");
        }
    }
}
