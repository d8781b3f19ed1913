//! Contacts as profiles, with the sources they are folded from.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;
use uuid::Uuid;

use super::{Position, ProfileFilter, ProfileSource, deleted_everywhere};
use crate::{
    domain::{ConnectionId, JsonText},
    store::{StoreError, Tx, roles::Api},
};

/// One person.
#[derive(Clone, Debug)]
pub struct ContactProfile {
    pub id: Uuid,
    pub email: Option<String>,
    pub name: Option<String>,
    /// `user` or `lead`.
    pub role: Option<String>,
    pub phone: Option<String>,
    /// The owning teammate's name, or the id where the name is not known.
    pub owner: Option<String>,
    pub company_ids: Vec<Uuid>,
    pub attributes: JsonText,
    pub location: JsonText,
    pub last_seen_at: Option<DateTime<Utc>>,
    pub last_replied_at: Option<DateTime<Utc>>,
    pub last_contacted_at: Option<DateTime<Utc>>,
    pub sources: Vec<ProfileSource>,
    pub updated_at: DateTime<Utc>,
    pub deleted_at: Option<DateTime<Utc>>,
    /// The contact that this one was merged into.
    pub merged_into: Option<Uuid>,
    /// Which source each field came from, where it was asked for.
    pub provenance: Option<BTreeMap<String, Provenance>>,
}

/// Where one field's value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    pub source: String,
    pub connection_id: ConnectionId,
    pub source_id: String,
    pub source_updated_at: DateTime<Utc>,
}

/// The profile's own row. A page adds everything else.
struct ContactRow {
    id: Uuid,
    email: Option<String>,
    name: Option<String>,
    role: Option<String>,
    phone: Option<String>,
    owner: Option<String>,
    attributes: Json<JsonText>,
    location: Json<JsonText>,
    last_seen_at: Option<DateTime<Utc>>,
    last_replied_at: Option<DateTime<Utc>>,
    last_contacted_at: Option<DateTime<Utc>>,
    updated_at: DateTime<Utc>,
}

impl Tx<Api> {
    /// One contact by its own id (see [`Tx::resolve_contact`]).
    #[tracing::instrument(name = "db.contact", level = "debug", skip_all)]
    pub async fn contact(
        &mut self,
        id: Uuid,
        provenance: bool,
    ) -> Result<Option<ContactProfile>, StoreError> {
        let tenant = self.tenant().0;
        let rows = sqlx::query_as!(
            ContactRow,
            r#"SELECT id, email, name, role, phone, owner, attributes AS "attributes: _", location AS "location: _", last_seen_at, last_replied_at,
                    last_contacted_at, updated_at
             FROM contacts WHERE tenant_id = $1 AND id = $2"#,
            tenant,
            id,
        )
        .fetch_all(self.session())
        .await?;
        Ok(self.complete_contacts(rows, provenance).await?.pop())
    }

    /// Contacts, last changed first, without those merged into another. A filter for changes that includes deleted
    /// ones shows the merged ones too, because a reader that follows the changes has to learn of them.
    #[tracing::instrument(name = "db.contacts", level = "debug", skip_all)]
    pub async fn contacts(
        &mut self,
        filter: ProfileFilter,
        before: Position,
        limit: i64,
        provenance: bool,
    ) -> Result<Vec<ContactProfile>, StoreError> {
        let tenant = self.tenant().0;
        // The row comparison is one range of the index, so a late page costs as much as the first.
        let rows = sqlx::query_as!(
            ContactRow,
            r#"SELECT id, email, name, role, phone, owner, attributes AS "attributes: _", location AS "location: _", last_seen_at, last_replied_at,
                    last_contacted_at, updated_at
             FROM contacts c
             WHERE tenant_id = $1 AND (updated_at, id) < ($2, $3) AND updated_at >= $4 AND updated_at > '-infinity'
               AND EXISTS (SELECT FROM contact_sources s
                           WHERE s.tenant_id = $1 AND s.contact_id = c.id AND (s.merged_into IS NULL OR $6)
                             AND ($5 OR s.deleted_at IS NULL))
             ORDER BY updated_at DESC, id DESC LIMIT $7"#,
            tenant,
            before.at,
            before.id,
            filter.updated_since.unwrap_or(DateTime::UNIX_EPOCH),
            filter.deleted,
            filter.deleted && filter.updated_since.is_some(),
            limit,
        )
        .fetch_all(self.session())
        .await?;
        self.complete_contacts(rows, provenance).await
    }

