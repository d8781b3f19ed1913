//! Sources that send their records by themselves: a CRM, an analytics tool, a mailing tool.
//!
//! The records of each belong to a connection, as a workspace's do. The first record makes it. A removal ends it and
//! deletes what it brought, as the purge of a workspace does, and the next record opens it again.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{
    StoreError, Tx,
    identities::{Linked, Unlinked},
    roles::{Api, Sources},
};
use crate::domain::{
    ConnectionId,
    audit_event::Effect,
    profile::{RecordKey, Source},
};

/// A source that has sent records.
#[derive(Clone, Debug)]
pub struct ConnectedSource {
    pub source: Source,
    pub connection: ConnectionId,
    /// When its first record came.
    pub connected_at: DateTime<Utc>,
    /// Its records are being deleted. It takes no others until that is done.
    pub is_being_removed: bool,
}

/// One statement for every table. Gives the source ids of what is marked now. `$values` fill the columns `$own` of a row
/// that is never inserted, because each row is there: it is found by its key, whatever the planner believes of the table.
macro_rules! mark_ended {
    ($tx:ident, $connection:ident, $ended:ident, $table:literal, $own:literal, $values:literal, $read:literal) => {{
        let tenant = $tx.tenant().0;
        let ended = $ended.iter().map(|(id, at)| (id.as_str(), *at));
        let (ids, times): (Vec<&str>, Vec<DateTime<Utc>>) = ended.unzip();
        sqlx::query_scalar!(
            "INSERT INTO "
                + $table
                + " AS s (tenant_id, connection_id, source_id, source_updated_at, raw_hash, raw, "
                + $own
                + ")
             SELECT $1, $2, c.source_id, i.at, 0, '', "
                + $values
                + "
             FROM unnest($3::text[], $4::timestamptz[]) AS i(source_id, at)
             CROSS JOIN LATERAL (SELECT source_id, "
                + $read
                + " FROM "
                + $table
                + " WHERE tenant_id = $1 AND connection_id = $2 AND source_id = i.source_id
                                   AND source_updated_at <= i.at AND deleted_at IS NULL FOR UPDATE) c
             ON CONFLICT (tenant_id, connection_id, source_id) DO UPDATE
             SET deleted_at = now(), source_updated_at = excluded.source_updated_at
             RETURNING s.source_id",
            tenant,
            $connection.0,
            &ids as &[&str],
            &times,
        )
        .fetch_all($tx.session())
        .await?
    }};
}

impl Tx<Sources> {
    /// The connection of a source, made or opened again. `None` while its earlier records are being deleted. The row
    /// stays locked until the commit, so that a removal waits for what is being written.
    #[tracing::instrument(name = "db.open_source", level = "debug", skip_all)]
    pub async fn open_source(
        &mut self,
        source: Source,
    ) -> Result<Option<ConnectionId>, StoreError> {
        let tenant = self.tenant().0;
        let known = sqlx::query!(
            r#"SELECT id, state = 'active' AS "is_active!" FROM connections
               WHERE tenant_id = $1 AND source = $2 AND workspace_id = $2 FOR SHARE"#,
            tenant,
            source.as_str(),
        )
        .fetch_optional(self.session())
        .await?;
        if let Some(known) = known.filter(|known| known.is_active) {
            return Ok(Some(ConnectionId(known.id)));
        }
        let opened = sqlx::query_scalar!(
            "INSERT INTO connections AS c (tenant_id, id, source, state, workspace_id, connected_at)
             VALUES ($1, $2, $3, 'active', $3, now())
             ON CONFLICT (tenant_id, source, workspace_id) DO UPDATE
             SET state = 'active', connected_at = now(), disconnected_at = NULL
             WHERE c.purge_requested_at IS NULL
             RETURNING c.id",
            tenant,
            ConnectionId::new().0,
            source.as_str(),
        )
        .fetch_optional(self.session())
        .await?;
        Ok(opened.map(ConnectionId))
    }

    /// Marks contacts as deleted that their source has deleted at these times. One that is not stored, or stored in a
    /// later version, stays as it is. Returns how many are marked now.
    #[tracing::instrument(name = "db.end_contacts", level = "debug", skip_all)]
    pub async fn end_contacts(
        &mut self,
        connection: ConnectionId,
        ended: &[(String, DateTime<Utc>)],
    ) -> Result<usize, StoreError> {
        self.end_records(Linked::Contacts, connection, ended).await
    }

    /// The same of companies.
    #[tracing::instrument(name = "db.end_companies", level = "debug", skip_all)]
    pub async fn end_companies(
        &mut self,
        connection: ConnectionId,
        ended: &[(String, DateTime<Utc>)],
    ) -> Result<usize, StoreError> {
        self.end_records(Linked::Companies, connection, ended).await
    }

