//! Records that claim to have changed in the future.
//!
//! A stored record is overwritten only by a later change. A record from the year 9999 would therefore never be
//! overwritten again, so it is quarantined until Intercom gives it a time that has come.

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::records::{Company, Contact, Conversation, Part, Poison};

/// The clocks of servers differ by seconds, never by a day.
const TOLERANCE: TimeDelta = TimeDelta::days(1);

/// A record with the time of its last change.
pub(super) trait Timestamped {
    const KIND: &'static str;
    fn source_id(&self) -> &str;
    fn updated_at(&self) -> DateTime<Utc>;
    /// The record's id and its raw JSON.
    fn into_identity(self) -> (String, String);
}

macro_rules! timestamped {
    ($($record:ty: $kind:literal),+) => {
        $(impl Timestamped for $record {
            const KIND: &'static str = $kind;

            fn source_id(&self) -> &str {
                &self.source_id
            }

            fn updated_at(&self) -> DateTime<Utc> {
                self.updated_at
            }

            fn into_identity(self) -> (String, String) {
                (self.source_id, self.raw)
            }
        })+
    };
}

timestamped!(Contact: "contact", Company: "company", Conversation: "conversation", Part: "part");

/// Takes the future-dated records out of `records`. `now` is by Intercom's clock.
pub(super) fn set_aside<R: Timestamped>(
    records: Vec<R>,
    now: DateTime<Utc>,
) -> (Vec<R>, Vec<Poison>) {
    let (future_dated, records): (Vec<R>, Vec<R>) = records
        .into_iter()
        .partition(|record| is_future_dated(record, now));
    (records, future_dated.into_iter().map(poison).collect())
}

pub(super) fn is_future_dated<R: Timestamped>(record: &R, now: DateTime<Utc>) -> bool {
    record.updated_at() > now + TOLERANCE
}

/// The record in quarantine.
pub(super) fn poison<R: Timestamped>(record: R) -> Poison {
    let reason = format!("it changes in the future, at {}", record.updated_at());
    let (source_id, raw) = record.into_identity();
    Poison {
        kind: R::KIND,
        source_id,
        reason,
        raw: raw.into_bytes(),
    }
}
