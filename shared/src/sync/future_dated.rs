//! Changes that have not happened yet.
//!
//! A record is overwritten by what changed later. One that claims to have changed in the year 9999 would be held as it
//! is for good, whatever Intercom says of it afterwards; so it is quarantined until it says a time that has come.

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::records::{Company, Contact, Conversation, Part, Poison};

/// Servers' clocks differ by seconds; a day is no difference of clocks.
const AHEAD: TimeDelta = TimeDelta::days(1);

/// A record that says when it changed.
pub(super) trait Dated {
    const KIND: &'static str;
    fn updated_at(&self) -> DateTime<Utc>;
    fn into_identity(self) -> (String, String);
}

macro_rules! dated {
    ($($record:ty: $kind:literal),+) => {
        $(impl Dated for $record {
            const KIND: &'static str = $kind;

            fn updated_at(&self) -> DateTime<Utc> {
                self.updated_at
            }

            fn into_identity(self) -> (String, String) {
                (self.source_id, self.raw)
            }
        })+
    };
}

dated!(Contact: "contact", Company: "company", Conversation: "conversation", Part: "part");

/// Takes out of `records` what claims to have changed after `now`, by Intercom's clock.
pub(super) fn set_aside<R: Dated>(records: Vec<R>, now: DateTime<Utc>) -> (Vec<R>, Vec<Poison>) {
    let (ahead, records): (Vec<R>, Vec<R>) = records
        .into_iter()
        .partition(|record| is_ahead(record, now));
    (records, ahead.into_iter().map(poison).collect())
}

pub(super) fn is_ahead<R: Dated>(record: &R, now: DateTime<Utc>) -> bool {
    record.updated_at() > now + AHEAD
}

/// The record as what is quarantined.
pub(super) fn poison<R: Dated>(record: R) -> Poison {
    let reason = format!("it changes in the future, at {}", record.updated_at());
    let (source_id, raw) = record.into_identity();
    Poison {
        kind: R::KIND,
        source_id,
        reason,
        raw: raw.into_bytes(),
    }
}
