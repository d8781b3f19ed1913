//! The objects of a page, each read alone: an unreadable one is quarantined, and its neighbours are stored.

use chrono::{DateTime, Utc};

use super::{
    future_dated::{self, Timestamped},
    page_size::oversized,
};
use crate::{
    domain::records::Poison,
    intercom::{Error, Response},
};

/// The readable and the unreadable objects of a page.
pub(super) struct PageObjects<R> {
    pub(super) records: Vec<R>,
    pub(super) poisons: Vec<Poison>,
}

impl<R> Default for PageObjects<R> {
    fn default() -> Self {
        Self {
            records: Vec::new(),
            poisons: Vec::new(),
        }
    }
}

impl<R> PageObjects<R> {
    /// Adds the objects of another page.
    pub(super) fn extend(&mut self, other: Self) {
        self.records.extend(other.records);
        self.poisons.extend(other.poisons);
    }
}

impl<R: Timestamped> PageObjects<R> {
    /// Reads the items of an answer.
    ///
    /// # Errors
    /// When the answer is an outline, which keeps no bodies, and it is not one oversized object.
    pub(super) fn of_page(
        answer: &Response,
        items: &[&str],
        read: fn(&str) -> Result<R, Poison>,
    ) -> Result<Self, Error> {
        if answer.is_outline {
            return Ok(Self {
                records: Vec::new(),
                poisons: vec![oversized(R::KIND, items)?],
            });
        }
        Ok(Self::read(items.iter().copied(), answer.at, read))
    }

    /// Reads objects that were answered at `now`, by Intercom's clock. Objects from the future are unreadable.
    pub(super) fn read<'a>(
        items: impl IntoIterator<Item = &'a str>,
        now: DateTime<Utc>,
        read: fn(&str) -> Result<R, Poison>,
    ) -> Self {
        let (mut records, mut poisons) = (Vec::new(), Vec::new());
        for raw in items {
            match read(raw) {
                Ok(record) => records.push(record),
                Err(poison) => poisons.push(poison),
            }
        }
        let (records, future_dated) = future_dated::set_aside(records, now);
        poisons.extend(future_dated);
        Self { records, poisons }
    }

    /// The ids of the readable objects.
    pub(super) fn ids(&self) -> Vec<String> {
        self.records
            .iter()
            .map(|record| record.source_id().to_owned())
            .collect()
    }

    /// The ids of all objects, which a full walk has shown.
    pub(super) fn shown(&self) -> Vec<String> {
        let poisoned = self.poisons.iter().map(|poison| poison.source_id.clone());
        self.ids().into_iter().chain(poisoned).collect()
    }
}
