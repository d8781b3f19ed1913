//! Parts: the messages and events of threads.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use uuid::Uuid;

use super::{
    StoreError, Tx, WriteSummary,
    raw::{self, RawKind},
    roles::Worker,
    versions::raw_hash,
};
use crate::domain::{
    ConnectionId, ThreadPart, erased_text,
    records::{FIRST_MESSAGE, Part, Poison},
};

/// Bytes of parts in one statement. All of it is read and encoded, twice, before its first byte is sent.
const STATEMENT_BYTES: usize = 2 << 20;

/// What a batch of parts has left.
#[derive(Default)]
pub(super) struct WrittenParts {
    /// First messages are not counted. New parts are called updated, because only a count of the rows tells them apart.
    pub(super) summary: WriteSummary,
    /// How many parts were inserted, by each of the threads that had none.
    pub(super) inserted: HashMap<Uuid, i32>,
}

/// One statement for both ways of writing parts. Without a conflict clause it takes half the time.
macro_rules! write_parts {
    ($query:ident, $fetch:ident, $tx:ident, $parts:ident, $end:literal) => {{
        let column = |pick: fn(&Part) -> Option<&str>| {
            $parts.iter().map(|(_, part)| pick(part)).collect::<Vec<_>>()
        };
        sqlx::$query!(
            r#"INSERT INTO parts AS p
                (tenant_id, conversation_id, source_id, kind, author_kind, author_source_id, author_name, body,
                 redacted, internal, source_created_at, source_updated_at, sanitised, raw_hash, raw)
            SELECT $1, * FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                $9::bool[], $10::bool[], $11::timestamptz[], $12::timestamptz[], $13::bool[], $14::int8[], $15::bytea[])
            "# + $end,
            $tx.tenant().0,
            &$parts.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
            &column(|part| Some(&part.source_id)) as &[Option<&str>],
            &column(|part| Some(&part.kind)) as &[Option<&str>],
            &column(|part| part.author_kind.as_deref()) as &[Option<&str>],
            &column(|part| part.author_source_id.as_deref()) as &[Option<&str>],
            &column(|part| part.author_name.as_deref()) as &[Option<&str>],
            &column(|part| part.body.as_deref()) as &[Option<&str>],
            &$parts.iter().map(|(_, part)| part.redacted).collect::<Vec<_>>(),
            &$parts.iter().map(|(_, part)| part.internal).collect::<Vec<_>>(),
            &$parts.iter().map(|(_, part)| part.created_at).collect::<Vec<_>>(),
            &$parts.iter().map(|(_, part)| part.updated_at).collect::<Vec<_>>(),
            &$parts.iter().map(|(_, part)| part.sanitised).collect::<Vec<_>>(),
            &$parts.iter().map(|(_, part)| raw_hash(&part.raw)).collect::<Vec<_>>(),
            &$parts.iter().map(|(_, part)| raw::pack(RawKind::Part, part.raw.as_bytes())).collect::<Vec<_>>(),
        )
        .$fetch($tx.session())
        .await?
    }};
}

impl Tx<Worker> {
    /// Writes parts. Those of `empty` threads are inserted: these threads have no part, and are locked, so that none can
    /// come in between. All others are upserted, first messages too, because a stub writes them without the lock.
    ///
    /// A redaction always overwrites, raw bytes included, and an older read never undoes it.
    pub(super) async fn write_parts(
        &mut self,
        connection: ConnectionId,
        mut parts: Vec<(Uuid, ThreadPart)>,
        empty: &HashSet<Uuid>,
    ) -> Result<WrittenParts, StoreError> {
        let mut written = WrittenParts {
            inserted: empty.iter().map(|id| (*id, 0)).collect(),
            ..WrittenParts::default()
        };
        // In key order, so that two writers cannot deadlock. Of equal keys the newest comes first and stays.
        parts.sort_by(|a, b| {
            (a.0, a.1.source_id(), b.1.updated_at()).cmp(&(b.0, b.1.source_id(), a.1.updated_at()))
        });
        parts.dedup_by(|a, b| a.0 == b.0 && a.1.source_id() == b.1.source_id());
        let (new, others): (Vec<_>, Vec<_>) = parts
            .into_iter()
            .partition(|(id, part)| empty.contains(id) && part.source_id() != FIRST_MESSAGE);
        let messages = others
            .iter()
            .filter(|(_, part)| part.source_id() == FIRST_MESSAGE)
            .count();
        written.summary.seen = new.len() + others.len() - messages;
        written.summary.updated = new.len();
        for (id, _) in &new {
            *written.inserted.entry(*id).or_default() += 1;
        }
        let mut new = VecDeque::from(new);
        while let Some(mut batch) = take_batch(&mut new)? {
            self.empty_erased(connection, &mut batch).await?;
            self.insert_parts(&batch).await?;
        }
        let mut others = VecDeque::from(others);
        while let Some(mut batch) = take_batch(&mut others)? {
            self.empty_erased(connection, &mut batch).await?;
            written.summary.updated += self.upsert_parts(&batch).await?;
        }
        Ok(written)
    }