    /// Adds sources, companies and the owner's name, by three statements for a page of any length.
    async fn complete_contacts(
        &mut self,
        rows: Vec<ContactRow>,
        provenance: bool,
    ) -> Result<Vec<ContactProfile>, StoreError> {
        let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
        let mut sources = self.contact_sources(&ids, provenance).await?;
        // By ids and not by a join, because a contact has several sources and several companies. Every statement goes
        // from one row to the next by keys (`LATERAL`, and `OFFSET 0` against flattening), because a join may be planned
        // when the tables are empty, and then reads all links of a connection.
        let mut companies = self.companies_of(&ids).await?;
        let owners = self.admin_names(&sources, &rows).await?;
        // A contact without a record of its own was merged.
        let merged: Vec<Uuid> = ids
            .iter()
            .copied()
            .filter(|id| !sources.contains_key(id))
            .collect();
        let survivors = self.survivors(&merged).await?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let records = sources.remove(&row.id).unwrap_or_default();
                // Admin ids are unique only within a workspace, so the name comes from one of the record's own.
                let owner = row.owner.map(|id| {
                    let known = records
                        .iter()
                        .find_map(|r| owners.get(&(r.source.connection_id.0, id.clone())));
                    known.cloned().unwrap_or(id)
                });
                let provenance = provenance.then(|| provenance_of(&records));
                let sources: Vec<ProfileSource> =
                    records.into_iter().map(|record| record.source).collect();
                ContactProfile {
                    id: row.id,
                    email: row.email,
                    name: row.name,
                    role: row.role,
                    phone: row.phone,
                    owner,
                    company_ids: companies.remove(&row.id).unwrap_or_default(),
                    attributes: row.attributes.0,
                    location: row.location.0,
                    last_seen_at: row.last_seen_at,
                    last_replied_at: row.last_replied_at,
                    last_contacted_at: row.last_contacted_at,
                    deleted_at: deleted_everywhere(&sources),
                    merged_into: survivors.get(&row.id).copied(),
                    sources,
                    updated_at: row.updated_at,
                    provenance,
                }
            })
            .collect())
    }

    async fn contact_sources(
        &mut self,
        contacts: &[Uuid],
        fields: bool,
    ) -> Result<HashMap<Uuid, Vec<Record>>, StoreError> {
        let tenant = self.tenant().0;
        let rows = sqlx::query!(
            r#"SELECT s.contact_id, c.source, s.connection_id, s.source_id, s.source_updated_at, s.deleted_at,
                      CASE WHEN $3 THEN s.fields END AS fields
               FROM unnest($2::uuid[]) AS i(id)
               CROSS JOIN LATERAL (SELECT contact_id, connection_id, source_id, source_updated_at, deleted_at, fields
                                   FROM contact_sources
                                   WHERE tenant_id = $1 AND contact_id = i.id AND merged_into IS NULL OFFSET 0) s
               CROSS JOIN LATERAL (SELECT source, connected_at FROM connections
                                   WHERE tenant_id = $1 AND id = s.connection_id OFFSET 0) c
               ORDER BY c.connected_at, s.connection_id, s.source_id"#,
            tenant,
            contacts,
            fields,
        )
        .fetch_all(self.session())
        .await?;
        let mut of: HashMap<Uuid, Vec<Record>> = HashMap::new();
        for row in rows {
            of.entry(row.contact_id).or_default().push(Record {
                source: ProfileSource {
                    source: row.source,
                    connection_id: ConnectionId(row.connection_id),
                    source_id: row.source_id,
                    source_updated_at: row.source_updated_at,
                    deleted_at: row.deleted_at,
                },
                fields: row.fields.unwrap_or(Value::Null),
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

    /// Names of the owners of a page, by connection and admin id.
    async fn admin_names(
        &mut self,
        sources: &HashMap<Uuid, Vec<Record>>,
        rows: &[ContactRow],
    ) -> Result<HashMap<(Uuid, String), String>, StoreError> {
        let mut owners: Vec<String> = rows.iter().filter_map(|row| row.owner.clone()).collect();
        owners.sort_unstable();
        owners.dedup();
        let mut connections: Vec<Uuid> = sources
            .values()
            .flatten()
            .map(|r| r.source.connection_id.0)
            .collect();
        connections.sort_unstable();
        connections.dedup();
        if owners.is_empty() {
            return Ok(HashMap::new());
        }
        let tenant = self.tenant().0;
        // A removed admin keeps its row, so an old owner still has a name.
        let named = sqlx::query!(
            r#"SELECT connection_id, source_id, name AS "name!" FROM reference_items
               WHERE tenant_id = $1 AND connection_id = ANY($2) AND kind = 'admin' AND source_id = ANY($3)
                 AND name IS NOT NULL"#,
            tenant,
            &connections,
            &owners,
        )
        .fetch_all(self.session())
        .await?;
        Ok(named
            .into_iter()
            .map(|row| ((row.connection_id, row.source_id), row.name))
            .collect())
    }
}

/// One source's record and its fields.
struct Record {
    source: ProfileSource,
    fields: Value,
}

/// For each field, the first record in source order that has a value. The profile is folded in the same way.
fn provenance_of(records: &[Record]) -> BTreeMap<String, Provenance> {
    let mut provenance = BTreeMap::new();
    for record in records {
        let Some(fields) = record.fields.as_object() else {
            continue;
        };
        for (field, value) in fields {
            if !is_empty(value) && !provenance.contains_key(field) {
                provenance.insert(
                    field.clone(),
                    Provenance {
                        source: record.source.source.clone(),
                        connection_id: record.source.connection_id,
                        source_id: record.source.source_id.clone(),
                        source_updated_at: record.source.source_updated_at,
                    },
                );
            }
        }
    }
    provenance
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(source_id: &str, fields: Value) -> Record {
        Record {
            source: ProfileSource {
                source: "intercom".to_owned(),
                connection_id: ConnectionId::new(),
                source_id: source_id.to_owned(),
                source_updated_at: Utc::now(),
                deleted_at: None,
            },
            fields,
        }
    }

    #[test]
    fn a_field_comes_from_the_first_source_that_has_it() {
        let records = [
            record(
                "a",
                json!({"name": "Ada", "email": null, "phone": "", "attributes": {}}),
            ),
            record(
                "b",
                json!({"name": "Bob", "email": "b@x.test", "attributes": {"plan": "pro"}}),
            ),
        ];
        let found: Vec<_> = provenance_of(&records)
            .into_iter()
            .map(|(field, p)| (field, p.source_id))
            .collect();
        let expected = [("attributes", "b"), ("email", "b"), ("name", "a")];
        assert_eq!(
            found,
            expected.map(|(field, id)| (field.to_owned(), id.to_owned()))
        );
    }
}
