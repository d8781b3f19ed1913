//! Contacts, as one connection reports them.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, Utc};

use super::{
    StoreError, Tx, WriteSummary,
    batch::{SourceColumns, SourceRow, last_of_each},
    contact_links::ReportedLinks,
    identities::{HeldValues, Linked, values_of},
    noted_changes::ObjectKind,
    raw::{self, RawKind},
    reads::FAR_FUTURE,
    roles::{Worker, WritesRecords},
    versions::raw_hash,
};
use crate::domain::{ConnectionId, ids, profile::RecordKey, records::Contact};

/// One statement for both ways of writing contacts. Gives the ids of the records that were written, and of their contacts.
macro_rules! write_contacts {
    ($tx:ident, $connection:ident, $columns:ident, $conflict:literal) => {{
        if $columns.source_ids.is_empty() {
            return Ok(Vec::new());
        }
        let tenant = $tx.tenant().0;
        let written = sqlx::query!(
            r#"INSERT INTO contact_sources AS s
                (tenant_id, connection_id, source_id, record_id, contact_id, external_id, source_created_at,
                 source_updated_at, sanitised, identity_values, raw_hash, raw)
            SELECT $1, $2, source_id, id, id, external_id, created_at, updated_at, sanitised, identity_values, raw_hash, raw
            FROM unnest($3::text[], $4::uuid[], $5::text[], $6::timestamptz[], $7::timestamptz[], $8::bool[], $9::text[],
                        $10::int8[], $11::bytea[])
                AS i(source_id, id, external_id, created_at, updated_at, sanitised, identity_values, raw_hash, raw)
            "# + $conflict + r#"
            RETURNING s.source_id, s.contact_id"#,
            tenant,
            $connection.0,
            &$columns.source_ids,
            &$columns.record_ids,
            &$columns.external_ids as &[Option<String>],
            &$columns.created,
            &$columns.updated,
            &$columns.sanitised,
            &$columns.identity_values,
            &$columns.hashes,
            &$columns.raws,
        )
        .fetch_all($tx.session())
        .await?;
        let contacts = written.iter().map(|row| (row.contact_id, ObjectKind::Contact));
        $tx.note_upserts(contacts);
        Ok(written.into_iter().map(|row| row.source_id).collect())
    }};
}

impl Tx<Worker> {
    /// The contacts of a page that differ from what is stored. Nothing is locked.
    #[tracing::instrument(name = "db.changed_contacts", level = "debug", skip_all)]
    pub async fn changed_contacts(
        &mut self,
        connection: ConnectionId,
        contacts: &[Contact],
    ) -> Result<HashSet<String>, StoreError> {
        let stored = self.contact_versions(connection, &ids_of(contacts)).await?;
        Ok(contacts
            .iter()
            .filter(|contact| {
                let hash = raw_hash(&contact.raw);
                stored.is_changed(&contact.source_id, contact.updated_at, hash)
            })
            .map(|contact| contact.source_id.clone())
            .collect())
    }
}

impl<R: WritesRecords> Tx<R> {
    /// Writes one connection's records of these contacts, and their links.
    ///
    /// An older or equal version changes nothing, so pages may be fetched twice and in any order. It is not sent either.
    #[tracing::instrument(name = "db.write_contacts", level = "debug", skip_all)]
    pub async fn write_contacts(
        &mut self,
        connection: ConnectionId,
        contacts: Vec<Contact>,
    ) -> Result<WriteSummary, StoreError> {
        let mut contacts = last_of_each(contacts, |contact| &contact.source_id);
        let seen = contacts.len();
        let before = self
            .contact_versions(connection, &ids_of(&contacts))
            .await?;
        let is_changed = |contact: &Contact| {
            let raw_hash = raw_hash(&contact.raw);
            before.is_changed(&contact.source_id, contact.updated_at, raw_hash)
        };
        let has_merges = contacts.iter().any(|contact| !contact.absorbed.is_empty());
        if has_merges || contacts.iter().any(is_changed) {
            // An erasure holds the same lock, so that what it keeps out is known from here on.
            self.lock_links(Linked::Contacts).await?;
        }
        let new: Vec<(&str, Vec<String>)> = contacts
            .iter()
            .filter(|contact| before.is_new(&contact.source_id))
            .map(|contact| (contact.source_id.as_str(), values_of(contact)))
            .collect();
        let kept_out = self.kept_out_contacts(connection, &new).await?;
        contacts.retain(|contact| !kept_out.contains(&contact.source_id));
        let (mut new, mut stored) = (SourceColumns::default(), SourceColumns::default());
        let mut reported = ReportedLinks::default();
        let mut held = HeldValues::default();
        let mut absorbed = Vec::new();
        for contact in contacts {
            // A contact lists what was merged into it, so the survivor's page is where merges are learnt.
            let gone = contact.absorbed.iter();
            absorbed.extend(gone.map(|gone| (gone.clone(), contact.source_id.clone())));
            let raw_hash = raw_hash(&contact.raw);
            let id = &contact.source_id;
            let is_changed = before.is_changed(id, contact.updated_at, raw_hash);
            if is_changed {
                let is_new = before.is_new(id);
                let columns = if is_new { &mut new } else { &mut stored };
                columns.push(SourceRow {
                    record_id: ids::contact_id(connection, id),
                    source_id: id.clone(),
                    external_id: contact.external_id.clone(),
                    created_at: created_at(&contact),
                    updated_at: contact.updated_at,
                    sanitised: contact.sanitised,
                    identity_values: held.push_contact(&contact, created_at(&contact)),
                    raw_hash,
                    raw: raw::pack(RawKind::Contact, contact.raw.as_bytes()),
                });
            }
            if is_changed || before.is_of(id, contact.updated_at) {
                reported
                    .companies
                    .insert(contact.source_id, contact.companies);
            }
        }
        let previous = self
            .stored_identities(Linked::Contacts, connection, &stored.source_ids)
            .await?;
        let mut changed = self.insert_contacts(connection, &new).await?;
        changed.extend(self.update_contacts(connection, &stored).await?);
        let mut written = WriteSummary::of(seen, changed, &before);
        written.kept_out = kept_out.into_iter().collect();
        self.note_new_contacts(connection, &written.inserted_ids(&before));
        self.write_links(connection, &reported, &written.changed, &before)
            .await?;
        held.retain(&written.changed);
        let mut unlinked = self
            .write_values(Linked::Contacts, connection, held, previous)
            .await?;
        let gone = self.note_merges(connection, &absorbed).await?;
        unlinked.seeds.extend(gone.records);
        written.alive -= gone.alive;
        self.unify(Linked::Contacts, unlinked).await?;
        Ok(written)
    }

