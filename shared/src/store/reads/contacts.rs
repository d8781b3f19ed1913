//! Contacts with the records that they consist of.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Position, ProfileFilter, ProfileSource, SourceRecord, feed::Listed, feed::Ranges};
use crate::{
    domain::ConnectionId,
    store::{StoreError, Tx, noted_changes::ObjectKind, raw, roles::Api},
};

/// One contact: its records, in the order in which its profile is folded.
#[derive(Clone, Debug)]
pub struct ContactRecords {
    pub id: Uuid,
    pub records: Vec<SourceRecord>,
    pub company_ids: Vec<Uuid>,
    pub updated_at: DateTime<Utc>,
    /// The contact that this one was merged into. It then has no records of its own but the merged one.
    pub merged_into: Option<Uuid>,
}

impl Tx<Api> {
    /// One contact by its own id (see [`Tx::resolve_contact`]).
    #[tracing::instrument(name = "db.contact", level = "debug", skip_all)]
    pub async fn contact(&mut self, id: Uuid) -> Result<Option<ContactRecords>, StoreError> {
        let listed = self.changed_at(&[id]).await?;
        Ok(self.complete_contacts(listed).await?.pop())
    }

    /// Contacts, last changed first, without those merged into another. A filter for changes that includes deleted
    /// ones shows the merged ones too, because a reader that follows the changes has to learn of them.
    #[tracing::instrument(name = "db.contacts", level = "debug", skip_all)]
    pub async fn contacts(
        &mut self,
        filter: ProfileFilter,
        before: Position,
        limit: i64,
    ) -> Result<Vec<ContactRecords>, StoreError> {
        let ranges = Ranges::of_profiles(ObjectKind::Contact, filter);
        let since = filter.updated_since.unwrap_or(DateTime::UNIX_EPOCH);
        let listed = self.listed(&ranges, since, before.at, limit).await?;
        self.complete_contacts(listed).await
    }

    /// Adds records and companies, by three statements for a page of any length. A contact without a record is left out.
    async fn complete_contacts(
        &mut self,
        listed: Vec<Listed>,
    ) -> Result<Vec<ContactRecords>, StoreError> {
        let ids: Vec<Uuid> = listed.iter().map(|listed| listed.id).collect();
        let mut records = self.contact_records(&ids).await?;
        // By ids and not by a join, because a contact has several sources and several companies. Every statement goes
        // from one row to the next by keys (`LATERAL`, and `OFFSET 0` against flattening), because a join may be planned
        // when the tables are empty, and then reads all links of a connection.
        let mut companies = self.companies_of(&ids).await?;
        let is_merged = |id: &Uuid| {
            records
                .get(id)
                .is_some_and(|records| records.iter().all(|record| record.is_merged))
        };
        let merged: Vec<Uuid> = ids.iter().copied().filter(is_merged).collect();
        let survivors = self.survivors(&merged).await?;
        Ok(listed
            .into_iter()
            .filter_map(|Listed { id, updated_at }| {
                Some(ContactRecords {
                    id,
                    records: records.remove(&id)?,
                    company_ids: companies.remove(&id).unwrap_or_default(),
                    updated_at,
                    merged_into: survivors.get(&id).copied(),
                })
            })
            .collect())
    }

    async fn contact_records(
        &mut self,
        contacts: &[Uuid],
    ) -> Result<HashMap<Uuid, Vec<SourceRecord>>, StoreError> {
        let tenant = self.tenant().0;
        let rows = sqlx::query!(
            r#"SELECT s.contact_id, c.source, s.connection_id, s.source_id, s.source_updated_at, s.deleted_at,
                      s.merged_into IS NOT NULL AS "is_merged!", s.raw
               FROM unnest($2::uuid[]) AS i(id)
               CROSS JOIN LATERAL (SELECT contact_id, connection_id, source_id, source_updated_at, deleted_at, merged_into, raw
                                   FROM contact_sources WHERE tenant_id = $1 AND contact_id = i.id OFFSET 0) s
               CROSS JOIN LATERAL (SELECT source, connected_at FROM connections
                                   WHERE tenant_id = $1 AND id = s.connection_id OFFSET 0) c
               ORDER BY c.connected_at, s.connection_id, s.source_id"#,
            tenant,
            contacts,
        )
        .fetch_all(self.session())
        .await?;
        let mut of: HashMap<Uuid, Vec<SourceRecord>> = HashMap::new();
        for row in rows {
            of.entry(row.contact_id).or_default().push(SourceRecord {
                source: ProfileSource {
                    source: row.source,
                    connection_id: ConnectionId(row.connection_id),
                    source_id: row.source_id,
                    source_updated_at: row.source_updated_at,
                    deleted_at: row.deleted_at,
                },
                is_merged: row.is_merged,
                raw: raw::read("contact_sources", &row.raw)?,
            });
        }
        Ok(of)
    }

    /// Company ids by contact. A company that is not synced yet is left out until it is.
    async fn companies_of(
        &mut self,
        contacts: &[Uuid],
    ) -> Result<HashMap<Uuid, Vec<Uuid>>, StoreError> {
        let tenant = self.tenant().0;
        let rows = sqlx::query!(
            r#"SELECT DISTINCT i.id AS "contact_id!", o.company_id
               FROM unnest($2::uuid[]) AS i(id)
               CROSS JOIN LATERAL (SELECT connection_id, source_id FROM contact_sources
                                   WHERE tenant_id = $1 AND contact_id = i.id OFFSET 0) s
               CROSS JOIN LATERAL (SELECT company_source_id FROM contact_companies
                                   WHERE tenant_id = $1 AND connection_id = s.connection_id
                                     AND contact_source_id = s.source_id OFFSET 0) l
               CROSS JOIN LATERAL (SELECT company_id FROM company_sources
                                   WHERE tenant_id = $1 AND connection_id = s.connection_id
                                     AND source_id = l.company_source_id OFFSET 0) o
               ORDER BY 1, o.company_id"#,
            tenant,
            contacts,
        )
        .fetch_all(self.session())
        .await?;
        let mut of: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
        for row in rows {
            of.entry(row.contact_id).or_default().push(row.company_id);
        }
        Ok(of)
    }

    /// Names of teammates, by connection and admin id. Admin ids are unique only within a workspace.
    #[tracing::instrument(name = "db.admin_names", level = "debug", skip_all)]
    pub async fn admin_names(
        &mut self,
        admins: &[(ConnectionId, String)],
    ) -> Result<HashMap<(ConnectionId, String), String>, StoreError> {
        if admins.is_empty() {
            return Ok(HashMap::new());
        }
        let tenant = self.tenant().0;
        let (connections, ids): (Vec<Uuid>, Vec<&str>) = admins
            .iter()
            .map(|(connection, id)| (connection.0, id.as_str()))
            .unzip();
        // A removed admin keeps its row, so an old owner still has a name.
        let named = sqlx::query!(
            r#"SELECT i.connection_id AS "connection_id!", i.source_id AS "source_id!", r.name AS "name!"
               FROM unnest($2::uuid[], $3::text[]) AS i(connection_id, source_id)
               CROSS JOIN LATERAL (SELECT name FROM reference_items
                                   WHERE tenant_id = $1 AND connection_id = i.connection_id AND kind = 'admin'
                                     AND source_id = i.source_id AND name IS NOT NULL OFFSET 0) r"#,
            tenant,
            &connections,
            &ids as &[&str],
        )
        .fetch_all(self.session())
        .await?;
        Ok(named
            .into_iter()
            .map(|row| ((ConnectionId(row.connection_id), row.source_id), row.name))
            .collect())
    }
}
