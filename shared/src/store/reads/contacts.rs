//! Contacts with the records that they consist of.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Position, ProfileFilter, SourceRecord, feed::Listed, feed::Ranges};
use crate::{
    domain::{ConnectionId, profile::RecordKey},
    store::{StoreError, Tx, identities::Linked, noted_changes::ObjectKind, roles::Api},
};

/// One contact: its records, in the order in which its profile is folded.
#[derive(Clone, Debug)]
pub struct ContactRecords {
    pub id: Uuid,
    pub records: Vec<SourceRecord>,
    pub companies: Vec<ContactCompany>,
    pub updated_at: DateTime<Utc>,
    /// The contact that this one was merged into. It then has the one record whose id it is.
    pub merged_into: Option<Uuid>,
}

/// A company of a contact, and the record that names it.
#[derive(Clone, Debug)]
pub struct ContactCompany {
    pub contact: RecordKey,
    pub company: RecordKey,
    pub company_id: Uuid,
}

impl Tx<Api> {
    /// One contact by its own id (see [`Tx::resolve_contact`]).
    #[tracing::instrument(name = "db.contact", level = "debug", skip_all)]
    pub async fn contact(&mut self, id: Uuid) -> Result<Option<ContactRecords>, StoreError> {
        Ok(self.contacts_by_id(&[id]).await?.pop())
    }

    /// Contacts by their own ids, in the order of the ids. Unknown and foreign ones are left out.
    #[tracing::instrument(name = "db.contacts_by_id", level = "debug", skip_all)]
    pub async fn contacts_by_id(
        &mut self,
        ids: &[Uuid],
    ) -> Result<Vec<ContactRecords>, StoreError> {
        let listed = self.changed_at(ids).await?;
        let mut found = self.complete_contacts(listed).await?;
        found.sort_by_key(|contact| ids.iter().position(|id| *id == contact.id));
        Ok(found)
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

    /// Adds records and companies, by a few statements for a page of any length. A contact without a record is left out.
    async fn complete_contacts(
        &mut self,
        listed: Vec<Listed>,
    ) -> Result<Vec<ContactRecords>, StoreError> {
        let ids: Vec<Uuid> = listed.iter().map(|listed| listed.id).collect();
        let records = self.contact_records(&ids).await?;
        // By ids and not by a join, because a contact has several sources and several companies. Every statement goes
        // from one row to the next by keys (`LATERAL`, and `OFFSET 0` against flattening), because a join may be planned
        // when the tables are empty, and then reads all links of a connection.
        let mut companies = self.companies_of(&ids).await?;
        let mut made_of = self.own_or_joined(Linked::Contacts, &ids, records).await?;
        Ok(listed
            .into_iter()
            .filter_map(|Listed { id, updated_at }| {
                let (records, merged_into) = made_of.remove(&id)?;
                Some(ContactRecords {
                    id,
                    records,
                    companies: companies.remove(&id).unwrap_or_default(),
                    updated_at,
                    merged_into,
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
                      s.merged_into IS NOT NULL AS "is_merged!", s.external_id, s.raw
               FROM unnest($2::uuid[]) AS i(id)
               CROSS JOIN LATERAL (SELECT contact_id, connection_id, source_id, source_updated_at, deleted_at, merged_into,
                                          external_id, raw
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
            of.entry(row.contact_id).or_default().push(source_record!(
                row,
                "contact_sources",
                row.is_merged
            ));
        }
        Ok(of)
    }

    /// Companies by contact. A company that is not synced yet is left out until it is.
    async fn companies_of(
        &mut self,
        contacts: &[Uuid],
    ) -> Result<HashMap<Uuid, Vec<ContactCompany>>, StoreError> {
        let tenant = self.tenant().0;
        let rows = sqlx::query!(
            r#"SELECT i.id AS "contact_id!", s.connection_id, s.source_id, l.company_source_id, o.company_id
               FROM unnest($2::uuid[]) AS i(id)
               CROSS JOIN LATERAL (SELECT connection_id, source_id FROM contact_sources
                                   WHERE tenant_id = $1 AND contact_id = i.id AND merged_into IS NULL OFFSET 0) s
               CROSS JOIN LATERAL (SELECT company_source_id FROM contact_companies
                                   WHERE tenant_id = $1 AND connection_id = s.connection_id
                                     AND contact_source_id = s.source_id OFFSET 0) l
               CROSS JOIN LATERAL (SELECT company_id FROM company_sources
                                   WHERE tenant_id = $1 AND connection_id = s.connection_id
                                     AND source_id = l.company_source_id OFFSET 0) o
               ORDER BY 1, s.connection_id, s.source_id, l.company_source_id"#,
            tenant,
            contacts,
        )
        .fetch_all(self.session())
        .await?;
        let mut of: HashMap<Uuid, Vec<ContactCompany>> = HashMap::new();
        for row in rows {
            let connection = ConnectionId(row.connection_id);
            of.entry(row.contact_id).or_default().push(ContactCompany {
                contact: RecordKey::new(connection, row.source_id),
                company: RecordKey::new(connection, row.company_source_id),
                company_id: row.company_id,
            });
        }
        Ok(of)
    }

    /// Names of admins, tags and segments. Their ids are unique only within a workspace.
    #[tracing::instrument(name = "db.reference_names", level = "debug", skip_all)]
    pub async fn reference_names(
        &mut self,
        items: &HashSet<ReferenceKey>,
    ) -> Result<HashMap<ReferenceKey, String>, StoreError> {
        if items.is_empty() {
            return Ok(HashMap::new());
        }
        let tenant = self.tenant().0;
        let connections: Vec<Uuid> = items.iter().map(|item| item.connection.0).collect();
        let kinds: Vec<&str> = items.iter().map(|item| item.kind).collect();
        let ids: Vec<&str> = items.iter().map(|item| item.source_id.as_str()).collect();
        // A removed admin keeps its row, so an old owner still has a name.
        let named = sqlx::query!(
            r#"SELECT i.place AS "place!", r.name AS "name!"
               FROM unnest($2::uuid[], $3::text[], $4::text[]) WITH ORDINALITY AS i(connection_id, kind, source_id, place)
               CROSS JOIN LATERAL (SELECT name FROM reference_items
                                   WHERE tenant_id = $1 AND connection_id = i.connection_id AND kind = i.kind
                                     AND source_id = i.source_id AND name IS NOT NULL OFFSET 0) r"#,
            tenant,
            &connections,
            &kinds as &[&str],
            &ids as &[&str],
        )
        .fetch_all(self.session())
        .await?;
        let mut names: HashMap<i64, String> =
            named.into_iter().map(|row| (row.place, row.name)).collect();
        Ok((1..)
            .zip(items)
            .filter_map(|(place, item)| Some((item.clone(), names.remove(&place)?)))
            .collect())
    }
}

/// Names a reference item of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReferenceKey {
    pub connection: ConnectionId,
    /// `admin`, `tag` or `segment`.
    pub kind: &'static str,
    pub source_id: String,
}