    /// Inserts contacts that are not stored. All that writes contacts holds the lock of their stream, so none can come
    /// in between, and the rows need not be looked for once more. An upsert would cost half as much again.
    async fn insert_contacts(
        &mut self,
        connection: ConnectionId,
        columns: &SourceColumns,
    ) -> Result<Vec<String>, StoreError> {
        write_contacts!(self, connection, columns, "")
    }

    /// Overwrites contacts that are stored. Returns those that have changed.
    async fn update_contacts(
        &mut self,
        connection: ConnectionId,
        columns: &SourceColumns,
    ) -> Result<Vec<String>, StoreError> {
        // An upsert of rows that exist, because it finds each by its key, whatever the planner believes of the table.
        write_contacts!(
            self,
            connection,
            columns,
            "ON CONFLICT (tenant_id, connection_id, source_id) DO UPDATE SET
                    external_id = excluded.external_id, identity_values = excluded.identity_values,
                    source_created_at = excluded.source_created_at, source_updated_at = excluded.source_updated_at,
                    sanitised = excluded.sanitised, raw_hash = excluded.raw_hash, raw = excluded.raw, deleted_at = NULL,
                    merged_into = NULL
                WHERE excluded.source_updated_at >= s.source_updated_at
                  AND (excluded.raw_hash <> s.raw_hash OR s.deleted_at IS NOT NULL OR s.merged_into IS NOT NULL)"
        )
    }

    /// Points contacts that Intercom merged away to their survivors. Their rows stay. The caller unifies what it gets.
    pub(super) async fn note_merges(
        &mut self,
        connection: ConnectionId,
        absorbed: &[(String, String)],
    ) -> Result<EndedContacts, StoreError> {
        if absorbed.is_empty() {
            return Ok(EndedContacts::default());
        }
        let tenant = self.tenant().0;
        let (gone, survivor): (Vec<&str>, Vec<&str>) = absorbed
            .iter()
            .map(|(a, b)| (a.as_str(), b.as_str()))
            .unzip();
        let merged = sqlx::query!(
            r#"WITH before AS MATERIALIZED (
                SELECT s.*, i.survivor FROM unnest($3::text[], $4::text[]) AS i(gone, survivor)
                CROSS JOIN LATERAL (SELECT source_id, contact_id, source_updated_at,
                                           merged_into IS NULL AND deleted_at IS NULL AS was_alive
                                    FROM contact_sources
                                    WHERE tenant_id = $1 AND connection_id = $2 AND source_id = i.gone
                                      AND merged_into IS DISTINCT FROM i.survivor FOR UPDATE) s
             ), merged AS (
                INSERT INTO contact_sources
                    (tenant_id, connection_id, source_id, record_id, contact_id, source_created_at, source_updated_at, raw_hash,
                     raw, merged_into)
                SELECT DISTINCT ON (source_id) $1::uuid, $2::uuid, source_id, contact_id, contact_id, source_updated_at,
                       source_updated_at, 0, ''::bytea, survivor
                FROM before ORDER BY source_id
                ON CONFLICT (tenant_id, connection_id, source_id) DO UPDATE SET merged_into = excluded.merged_into
             )
             SELECT source_id AS gone, survivor AS "survivor!", was_alive AS "was_alive!" FROM before"#,
            tenant,
            connection.0,
            &gone as &[&str],
            &survivor as &[&str],
        )
        .fetch_all(self.session())
        .await?;
        let mut ended = EndedContacts::default();
        for row in merged {
            ended.alive += i64::from(row.was_alive);
            for source_id in [row.gone, row.survivor] {
                ended.records.insert(RecordKey::new(connection, source_id));
            }
        }
        Ok(ended)
    }
}

/// Contacts that have ended, and how many of them were alive.
#[derive(Default)]
pub(super) struct EndedContacts {
    pub(super) records: BTreeSet<RecordKey>,
    pub(super) alive: i64,
}

/// When the source created a contact. One that does not say it is younger than all others.
fn created_at(contact: &Contact) -> DateTime<Utc> {
    contact.created_at.unwrap_or(FAR_FUTURE)
}

fn ids_of(contacts: &[Contact]) -> Vec<&str> {
    contacts
        .iter()
        .map(|contact| contact.source_id.as_str())
        .collect()
}