    async fn end_records(
        &mut self,
        linked: Linked,
        connection: ConnectionId,
        ended: &[(String, DateTime<Utc>)],
    ) -> Result<usize, StoreError> {
        if ended.is_empty() {
            return Ok(0);
        }
        self.lock_links(linked).await?;
        let marked = match linked {
            Linked::Contacts => mark_ended!(
                self,
                connection,
                ended,
                "contact_sources",
                "record_id, contact_id, source_created_at",
                "c.contact_id, c.contact_id, i.at",
                "contact_id"
            ),
            Linked::Companies => mark_ended!(
                self,
                connection,
                ended,
                "company_sources",
                "record_id, company_id, source_created_at",
                "c.company_id, c.company_id, i.at",
                "company_id"
            ),
        };
        let count = marked.len();
        let records = marked.into_iter().map(|id| RecordKey::new(connection, id));
        let unlinked = Unlinked {
            seeds: records.collect(),
            ..Unlinked::default()
        };
        self.unify(linked, unlinked).await?;
        Ok(count)
    }

    /// The same of events, which link nobody.
    #[tracing::instrument(name = "db.end_events", level = "debug", skip_all)]
    pub async fn end_events(
        &mut self,
        connection: ConnectionId,
        ended: &[(String, DateTime<Utc>)],
    ) -> Result<usize, StoreError> {
        if ended.is_empty() {
            return Ok(0);
        }
        let marked = mark_ended!(
            self,
            connection,
            ended,
            "events",
            "id, contact_source_id, occurred_at",
            "c.id, '', i.at",
            "id"
        );
        Ok(marked.len())
    }
}

impl Tx<Api> {
    /// The source behind each connection of the tenant, ended ones included.
    #[tracing::instrument(name = "db.connection_sources", level = "debug", skip_all)]
    pub async fn connection_sources(
        &mut self,
    ) -> Result<BTreeMap<ConnectionId, Source>, StoreError> {
        let tenant = self.tenant().0;
        let rows = sqlx::query!(
            "SELECT id, source FROM connections WHERE tenant_id = $1",
            tenant
        )
        .fetch_all(self.session())
        .await?;
        Ok(rows
            .into_iter()
            .filter_map(|row| Some((ConnectionId(row.id), Source::named(&row.source)?)))
            .collect())
    }

    /// The sources that have sent records, in the order in which they came.
    #[tracing::instrument(name = "db.sources", level = "debug", skip_all)]
    pub async fn sources(&mut self) -> Result<Vec<ConnectedSource>, StoreError> {
        let tenant = self.tenant().0;
        // A source that was removed keeps its row, so that its connection has one id for ever.
        let rows = sqlx::query!(
            r#"SELECT source, id, connected_at, purge_requested_at IS NOT NULL AS "is_being_removed!" FROM connections
               WHERE tenant_id = $1 AND source <> 'intercom' AND (state = 'active' OR purge_requested_at IS NOT NULL)
               ORDER BY connected_at, id"#,
            tenant,
        )
        .fetch_all(self.session())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(ConnectedSource {
                    source: Source::named(&row.source).ok_or(StoreError::Inconsistent {
                        table: "connections",
                        what: format!("source {:?}", row.source),
                    })?,
                    connection: ConnectionId(row.id),
                    connected_at: row.connected_at,
                    is_being_removed: row.is_being_removed,
                })
            })
            .collect()
    }

    /// Ends a source and requests the deletion of what it has sent (see [`Store::purge`](super::Store::purge)). `None`
    /// if it has sent nothing. A second call changes nothing.
    #[tracing::instrument(name = "db.remove_source", level = "debug", skip_all)]
    pub async fn remove_source(
        &mut self,
        source: Source,
    ) -> Result<Option<(ConnectionId, Effect)>, StoreError> {
        let tenant = self.tenant().0;
        let removed = sqlx::query_scalar!(
            "UPDATE connections
             SET state = 'disconnected', disconnected_at = now(), generation = generation + 1, purge_requested_at = now()
             WHERE tenant_id = $1 AND source = $2 AND workspace_id = $2 AND state = 'active'
             RETURNING id",
            tenant,
            source.as_str(),
        )
        .fetch_optional(self.session())
        .await?;
        if let Some(removed) = removed {
            return Ok(Some((ConnectionId(removed), Effect::Changed)));
        }
        let before = sqlx::query_scalar!(
            "SELECT id FROM connections WHERE tenant_id = $1 AND source = $2 AND workspace_id = $2",
            tenant,
            source.as_str(),
        )
        .fetch_optional(self.session())
        .await?;
        Ok(before.map(|id| (ConnectionId(id), Effect::Unchanged)))
    }
}
