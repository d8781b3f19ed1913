//! The fields of a profile, each value with the record that it is from.

use std::collections::HashMap;

use maud::{Markup, html};
use shared::{
    domain::profile::{Origin, Provenance},
    store::reads::ProfileSource,
};
use uuid::Uuid;

use super::naming::source_name;
use crate::pages::text::{counted, shown, time};

/// As much of a value as is shown.
const VALUE: usize = 500;
/// Values of one field that are shown.
const VALUES: usize = 50;

/// One field of a profile. One without values is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FieldRow {
    pub(super) label: String,
    /// What is declared of it.
    pub(super) note: Option<String>,
    pub(super) values: Vec<FieldValue>,
    /// Values beside those.
    pub(super) left_out: usize,
}

/// One value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FieldValue {
    pub(super) text: String,
    /// The page that is about it.
    pub(super) href: Option<String>,
    pub(super) origin: Option<ShownOrigin>,
}

/// The record that a value is from, as it is listed below the fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ShownOrigin {
    /// Its number in the list.
    number: usize,
    text: String,
}

/// The records behind a profile, by which origins are told.
pub(super) struct Origins<'a> {
    provenance: &'a Provenance,
    records: HashMap<(Uuid, &'a str), (usize, &'a ProfileSource)>,
}

impl<'a> Origins<'a> {
    pub(super) fn new(provenance: &'a Provenance, sources: &'a [ProfileSource]) -> Self {
        let records = (1..).zip(sources).map(|(number, source)| {
            let key = (source.connection_id.0, source.source_id.as_str());
            (key, (number, source))
        });
        Self {
            provenance,
            records: records.collect(),
        }
    }

    /// The origin of a field, or of a value within a field. A record that is no source of the profile, such as one that was
    /// merged, is not named.
    pub(super) fn of(&self, path: &str) -> Option<ShownOrigin> {
        let Origin {
            source,
            connection_id,
            source_id,
        } = self.provenance.get(path)?;
        let (number, record) = self.records.get(&(*connection_id, source_id.as_str()))?;
        let (name, at) = (source_name(source.as_str()), time(record.source_updated_at));
        Some(ShownOrigin {
            number: *number,
            text: format!("From {name}, {at}"),
        })
    }

    /// Whether a path has an origin.
    pub(super) fn has(&self, path: &str) -> bool {
        self.provenance.get(path).is_some()
    }

    /// A field of one value.
    pub(super) fn one(&self, label: &str, field: &str, value: Option<String>) -> FieldRow {
        let values = value.into_iter().map(|text| FieldValue {
            origin: self.of(field),
            ..FieldValue::new(&text)
        });
        FieldRow::new(label, values.collect())
    }

    /// A field with a list of values.
    pub(super) fn list(&self, label: &str, field: &str, values: &[String]) -> FieldRow {
        let shown = values.iter().take(VALUES).map(|text| FieldValue {
            origin: self.of(&format!("{field}.{text}")),
            ..FieldValue::new(text)
        });
        FieldRow {
            left_out: values.len().saturating_sub(VALUES),
            ..FieldRow::new(label, shown.collect())
        }
    }
}

impl FieldRow {
    pub(super) fn new(label: &str, values: Vec<FieldValue>) -> Self {
        Self {
            label: shown(label, VALUE),
            note: None,
            values,
            left_out: 0,
        }
    }
}

impl FieldValue {
    /// A value on one line. One of which nothing can be seen says so.
    pub(super) fn new(text: &str) -> Self {
        let text = shown(text, VALUE);
        Self {
            text: if text.trim().is_empty() {
                "(no visible text)".to_owned()
            } else {
                text
            },
            href: None,
            origin: None,
        }
    }
}

/// Fields as a list. Each origin is a link to its record. It is seen on hover and focus, and always heard.
pub(super) fn render(rows: &[FieldRow]) -> Markup {
    html! {
        dl class="fields" {
            @for row in rows {
                div {
                    dt { bdi { (row.label) } @if let Some(note) = &row.note { span class="dim about" { bdi { (note) } } } }
                    dd {
                        @if row.values.is_empty() { span class="dim" { "Not known" } }
                        @for value in &row.values { (one_value(value)) }
                        @if row.left_out > 0 {
                            p class="dim" { (counted(row.left_out as i64, "more value is", "more values are")) " not shown here." }
                        }
                    }
                }
            }
        }
    }
}

fn one_value(value: &FieldValue) -> Markup {
    html! {
        div class="value" {
            @if let Some(href) = &value.href { a href=(href) { bdi { (value.text) } } } @else { bdi { (value.text) } }
            @if let Some(origin) = &value.origin {
                " " a class="origin" href=(format!("#record-{}", origin.number)) { (origin.text) }
            }
        }
    }
}

/// The records that a profile is folded from. Origins lead here.
pub(super) fn records(
    sources: &[ProfileSource],
    link: impl Fn(&ProfileSource) -> Option<String>,
) -> Markup {
    html! {
        section {
            h2 { "Records" }
            p class="dim" { "What each source says of it. The values above are folded from these." }
            ol class="records" {
                @for (number, source) in (1..).zip(sources) {
                    li id=(format!("record-{number}")) {
                        strong { (source_name(&source.source)) } ", record " code { bdi { (shown(&source.source_id, VALUE)) } }
                        ", changed at " (time(source.source_updated_at)) "."
                        @if let Some(at) = source.deleted_at { " " span class="badge warn" { "Deleted there at " (time(at)) } }
                        @if let Some(href) = link(source) { " " (outward(&href, "Open it in Intercom")) }
                    }
                }
            }
        }
    }
}

/// A link that leads to another site, which learns nothing of this page.
pub(super) fn outward(href: &str, text: &str) -> Markup {
    html! { a href=(href) rel="noopener noreferrer nofollow" { bdi { (text) } } }
}
