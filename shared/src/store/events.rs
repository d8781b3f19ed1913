//! What people did, as other sources tell it.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    StoreError, Tx,
    batch::last_of_each,
    raw::{self, RawKind},
    roles::Sources,
    versions::raw_hash,
};
use crate::domain::{ConnectionId, ids, records::SourceEvent};

/// What a batch of events has left.
#[derive(Debug, Default)]
pub struct WrittenEvents {
    /// How many have changed something.
    pub changed: usize,
    /// Source ids of events of people who are erased. They are not stored.
    pub kept_out: Vec<String>,
}

impl Tx<Sources> {
    /// Writes a source's events. An older version of one changes nothing.
    #[tracing::instrument(name = "db.write_events", level = "debug", skip_all)]
    pub async fn write_events(
        &mut self,
        connection: ConnectionId,
        events: Vec<SourceEvent>,
    ) -> Result<WrittenEvents, StoreError> {
        if events.is_empty() {
            return Ok(WrittenEvents::default());
        }
        let tenant = self.tenant().0;
        let events = last_of_each(events, |event| &event.source_id);
        let contacts: BTreeSet<&str> = events.iter().map(|event| event.contact.as_str()).collect();
        let people = self
            .kept_out(connection, &contacts, &BTreeSet::new())
            .await?
            .people();
        let (kept_out, events): (Vec<_>, Vec<_>) = events
            .into_iter()
            .partition(|event| people.contains(&event.contact));
        let mut columns = EventColumns::default();
        for event in events {
            columns
                .ids
                .push(ids::event_id(connection, &event.source_id));
            columns.occurred.push(event.occurred_at);
            columns.updated.push(event.updated_at);
            columns.hashes.push(raw_hash(&event.raw));
            columns.contacts.push(event.contact);
            columns
                .raws
                .push(raw::pack(RawKind::Contact, event.raw.as_bytes()));
            columns.source_ids.push(event.source_id);
        }
        let written = sqlx::query!(
            "INSERT INTO events AS e
                (tenant_id, connection_id, source_id, id, contact_source_id, occurred_at, source_updated_at, raw_hash, raw)
             SELECT $1, $2, * FROM unnest($3::text[], $4::uuid[], $5::text[], $6::timestamptz[], $7::timestamptz[], $8::int8[],
                                          $9::bytea[])
             ON CONFLICT (tenant_id, connection_id, source_id) DO UPDATE SET
                contact_source_id = excluded.contact_source_id, occurred_at = excluded.occurred_at,
                source_updated_at = excluded.source_updated_at, raw_hash = excluded.raw_hash, raw = excluded.raw,
                deleted_at = NULL
             WHERE excluded.source_updated_at > e.source_updated_at
                OR excluded.source_updated_at = e.source_updated_at
                   AND (excluded.raw_hash <> e.raw_hash OR e.deleted_at IS NOT NULL)",
            tenant,
            connection.0,
            &columns.source_ids,
            &columns.ids,
            &columns.contacts,
            &columns.occurred,
            &columns.updated,
            &columns.hashes,
            &columns.raws,
        )
        .execute(self.session())
        .await?;
        Ok(WrittenEvents {
            changed: usize::try_from(written.rows_affected()).unwrap_or(usize::MAX),
            kept_out: kept_out.into_iter().map(|event| event.source_id).collect(),
        })
    }
}

/// One array per column, which is the shape that `unnest` takes.
#[derive(Default)]
struct EventColumns {
    source_ids: Vec<String>,
    ids: Vec<Uuid>,
    contacts: Vec<String>,
    occurred: Vec<DateTime<Utc>>,
    updated: Vec<DateTime<Utc>>,
    hashes: Vec<i64>,
    raws: Vec<Vec<u8>>,
}
