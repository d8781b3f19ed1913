//! The records of one profile, in the order in which they are believed.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
};

use chrono::{DateTime, Utc};

use super::documents;
use crate::domain::{
    JsonText,
    profile::{
        merge_rules::{ObjectRules, SourceOrder},
        profile_record::ProfileRecord,
        provenance::{Origin, Provenance},
    },
};

/// Records that count, and where the values come from that were taken from them.
pub(super) struct Ranked<'a, F> {
    rules: &'a ObjectRules,
    /// All records, in the default order.
    all: Vec<&'a ProfileRecord<F>>,
    /// Those that count, in each order that was asked for. Most tenants have one.
    orders: Vec<(SourceOrder, Vec<&'a ProfileRecord<F>>)>,
    /// None if nobody asks, because to name the origin of every value takes longer than to find the values.
    provenance: Option<Provenance>,
}

impl<'a, F> Ranked<'a, F> {
    pub(super) fn new(
        records: &'a [ProfileRecord<F>],
        rules: &'a ObjectRules,
        provenance: Option<Provenance>,
    ) -> Self {
        Self {
            rules,
            all: sorted(records.iter().collect(), *rules.order("")),
            orders: Vec::new(),
            provenance,
        }
    }

    /// The first value of a field.
    pub(super) fn first<T>(
        &mut self,
        field: &str,
        value: impl Fn(&'a ProfileRecord<F>) -> Option<T>,
    ) -> Option<T> {
        let mut found = self.in_order(field).iter();
        let (record, value) = found.find_map(|record| Some((*record, value(record)?)))?;
        self.note(field, record);
        Some(value)
    }

    /// The first text of a field that is not blank.
    pub(super) fn text(
        &mut self,
        field: &str,
        text: impl Fn(&'a ProfileRecord<F>) -> Option<&'a String>,
    ) -> Option<String> {
        self.first(field, |record| {
            text(record).filter(|text| !text.trim().is_empty()).cloned()
        })
    }

    /// The newest time of a field.
    pub(super) fn newest(
        &mut self,
        field: &str,
        time: impl Fn(&'a ProfileRecord<F>) -> Option<DateTime<Utc>>,
    ) -> Option<DateTime<Utc>> {
        let records = self.in_order(field).iter();
        let times = records.filter_map(|record| Some((time(record)?, *record)));
        // Of equal times the first one, and `max_by_key` takes the last.
        let (time, record) = times.rev().max_by_key(|(time, _)| *time)?;
        self.note(field, record);
        Some(time)
    }

    /// The values of all records, each once, in the order of another field. `identity` says which are the same, and
    /// `path` is a value's name in the provenance.
    pub(super) fn union<T, K: Ord>(
        &mut self,
        field: &str,
        order_of: &str,
        values: impl Fn(&'a ProfileRecord<F>) -> Vec<T>,
        identity: impl Fn(&T) -> K,
        path: impl Fn(&T) -> String,
    ) -> Vec<T> {
        let mut all = Vec::new();
        for record in self.in_order(order_of) {
            all.extend(values(record).into_iter().map(|value| (*record, value)));
        }
        // Most profiles have one phone, and to read it takes longer than the fold of all other fields.
        let may_repeat = all.len() > 1;
        let (mut seen, mut union) = (BTreeSet::new(), Vec::new());
        for (record, value) in all {
            if !may_repeat || seen.insert(identity(&value)) {
                self.note_within(field, || path(&value), record);
                union.push(value);
            }
        }
        union
    }

    /// The texts of all records that are not blank, each once.
    pub(super) fn texts(
        &mut self,
        field: &str,
        texts: impl Fn(&'a ProfileRecord<F>) -> &'a Vec<String>,
    ) -> Vec<String> {
        let texts = |record| -> Vec<String> {
            let texts = texts(record).iter();
            texts
                .filter(|text| !text.trim().is_empty())
                .cloned()
                .collect()
        };
        self.union(field, field, texts, Clone::clone, Clone::clone)
    }

    pub(super) fn external_ids(&mut self) -> Vec<String> {
        let id = |record: &'a ProfileRecord<F>| -> Vec<String> {
            let id = record.external_id.iter();
            id.filter(|text| !text.trim().is_empty()).cloned().collect()
        };
        self.union(
            "external_ids",
            "external_ids",
            id,
            Clone::clone,
            Clone::clone,
        )
    }

    /// The entries of all records, of which those of one name are one. The one with the newest time is shown, in the
    /// place of the first.
    pub(super) fn newest_of_each<T: Clone + 'a>(
        &mut self,
        field: &str,
        entries: impl Fn(&'a ProfileRecord<F>) -> &'a Vec<T>,
        name: impl Fn(&T) -> String,
        time: impl Fn(&T) -> Option<DateTime<Utc>>,
    ) -> Vec<T> {
        let mut shown: Vec<T> = Vec::new();
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for record in self.in_order(field).to_vec() {
            for entry in entries(record) {
                let name = name(entry);
                match places.get(&name) {
                    Some(place) if time(&shown[*place]) >= time(entry) => continue,
                    Some(place) => shown[*place] = entry.clone(),
                    None => {
                        places.insert(name.clone(), shown.len());
                        shown.push(entry.clone());
                    }
                }
                self.note_within(field, || name, record);
            }
        }
        shown
    }

    /// Whether any record restricts by this flag: states `restricts`. Deleted records count as well.
    pub(super) fn any(
        &mut self,
        field: &str,
        name: &str,
        restricts: bool,
        flag: impl Fn(&'a ProfileRecord<F>) -> Option<bool>,
    ) -> bool {
        let stating = |state: bool| {
            let mut all = self.all.iter();
            all.find(|record| flag(record) == Some(state)).copied()
        };
        let restricting = stating(restricts);
        if let Some(record) = restricting.or_else(|| stating(!restricts)) {
            self.note_within(field, || name, record);
        }
        restricting.is_some()
    }

    /// The attributes of all records, each from the first one in which it is not empty. One that is empty everywhere is
    /// shown as the first record has it, because that it exists is worth knowing.
    pub(super) fn attributes(
        &mut self,
        field: &str,
        document: impl Fn(&'a ProfileRecord<F>) -> &'a JsonText,
    ) -> JsonText {
        let mut merged = BTreeMap::new();
        for record in self.in_order(field).to_vec() {
            for (name, value) in documents::members(document(record)) {
                let is_better = |(shown, _): &(&_, &ProfileRecord<F>)| {
                    documents::is_empty(shown) && !documents::is_empty(value)
                };
                if merged.get(&name).is_none_or(is_better) {
                    merged.insert(name, (value, record));
                }
            }
        }
        for (name, (_, record)) in &merged {
            self.note_within(field, || name, record);
        }
        documents::object(
            merged
                .iter()
                .map(|(name, (value, _))| (name.as_str(), *value)),
        )
    }

    /// The first object in which more than its type is set. One that is empty everywhere is shown as the first record
    /// has it.
    pub(super) fn location(
        &mut self,
        field: &str,
        document: impl Fn(&'a ProfileRecord<F>) -> &'a JsonText,
    ) -> JsonText {
        let some = |is_enough: fn(&JsonText) -> bool| {
            let document = &document;
            move |record| Some(document(record)).filter(|document| is_enough(document))
        };
        let found = self
            .first(field, some(documents::says_something))
            .or_else(|| self.first(field, some(documents::has_members)));
        found.cloned().unwrap_or_default()
    }

    /// The origins that were noted.
    pub(super) fn into_provenance(self) -> Provenance {
        self.provenance.unwrap_or_default()
    }

    fn note(&mut self, field: &str, record: &ProfileRecord<F>) {
        if let Some(provenance) = &mut self.provenance {
            provenance.note(field, Origin::of(record.source, &record.key));
        }
    }

    fn note_within<D: Display>(
        &mut self,
        field: &str,
        value: impl FnOnce() -> D,
        record: &ProfileRecord<F>,
    ) {
        if let Some(provenance) = &mut self.provenance {
            let origin = Origin::of(record.source, &record.key);
            provenance.note_within(field, value(), origin);
        }
    }

    /// The records that count, in the order of a field.
    fn in_order(&mut self, field: &str) -> &[&'a ProfileRecord<F>] {
        let order = *self.rules.order(field);
        let known = self.orders.iter().position(|(known, _)| *known == order);
        let place = known.unwrap_or_else(|| {
            let mut counting = self.all.clone();
            if counting.iter().any(|record| record.deleted_at.is_none()) {
                counting.retain(|record| record.deleted_at.is_none());
            }
            self.orders.push((order, sorted(counting, order)));
            self.orders.len() - 1
        });
        &self.orders[place].1
    }
}

fn sorted<F>(mut records: Vec<&ProfileRecord<F>>, order: SourceOrder) -> Vec<&ProfileRecord<F>> {
    let rank = |record: &ProfileRecord<F>| {
        let age = Reverse(record.source_updated_at);
        (order.rank(record.source), age)
    };
    records.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.key.cmp(&b.key)));
    records
}
