//! What an erasure keeps out: the records of the person, whatever their source sends of them, and the conversations of
//! nobody else.
//!
//! Only records that are not stored are looked for, because what was stored beside the person is somebody else's, also if
//! it takes over a value of the person later.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use uuid::Uuid;

use crate::{
    domain::{ConnectionId, Stream},
    store::{
        StoreError, Tx,
        roles::{Worker, WritesRecords},
    },
};

/// The kinds of names.
const CONTACT: &str = "contact";
const CONVERSATION: &str = "conversation";

/// Names that are kept out, of what was asked about, each with an erasure that keeps it out.
#[derive(Debug, Default)]
pub(in crate::store) struct KeptOut {
    pub(in crate::store) contacts: BTreeMap<String, Uuid>,
    conversations: BTreeMap<String, Uuid>,
}

impl KeptOut {
    pub(in crate::store) fn conversations(&self) -> impl Iterator<Item = String> {
        self.conversations.keys().cloned()
    }

    pub(in crate::store) fn people(&self) -> BTreeSet<String> {
        self.contacts.keys().cloned().collect()
    }

    /// The erasure of the only people that a conversation shows. `None` if it shows another one, or may have one.
    pub(in crate::store) fn whole(
        &self,
        source_id: &str,
        shown: &[String],
        is_whole: bool,
    ) -> Option<Uuid> {
        let by_name = self.conversations.get(source_id).copied();
        let mut erased = shown.iter().map(|contact| self.contacts.get(contact));
        match erased.next() {
            None => by_name,
            Some(first) => {
                let first = first.copied()?;
                let are_all = erased.all(|erasure| erasure.is_some());
                (are_all && (is_whole || by_name.is_some())).then_some(first)
            }
        }
    }
}

impl<R: WritesRecords> Tx<R> {
    /// Of records that are not stored, those that are kept out, each given as its id and its identity values. Their names
    /// are kept out from then on.
    pub(in crate::store) async fn kept_out_contacts(
        &mut self,
        connection: ConnectionId,
        records: &[(&str, Vec<String>)],
    ) -> Result<HashSet<String>, StoreError> {
        if records.is_empty() {
            return Ok(HashSet::new());
        }
        let (mut ids, mut values) = (Vec::new(), Vec::new());
        for (id, held) in records {
            // Without a value it is asked by its name.
            ids.push(*id);
            values.push(None);
            ids.extend(held.iter().map(|_| *id));
            values.extend(held.iter().map(|value| Some(value.as_str())));
        }
        let tenant = self.tenant().0;
        let found = sqlx::query_scalar!(
            r#"WITH found AS MATERIALIZED (
                SELECT i.source_id, e.erasure_id, erased_digest(s.salt, erased_name('contact', c.source, c.workspace_id, i.source_id)) AS digest
                FROM erasure_salts s
                CROSS JOIN LATERAL (SELECT source, workspace_id FROM connections WHERE tenant_id = $1 AND id = $2 OFFSET 0) c
                CROSS JOIN unnest($3::text[], $4::text[]) AS i(source_id, value)
                CROSS JOIN LATERAL (SELECT erasure_id FROM erased
                    WHERE tenant_id = $1 AND digest = erased_digest(s.salt,
                        coalesce(i.value, erased_name('contact', c.source, c.workspace_id, i.source_id))) OFFSET 0) e
                WHERE s.tenant_id = $1
             ), named AS (
                INSERT INTO erased (tenant_id, digest, kind, erasure_id, connection_id)
                SELECT $1, digest, 'contact', erasure_id, $2 FROM found
                ON CONFLICT DO NOTHING
             )
             SELECT source_id AS "source_id!" FROM found"#,
            tenant,
            connection.0,
            &ids as &[&str],
            &values as &[Option<&str>],
        )
        .fetch_all(self.session())
        .await?;
        Ok(found.into_iter().collect())
    }

    /// Of these contacts and conversations, given by their source ids, those whose names are kept out.
    pub(in crate::store) async fn kept_out(
        &mut self,
        connection: ConnectionId,
        contacts: &BTreeSet<&str>,
        conversations: &BTreeSet<&str>,
    ) -> Result<KeptOut, StoreError> {
        let names = contacts.iter().map(|id| (CONTACT, *id));
        let names = names.chain(conversations.iter().map(|id| (CONVERSATION, *id)));
        let (kinds, ids): (Vec<&str>, Vec<&str>) = names.unzip();
        let mut kept_out = KeptOut::default();
        if ids.is_empty() {
            return Ok(kept_out);
        }
        let tenant = self.tenant().0;
        let rows = sqlx::query!(
            r#"SELECT i.kind AS "kind!", i.source_id AS "source_id!", e.erasure_id FROM erasure_salts s
               CROSS JOIN LATERAL (SELECT source, workspace_id FROM connections WHERE tenant_id = $1 AND id = $2 OFFSET 0) c
               CROSS JOIN unnest($3::text[], $4::text[]) AS i(kind, source_id)
               CROSS JOIN LATERAL (SELECT erasure_id FROM erased
                   WHERE tenant_id = $1
                     AND digest = erased_digest(s.salt, erased_name(i.kind, c.source, c.workspace_id, i.source_id)) OFFSET 0) e
               WHERE s.tenant_id = $1"#,
            tenant,
            connection.0,
            &kinds as &[&str],
            &ids as &[&str],
        )
        .fetch_all(self.session())
        .await?;
        for row in rows {
            let of_kind = if row.kind == CONTACT {
                &mut kept_out.contacts
            } else {
                &mut kept_out.conversations
            };
            of_kind.insert(row.source_id, row.erasure_id);
        }
        Ok(kept_out)
    }
}

