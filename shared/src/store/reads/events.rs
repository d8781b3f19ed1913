//! Events of a contact.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Position;
use crate::{
    domain::ConnectionId,
    store::{StoreError, Tx, raw, roles::Api},
};

/// What a contact did, as its source sent it.
#[derive(Clone, Debug)]
pub struct EventRecord {
    pub id: Uuid,
    /// `crm`, `email` or `analytics`.
    pub source: String,
    pub connection_id: ConnectionId,
    pub source_id: String,
    pub occurred_at: DateTime<Utc>,
    pub raw: Vec<u8>,
}

impl Tx<Api> {
    /// Events of a contact's records, the last one first.
    #[tracing::instrument(name = "db.contact_events", level = "debug", skip_all)]
    pub async fn contact_events(
        &mut self,
        contact: Uuid,
        before: Position,
        limit: i64,
    ) -> Result<Vec<EventRecord>, StoreError> {
        let tenant = self.tenant().0;
        // From each record to its own page of events, so that a contact of many events costs as much as a page.
        let rows = sqlx::query!(
            "WITH person AS (
                 SELECT connection_id, source_id FROM contact_sources WHERE tenant_id = $1 AND contact_id = $2
             )
             SELECT e.id, c.source, e.connection_id, e.source_id, e.occurred_at, e.raw
             FROM person CROSS JOIN LATERAL (
                 SELECT id, connection_id, source_id, occurred_at, raw FROM events
                 WHERE tenant_id = $1 AND connection_id = person.connection_id AND contact_source_id = person.source_id
                   AND deleted_at IS NULL AND (occurred_at, id) < ($3, $4)
                 ORDER BY occurred_at DESC, id DESC LIMIT $5) e
             CROSS JOIN LATERAL (SELECT source FROM connections
                                 WHERE tenant_id = $1 AND id = e.connection_id OFFSET 0) c
             ORDER BY e.occurred_at DESC, e.id DESC LIMIT $5",
            tenant,
            contact,
            before.at,
            before.id,
            limit,
        )
        .fetch_all(self.session())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(EventRecord {
                    id: row.id,
                    source: row.source,
                    connection_id: ConnectionId(row.connection_id),
                    source_id: row.source_id,
                    occurred_at: row.occurred_at,
                    raw: raw::read("events", &row.raw)?,
                })
            })
            .collect()
    }
}
