//! Contacts: source record, per-source fields and profile in one statement.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};

use super::{StoreError, Tx, Written, roles::Worker};
use crate::domain::{
    ConnectionId, ids,
    records::{COMPANIES_SHOWN, Contact},
};

impl Tx<Worker> {
    /// Writes what one connection says of these contacts, and the profiles folded from it.
    ///
    /// An older or equal version changes nothing, so pages may be fetched twice and in any order.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn write_contacts(
        &mut self,
        connection: ConnectionId,
        contacts: Vec<Contact>,
    ) -> Result<Written, StoreError> {
        let tenant = self.tenant().0;
        let contacts = super::last_of_each(contacts, |contact| &contact.source_id);
        let count = contacts.len();
        let mut ids = Vec::with_capacity(count);
        let mut source_ids = Vec::with_capacity(count);
        let mut external_ids = Vec::with_capacity(count);
        let mut fields = Vec::with_capacity(count);
        let mut updated = Vec::with_capacity(count);
        let mut sanitised = Vec::with_capacity(count);
        let mut raws = Vec::with_capacity(count);
        let mut companies = HashMap::with_capacity(count);
        let mut versions = HashMap::with_capacity(count);
        let mut absorbed = Vec::new();
        for contact in contacts {
            ids.push(ids::contact_id(connection, &contact.source_id));
            fields.push(super::to_json(&contact.fields, "contact_sources")?);
            external_ids.push(contact.external_id);
            updated.push(contact.updated_at);
            sanitised.push(contact.sanitised);
            raws.push(contact.raw.into_bytes());
            absorbed.extend(
                contact
                    .absorbed
                    .into_iter()
                    .map(|id| (id, contact.source_id.clone())),
            );
            versions.insert(contact.source_id.clone(), contact.updated_at);
            companies.insert(contact.source_id.clone(), contact.companies);
            source_ids.push(contact.source_id);
        }

        let rows = sqlx::query!(
            r#"WITH written AS (
                INSERT INTO contact_sources AS s
                    (tenant_id, connection_id, source_id, contact_id, external_id, fields, source_updated_at, sanitised, raw)
                SELECT $1, $2, source_id, contact_id, external_id, fields::jsonb, source_updated_at, sanitised, raw
                FROM unnest($3::text[], $4::uuid[], $5::text[], $6::text[], $7::timestamptz[], $8::bool[], $9::bytea[])
                    AS i(source_id, contact_id, external_id, fields, source_updated_at, sanitised, raw)
                ON CONFLICT (tenant_id, connection_id, source_id) DO UPDATE SET
                    external_id = excluded.external_id, fields = excluded.fields,
                    source_updated_at = excluded.source_updated_at, sanitised = excluded.sanitised, raw = excluded.raw,
                    deleted_at = NULL, merged_into = NULL
                WHERE excluded.source_updated_at >= s.source_updated_at
                  AND (excluded.raw <> s.raw OR s.deleted_at IS NOT NULL OR s.merged_into IS NOT NULL)
                RETURNING s.source_id, s.contact_id, s.fields, s.xmax = 0 AS inserted
            ), folded AS (
                INSERT INTO contacts AS c
                    (tenant_id, id, role, email, name, phone, owner, attributes, location,
                     last_seen_at, last_replied_at, last_contacted_at)
                SELECT $1, contact_id, fields->>'role', fields->>'email', fields->>'name', fields->>'phone',
                       fields->>'owner', fields->'attributes', fields->'location',
                       (fields->>'last_seen_at')::timestamptz, (fields->>'last_replied_at')::timestamptz,
                       (fields->>'last_contacted_at')::timestamptz
                FROM written
                ON CONFLICT (tenant_id, id) DO UPDATE SET
                    role = excluded.role, email = excluded.email, name = excluded.name, phone = excluded.phone,
                    owner = excluded.owner, attributes = excluded.attributes, location = excluded.location,
                    last_seen_at = excluded.last_seen_at, last_replied_at = excluded.last_replied_at,
                    last_contacted_at = excluded.last_contacted_at, updated_at = now()
            )
            SELECT source_id AS "source_id!", inserted AS "inserted!" FROM written"#,
            tenant,
            connection.0,
            &source_ids,
            &ids,
            &external_ids as &[Option<String>],
            &fields,
            &updated,
            &sanitised,
            &raws,
        )
        .fetch_all(self.session())
        .await?;

        let updated: HashSet<String> = rows
            .iter()
            .filter(|row| !row.inserted)
            .map(|row| row.source_id.clone())
            .collect();
        let changed: Vec<String> = rows.into_iter().map(|row| row.source_id).collect();
        let written = Written {
            seen: count,
            inserted: changed.len() - updated.len(),
            updated: updated.len(),
            changed,
        };
        // What lies beyond the ten that a contact shows may change without a trace in its own bytes: whoever asked for
        // the whole list has its links written, also where nothing else is.
        let long_lists: Vec<&str> = companies
            .iter()
            .filter(|(id, list)| {
                list.as_ref()
                    .is_some_and(|list| list.len() > COMPANIES_SHOWN)
                    && !written.changed.contains(id)
            })
            .map(|(id, _)| id.as_str())
            .collect();
        let unchanged = self.held_as(connection, &long_lists, &versions).await?;
        let links: Vec<(&str, &str)> = written
            .changed
            .iter()
            .chain(&unchanged)
            .filter_map(|id| companies.get(id)?.as_ref().map(|companies| (id, companies)))
            .flat_map(|(id, companies)| {
                companies
                    .iter()
                    .map(|company| (id.as_str(), company.as_str()))
            })
            .collect();
        let known = |id: &&String| companies.get(*id).is_some_and(Option::is_some);
        let relinked: Vec<&str> = updated
            .iter()
            .filter(known)
            .chain(&unchanged)
            .map(String::as_str)
            .collect();
        self.drop_links(connection, &relinked, &links).await?;
        self.add_links(connection, &links).await?;
        self.note_merges(connection, &absorbed).await?;
        Ok(written)
    }

    /// Those of the given contacts that are held in just this version.
    async fn held_as(
        &mut self,
        connection: ConnectionId,
        ids: &[&str],
        versions: &HashMap<String, DateTime<Utc>>,
    ) -> Result<Vec<String>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let tenant = self.tenant().0;
        let rows = sqlx::query!(
            "SELECT source_id, source_updated_at FROM contact_sources
             WHERE tenant_id = $1 AND connection_id = $2 AND source_id = ANY ($3)",
            tenant,
            connection.0,
            ids as &[&str],
        )
        .fetch_all(self.session())
        .await?;
        let is_held = |id: &str, at| versions.get(id) == Some(&at);
        Ok(rows
            .into_iter()
            .filter(|row| is_held(&row.source_id, row.source_updated_at))
            .map(|row| row.source_id)
            .collect())
    }

    /// Takes away the links of known contacts that are no longer said. A new contact has none, and is not
    /// looked for: a first sync would pay for each.
    async fn drop_links(
        &mut self,
        connection: ConnectionId,
        contacts: &[&str],
        links: &[(&str, &str)],
    ) -> Result<(), StoreError> {
        if contacts.is_empty() {
            return Ok(());
        }
        let tenant = self.tenant().0;
        let (left, right): (Vec<&str>, Vec<&str>) = links.iter().copied().unzip();
        sqlx::query!(
            "DELETE FROM contact_companies
             WHERE tenant_id = $1 AND connection_id = $2 AND contact_source_id = ANY ($3::text[])
               AND (contact_source_id, company_source_id) NOT IN (SELECT * FROM unnest($4::text[], $5::text[]))",
            tenant,
            connection.0,
            contacts as &[&str],
            &left as &[&str],
            &right as &[&str],
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    async fn add_links(
        &mut self,
        connection: ConnectionId,
        links: &[(&str, &str)],
    ) -> Result<(), StoreError> {
        if links.is_empty() {
            return Ok(());
        }
        let tenant = self.tenant().0;
        let (left, right): (Vec<&str>, Vec<&str>) = links.iter().copied().unzip();
        sqlx::query!(
            "INSERT INTO contact_companies (tenant_id, connection_id, contact_source_id, company_source_id)
             SELECT DISTINCT $1::uuid, $2::uuid, contact, company FROM unnest($3::text[], $4::text[]) AS i(contact, company)
             ON CONFLICT DO NOTHING",
            tenant,
            connection.0,
            &left as &[&str],
            &right as &[&str],
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Contacts that Intercom merged away keep their row and point to the survivor.
    async fn note_merges(
        &mut self,
        connection: ConnectionId,
        absorbed: &[(String, String)],
    ) -> Result<(), StoreError> {
        if absorbed.is_empty() {
            return Ok(());
        }
        let tenant = self.tenant().0;
        let (gone, survivor): (Vec<&str>, Vec<&str>) = absorbed
            .iter()
            .map(|(a, b)| (a.as_str(), b.as_str()))
            .unzip();
        sqlx::query!(
            "UPDATE contact_sources s SET merged_into = i.survivor
             FROM unnest($3::text[], $4::text[]) AS i(gone, survivor)
             WHERE s.tenant_id = $1 AND s.connection_id = $2 AND s.source_id = i.gone
               AND s.merged_into IS DISTINCT FROM i.survivor",
            tenant,
            connection.0,
            &gone as &[&str],
            &survivor as &[&str],
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Asks for companies by id, to be fetched before the next full walk. True when there are any.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn want_companies_of(
        &mut self,
        connection: ConnectionId,
        contacts: &[String],
    ) -> Result<bool, StoreError> {
        let tenant = self.tenant().0;
        let wanted = sqlx::query!(
            "INSERT INTO company_wants (tenant_id, connection_id, source_id)
             SELECT DISTINCT tenant_id, connection_id, company_source_id FROM contact_companies
             WHERE tenant_id = $1 AND connection_id = $2 AND contact_source_id = ANY ($3)
             ORDER BY company_source_id
             ON CONFLICT (tenant_id, connection_id, source_id) DO UPDATE SET wanted_at = now()",
            tenant,
            connection.0,
            contacts,
        )
        .execute(self.session())
        .await?
        .rows_affected();
        Ok(wanted > 0)
    }
}