impl Tx<Worker> {
    /// Keeps conversations out from now on, each by an erasure.
    pub(in crate::store) async fn keep_out_conversations(
        &mut self,
        connection: ConnectionId,
        dropped: &BTreeMap<String, Uuid>,
    ) -> Result<(), StoreError> {
        if dropped.is_empty() {
            return Ok(());
        }
        let tenant = self.tenant().0;
        let (ids, erasures): (Vec<&str>, Vec<Uuid>) = dropped
            .iter()
            .map(|(id, erasure)| (id.as_str(), *erasure))
            .unzip();
        sqlx::query!(
            "INSERT INTO erased (tenant_id, digest, kind, erasure_id, connection_id)
             SELECT $1, erased_digest(s.salt, erased_name('conversation', c.source, c.workspace_id, i.source_id)), 'conversation',
                    i.erasure_id, $2
             FROM erasure_salts s
             CROSS JOIN LATERAL (SELECT source, workspace_id FROM connections WHERE tenant_id = $1 AND id = $2 OFFSET 0) c
             CROSS JOIN unnest($3::text[], $4::uuid[]) AS i(source_id, erasure_id)
             WHERE s.tenant_id = $1
             ON CONFLICT DO NOTHING",
            tenant,
            connection.0,
            &ids as &[&str],
            &erasures,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// How many objects of a stream are kept out. Intercom counts them, and they are not stored.
    #[tracing::instrument(name = "db.kept_out_count", level = "debug", skip_all)]
    pub async fn kept_out_count(
        &mut self,
        connection: ConnectionId,
        stream: Stream,
    ) -> Result<i64, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM erased WHERE tenant_id = $1 AND connection_id = $2 AND kind = $3"#,
            tenant,
            connection.0,
            stream.noun(),
        )
        .fetch_one(self.session())
        .await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept_out() -> KeptOut {
        let of = |ids: [&str; 2]| {
            let ids = ids.map(|id| (id.to_owned(), Uuid::nil()));
            ids.into_iter().collect()
        };
        KeptOut {
            contacts: of(["a", "b"]),
            conversations: of(["1", "2"]),
        }
    }

    #[test]
    fn a_conversation_is_kept_out_if_it_is_of_nobody_else() {
        let ids = |ids: &[&str]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
        let kept_out = kept_out();
        for (source_id, shown, is_whole, expected) in [
            // Every contact is erased.
            ("9", &["a"][..], true, true),
            ("9", &["a", "b"], true, true),
            // Another one takes part, whatever was known of the conversation.
            ("9", &["a", "c"], true, false),
            ("1", &["c"], true, false),
            // A cut list may have another one, and one without contacts says nothing.
            ("9", &["a"], false, false),
            ("1", &["a"], false, true),
            ("1", &[], true, true),
            ("9", &[], true, false),
        ] {
            let whole = kept_out.whole(source_id, &ids(shown), is_whole);
            assert_eq!(
                whole.is_some(),
                expected,
                "{source_id} {shown:?} {is_whole}"
            );
        }
    }
}
