//! Collects the first difference of a record.

use std::fmt::Debug;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::value;

/// Longer values are cut in a difference's text.
const SHOWN: usize = 120;

/// One record's fields, compared one after the other.
#[derive(Debug, Default)]
pub(super) struct Fields(Option<String>);

impl Fields {
    /// What is held against what should be.
    pub(super) fn same<T: PartialEq + Debug + ?Sized>(&mut self, name: &str, held: &T, truth: &T) {
        if held != truth {
            self.note(name, held, truth);
        }
    }

    /// JSON against JSON.
    pub(super) fn json(&mut self, name: &str, held: &Value, truth: &Value) {
        if !value::same(held, truth) {
            self.note(name, held, truth);
        }
    }

    /// A nullable text.
    pub(super) fn text(&mut self, name: &str, held: Option<&str>, truth: &Value) {
        self.same(name, &held, &value::text(truth).as_deref());
    }

    /// A nullable time.
    pub(super) fn time(&mut self, name: &str, held: Option<DateTime<Utc>>, truth: &Value) {
        self.same(name, &held, &value::time(truth));
    }

    /// A time in a JSON document of ours (RFC 3339) against Unix seconds.
    pub(super) fn time_in(&mut self, name: &str, held: &Value, truth: &Value) {
        let held = held
            .as_str()
            .map(|text| text.parse::<DateTime<Utc>>().map_err(|_| text));
        self.same(name, &held, &value::time(truth).map(Ok));
    }

    /// Raw bytes: equal, or equal JSON in other words.
    pub(super) fn raw(&mut self, held: &[u8], truth: &str) {
        if held == truth.as_bytes() {
            return;
        }
        let json = std::str::from_utf8(held)
            .ok()
            .and_then(value::parse)
            .zip(value::parse(truth));
        match json {
            Some((held, truth)) => self.json("raw", &held, &truth),
            None => self.note("raw", &String::from_utf8_lossy(held), &truth),
        }
    }

    /// Something that should not be so.
    pub(super) fn wrong(&mut self, what: impl FnOnce() -> String) {
        self.0.get_or_insert_with(what);
    }

    /// The first difference.
    pub(super) fn difference(self) -> Option<String> {
        self.0
    }

    fn note(&mut self, name: &str, held: &(impl Debug + ?Sized), truth: &(impl Debug + ?Sized)) {
        self.0.get_or_insert_with(|| {
            let (held, truth) = apart(format!("{held:?}"), format!("{truth:?}"));
            format!("{name} is {held}, should be {truth}")
        });
    }
}

/// Both texts, cut to where they begin to differ.
fn apart(held: String, truth: String) -> (String, String) {
    if held.len() <= SHOWN && truth.len() <= SHOWN {
        return (held, truth);
    }
    let equal = held
        .chars()
        .zip(truth.chars())
        .take_while(|(a, b)| a == b)
        .count();
    let from = equal.saturating_sub(SHOWN / 4);
    let cut = |text: String| {
        format!(
            "…{}…",
            text.chars().skip(from).take(SHOWN).collect::<String>()
        )
    };
    (cut(held), cut(truth))
}