    /// Empties parts that an erased person wrote. They keep their places, so that a thread is as long as Intercom says.
    async fn empty_erased(
        &mut self,
        connection: ConnectionId,
        batch: &mut [(Uuid, Part)],
    ) -> Result<(), StoreError> {
        let authors: BTreeSet<&str> = batch
            .iter()
            .filter(|(_, part)| erased_text::may_be_by_contact(part))
            .filter_map(|(_, part)| part.author_source_id.as_deref())
            .collect();
        let kept_out = self
            .kept_out(connection, &authors, &BTreeSet::new())
            .await?;
        let people = kept_out.people();
        if people.is_empty() {
            return Ok(());
        }
        for (_, part) in batch {
            if erased_text::is_by(part, &people) {
                erased_text::empty(part);
            }
        }
        Ok(())
    }

    async fn insert_parts(&mut self, parts: &[(Uuid, Part)]) -> Result<(), StoreError> {
        write_parts!(query, execute, self, parts, "");
        Ok(())
    }

    /// Upserts parts in one statement. Returns how many were written, without first messages.
    async fn upsert_parts(&mut self, parts: &[(Uuid, Part)]) -> Result<usize, StoreError> {
        // The condition in its order: a redaction lands, only a redaction overwrites one, and otherwise the newer read
        // wins. Of two reads within one second, the one with other bytes does.
        let written = write_parts!(
            query_scalar,
            fetch_all,
            self,
            parts,
            "ON CONFLICT (tenant_id, conversation_id, source_id) DO UPDATE SET
                kind = excluded.kind, author_kind = excluded.author_kind, author_source_id = excluded.author_source_id,
                author_name = excluded.author_name, body = excluded.body, redacted = excluded.redacted,
                internal = excluded.internal, source_created_at = excluded.source_created_at,
                source_updated_at = excluded.source_updated_at, sanitised = excluded.sanitised,
                raw_hash = excluded.raw_hash, raw = excluded.raw
            WHERE (excluded.redacted AND NOT p.redacted)
               OR ((excluded.redacted OR NOT p.redacted)
                   AND (excluded.source_updated_at > p.source_updated_at
                        OR (excluded.source_updated_at = p.source_updated_at AND excluded.raw_hash <> p.raw_hash)))
            RETURNING source_id"
        );
        Ok(written.iter().filter(|id| *id != FIRST_MESSAGE).count())
    }
}

/// Reads the parts of the next statement. `None` if no part is left.
fn take_batch(
    parts: &mut VecDeque<(Uuid, ThreadPart)>,
) -> Result<Option<Vec<(Uuid, Part)>>, StoreError> {
    if parts.is_empty() {
        return Ok(None);
    }
    let count = statement_len(parts.iter().map(|(_, part)| part.bytes()));
    let batch: Result<Vec<_>, _> = parts.drain(..count).map(read).collect();
    batch.map(Some)
}

/// How many of the first parts go into one statement, by their bytes: at least one.
fn statement_len(bytes: impl Iterator<Item = usize>) -> usize {
    let sums = bytes.scan(0, |sum, bytes| {
        *sum += bytes;
        Some(*sum)
    });
    sums.take_while(|sum| *sum <= STATEMENT_BYTES)
        .count()
        .max(1)
}

fn read((conversation, part): (Uuid, ThreadPart)) -> Result<(Uuid, Part), StoreError> {
    match part.into_part() {
        Ok(part) => Ok((conversation, part)),
        // It was read before. A part that is left out here would never be missed.
        Err(Poison { reason, .. }) => Err(StoreError::Inconsistent {
            table: "parts",
            what: reason,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_takes_what_fits_and_at_least_one_part() {
        let half = STATEMENT_BYTES / 2;
        for (bytes, count) in [
            (&[1, 1, 1][..], 3),
            (&[half, half, 1], 2),
            (&[half, half + 1], 1),
            (&[3 * half, 1], 1),
        ] {
            assert_eq!(statement_len(bytes.iter().copied()), count, "{bytes:?}");
        }
    }
}
