//! Contacts: source record, per-source fields and profile in one statement.

use super::{
    StoreError, Tx, WriteSummary,
    batch::{ChangedRecord, SourceColumns, SourceRow, inserted_ids, last_of_each},
    contact_links::ReportedLinks,
    raw::{self, RawKind},
    roles::Worker,
};
use crate::domain::{ConnectionId, ids, records::Contact};

impl Tx<Worker> {
    /// Writes one connection's records of these contacts, the profiles folded from them, and their links.
    ///
    /// An older or equal version changes nothing, so pages may be fetched twice and in any order.
    #[tracing::instrument(name = "db.write_contacts", level = "debug", skip_all)]
    pub async fn write_contacts(
        &mut self,
        connection: ConnectionId,
        contacts: Vec<Contact>,
    ) -> Result<WriteSummary, StoreError> {
        let contacts = last_of_each(contacts, |contact| &contact.source_id);
        let mut columns = SourceColumns::default();
        let mut reported = ReportedLinks::default();
        let mut absorbed = Vec::new();
        for contact in contacts {
            // A contact lists what was merged into it, so the survivor's page is where merges are learnt.
            let id = contact.source_id;
            absorbed.extend(contact.absorbed.into_iter().map(|gone| (gone, id.clone())));
            reported.versions.insert(id.clone(), contact.updated_at);
            reported.companies.insert(id.clone(), contact.companies);
            columns.push(SourceRow {
                profile_id: ids::contact_id(connection, &id),
                source_id: id,
                external_id: contact.external_id,
                fields: contact.fields,
                updated_at: contact.updated_at,
                sanitised: contact.sanitised,
                raw: raw::pack(RawKind::Contact, contact.raw.as_bytes()),
            })?;
        }
        let rows = self.upsert_contacts(connection, &columns).await?;
        // Only a known contact can have links to remove.
        let updated = rows
            .iter()
            .filter(|row| !row.inserted)
            .map(|row| row.source_id.clone())
            .collect();
        self.touch_conversations_of(connection, &inserted_ids(&rows))
            .await?;
        let written = WriteSummary::of(columns.source_ids.len(), rows);
        self.write_links(connection, &reported, &written.changed, &updated)
            .await?;
        self.note_merges(connection, &absorbed).await?;
        Ok(written)
    }

    async fn upsert_contacts(
        &mut self,
        connection: ConnectionId,
        columns: &SourceColumns,
    ) -> Result<Vec<ChangedRecord>, StoreError> {
        let tenant = self.tenant().0;
        // Records and profiles in one statement, so that an unchanged record never touches its profile.
        Ok(sqlx::query_as!(
            ChangedRecord,
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
            &columns.source_ids,
            &columns.profile_ids,
            &columns.external_ids as &[Option<String>],
            &columns.fields,
            &columns.updated,
            &columns.sanitised,
            &columns.raws,
        )
        .fetch_all(self.session())
        .await?)
    }

    /// Points contacts that Intercom merged away to their survivors. Their rows stay.
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
        let merged = sqlx::query!(
            "UPDATE contact_sources s SET merged_into = i.survivor
             FROM unnest($3::text[], $4::text[]) AS i(gone, survivor)
             WHERE s.tenant_id = $1 AND s.connection_id = $2 AND s.source_id = i.gone
               AND s.merged_into IS DISTINCT FROM i.survivor
             RETURNING s.source_id AS gone, i.survivor AS \"survivor!\"",
            tenant,
            connection.0,
            &gone as &[&str],
            &survivor as &[&str],
        )
        .fetch_all(self.session())
        .await?;
        let gone: Vec<&str> = merged.iter().map(|row| row.gone.as_str()).collect();
        let both = merged.iter().map(|row| row.survivor.as_str());
        let both: Vec<&str> = gone.iter().copied().chain(both).collect();
        self.touch_contacts(connection, &both).await?;
        self.touch_conversations_of(connection, &gone).await
    }
}
