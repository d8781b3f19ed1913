//! Where a word counts. A stored word begins with the tenant, kind and age of its object, so that the index gives exactly
//! the rows of one tenant, newest first, and one tenant's search costs nothing for the words of another.

use std::{cmp::Reverse, fmt::Write as _};

use chrono::{DateTime, Datelike as _, Utc};
use xxhash_rust::xxh3::xxh3_64;

use super::{
    folding::folded,
    words::{Piece, chunks, cut},
};
use crate::domain::TenantId;

/// What can be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SearchKind {
    Contact = 1,
    Company = 2,
    Conversation = 3,
}

/// A quarter of a year, counted from 2010. Objects are found by the quarter in which they last changed at their source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Band(u8);

/// The words of one kind, tenant and quarter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WordScope {
    tenant: TenantId,
    kind: SearchKind,
    band: Band,
}

impl SearchKind {
    pub const ALL: [Self; 3] = [Self::Contact, Self::Company, Self::Conversation];

    /// The name in our API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Contact => "contact",
            Self::Company => "company",
            Self::Conversation => "conversation",
        }
    }

    /// The kind that is stored as this number.
    #[must_use]
    pub fn of(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as i16 == number)
    }
}

impl Band {
    const FIRST_YEAR: i32 = 2010;

    /// The quarter of a time. Times that a source cannot have meant count as the first or the last quarter.
    #[must_use]
    pub fn of(at: DateTime<Utc>) -> Self {
        let quarters = (at.year() - Self::FIRST_YEAR) * 4 + at.month0() as i32 / 3;
        Self(quarters.clamp(0, i32::from(u8::MAX)) as u8)
    }

    #[must_use]
    pub fn of_number(number: i16) -> Self {
        Self(number.clamp(0, i16::from(u8::MAX)) as u8)
    }

    #[must_use]
    pub const fn number(self) -> i16 {
        self.0 as i16
    }
}

impl WordScope {
    #[must_use]
    pub const fn new(tenant: TenantId, kind: SearchKind, band: Band) -> Self {
        Self { tenant, kind, band }
    }

    /// The scope of an object.
    #[must_use]
    pub fn of(tenant: TenantId, kind: SearchKind, active_at: DateTime<Utc>) -> Self {
        Self::new(tenant, kind, Band::of(active_at))
    }

    /// The number by which a tenant's scopes are stored.
    #[must_use]
    pub const fn number(&self) -> i16 {
        ((self.kind as i16) << 8) | self.band.number()
    }

    /// The scopes of a tenant that are stored as these numbers, the newest first.
    #[must_use]
    pub fn read(tenant: TenantId, numbers: &[i16]) -> Vec<Self> {
        let scopes = numbers.iter().filter_map(|number| {
            let kind = SearchKind::of(number >> 8)?;
            Some(Self::new(tenant, kind, Band::of_number(number & 0xff)))
        });
        let mut scopes: Vec<Self> = scopes.collect();
        scopes.sort_by_key(|scope| (Reverse(scope.band), scope.kind));
        scopes
    }

    #[must_use]
    pub const fn kind(&self) -> SearchKind {
        self.kind
    }

    #[must_use]
    pub const fn band(&self) -> Band {
        self.band
    }

    /// What all words of a tenant begin with. Two tenants may share a beginning, because a row also names its tenant.
    #[must_use]
    pub fn tenant_prefix(tenant: TenantId) -> String {
        let digest = xxh3_64(tenant.0.as_bytes());
        let mut prefix = String::with_capacity(8);
        for place in 0..4 {
            let digit = (digest >> (place * 5)) as u32 & 31;
            prefix.extend(char::from_digit(digit, 32));
        }
        prefix
    }

    /// What its words begin with.
    pub(super) fn prefix(&self) -> String {
        let mut prefix = Self::tenant_prefix(self.tenant);
        // Writing to a string never fails.
        let _ = write!(prefix, "{}{:02x}", self.kind as i16, self.band.0);
        prefix
    }
}

/// A quality that queries filter by, as a word. No word of a text begins with a colon.
pub(super) fn filter_word(name: &str, value: &str) -> String {
    let value = value.replace(char::is_control, " ");
    let mut word = format!(":{name}:{}", folded(value.trim()));
    cut(&mut word);
    word
}

/// Whether a text is one word, such as an id or an address, so that it may name an object.
#[must_use]
pub fn is_one_word(text: &str) -> bool {
    let chunks = chunks(text);
    chunks.len() == 1 && !matches!(chunks[0].pieces[..], [Piece::Unspaced(_)])
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone as _;

    use super::*;

    #[test]
    fn a_quarter_is_that_of_its_time() {
        let of = |year, month| Band::of(Utc.with_ymd_and_hms(year, month, 1, 0, 0, 0).unwrap());
        assert_eq!(of(2010, 1).number(), 0);
        assert_eq!(of(2026, 11).number(), 67);
        assert_eq!(of(1970, 1), of(2010, 1));
        assert_eq!(of(2200, 1).number(), 255);
    }

    #[test]
    fn scopes_are_read_as_they_are_stored() {
        let tenant = TenantId::new();
        let scope = |kind, band| WordScope::new(tenant, kind, Band::of_number(band));
        let newest_first = [
            scope(SearchKind::Conversation, 255),
            scope(SearchKind::Contact, 67),
            scope(SearchKind::Company, 67),
            scope(SearchKind::Contact, 0),
        ];
        let mut numbers: Vec<i16> = newest_first.iter().map(WordScope::number).collect();
        numbers.sort_unstable();
        // A newer build may store kinds that this one does not know.
        numbers.push(9 << 8);
        assert_eq!(WordScope::read(tenant, &numbers), newest_first);
    }

    #[test]
    fn scopes_have_a_beginning_of_their_own() {
        let tenant = TenantId::new();
        let scope = |kind, band| WordScope::new(tenant, kind, Band::of_number(band)).prefix();
        let of_contacts = scope(SearchKind::Contact, 67);
        assert_eq!(of_contacts.len(), 7);
        assert!(of_contacts.starts_with(&WordScope::tenant_prefix(tenant)));
        assert_ne!(of_contacts, scope(SearchKind::Contact, 66));
        assert_ne!(of_contacts, scope(SearchKind::Company, 67));
    }
}
