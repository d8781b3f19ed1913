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
    /// Compares a stored value with the truth.
    pub(super) fn same<T: PartialEq + Debug + ?Sized>(
        &mut self,
        name: &str,
        stored: &T,
        truth: &T,
    ) {
        if stored != truth {
            self.note(name, stored, truth);
        }
    }

    /// Compares JSON.
    pub(super) fn json(&mut self, name: &str, stored: &Value, truth: &Value) {
        if !value::same(stored, truth) {
            self.note(name, stored, truth);
        }
    }

    /// A nullable text.
    pub(super) fn text(&mut self, name: &str, stored: Option<&str>, truth: &Value) {
        self.same(name, &stored, &value::text(truth).as_deref());
    }

    /// A nullable time.
    pub(super) fn time(&mut self, name: &str, stored: Option<DateTime<Utc>>, truth: &Value) {
        self.same(name, &stored, &value::time(truth));
    }

    /// Raw bytes: equal, or equal JSON in other words.
    pub(super) fn raw(&mut self, stored: &[u8], truth: &str) {
        if stored == truth.as_bytes() {
            return;
        }
        let json = std::str::from_utf8(stored)
            .ok()
            .and_then(value::parse)
            .zip(value::parse(truth));
        match json {
            Some((stored, truth)) => self.json("raw", &stored, &truth),
            None => self.note("raw", &String::from_utf8_lossy(stored), &truth),
        }
    }

    /// Notes a fault.
    pub(super) fn wrong(&mut self, what: impl FnOnce() -> String) {
        self.0.get_or_insert_with(what);
    }

    /// The first difference.
    pub(super) fn difference(self) -> Option<String> {
        self.0
    }

    fn note(&mut self, name: &str, stored: &(impl Debug + ?Sized), truth: &(impl Debug + ?Sized)) {
        self.0.get_or_insert_with(|| {
            let (stored, truth) = apart(format!("{stored:?}"), format!("{truth:?}"));
            format!("{name} is {stored}, should be {truth}")
        });
    }
}

/// Both texts, cut to where they begin to differ.
fn apart(stored: String, truth: String) -> (String, String) {
    if stored.len() <= SHOWN && truth.len() <= SHOWN {
        return (stored, truth);
    }
    let equal = stored
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
    (cut(stored), cut(truth))
}
