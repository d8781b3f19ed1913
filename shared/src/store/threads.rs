//! Threads: the backlog, newest change first, and the parts of what was fetched.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Seen, StoreError, Tx, Written, roles::Worker};
use crate::domain::{
    ConnectionId, ids,
    records::{FIRST_MESSAGE, PARTS_SHOWN, Part, Thread},
};

/// Of parts in one statement: all of it is encoded, twice, before its first byte is sent.
const STATEMENT_BYTES: usize = 2 << 20;

/// A thread that is owed.
#[derive(Clone, Debug)]
pub struct PendingThread {
    pub conversation_id: Uuid,
    pub source_id: String,
    pub attempts: i32,
}

/// What the threads of a connection still owe.
#[derive(Clone, Copy, Debug)]
pub struct ThreadBacklog {
    /// Until the next thread is owed: not above 0 when one is now, `None` when none is at all.
    pub next_in_seconds: Option<f64>,
    /// One could not be fetched and waits for its next attempt: nothing may call itself done meanwhile.
    pub failing: bool,
}

/// A thread as fetched, and what has to be known about the fetch.
#[derive(Debug)]
pub struct FetchedThread {
    pub thread: Thread,
    /// Fetched so soon after its own `updated_at` that a second change in that second may be missing.
    pub too_fresh: bool,
    /// Parts of it that could not be read.
    pub poisoned: i32,
}

/// What became of a thread that could not be fetched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ThreadFate {
    /// Deleted in Intercom.
    Gone,
    /// Not readable; stays so until its conversation changes.
    Blocked,
    /// To be tried again after this many seconds.
    Again(f64),
}

impl Tx<Worker> {
    /// Threads that are owed now, newest change first.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn pending_threads(
        &mut self,
        connection: ConnectionId,
        most: i64,
    ) -> Result<Vec<PendingThread>, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_as!(
            PendingThread,
            "SELECT conversation_id, source_id, attempts FROM threads
             WHERE tenant_id = $1 AND connection_id = $2 AND status = 'pending' AND due_at <= now()
             ORDER BY wanted_version DESC LIMIT $3",
            tenant,
            connection.0,
            most,
        )
        .fetch_all(self.session())
        .await?)
    }

    /// What is still owed.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn thread_backlog(
        &mut self,
        connection: ConnectionId,
    ) -> Result<ThreadBacklog, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_as!(
            ThreadBacklog,
            r#"SELECT extract(epoch FROM min(due_at) - now())::float8 AS next_in_seconds,
                      coalesce(bool_or(error IS NOT NULL), false) AS "failing!"
               FROM threads WHERE tenant_id = $1 AND connection_id = $2 AND status = 'pending'"#,
            tenant,
            connection.0,
        )
        .fetch_one(self.session())
        .await?)
    }

    /// Writes fetched threads: the conversation where it is newer, every part shown, and what is held
    /// against what Intercom counts. Parts are added or overwritten, never removed.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn write_threads(
        &mut self,
        connection: ConnectionId,
        fetched: Vec<FetchedThread>,
    ) -> Result<Written, StoreError> {
        let mut states = Vec::with_capacity(fetched.len());
        let mut conversations = Vec::with_capacity(fetched.len());
        let mut wanted = Vec::with_capacity(fetched.len());
        let mut parts = Vec::new();
        for FetchedThread {
            thread,
            too_fresh,
            poisoned,
        } in fetched
        {
            let id = ids::conversation_id(connection, &thread.conversation.source_id);
            states.push(FetchedState {
                id,
                source_id: thread.conversation.source_id.clone(),
                version: thread.conversation.updated_at,
                expected: thread.conversation.part_count.or(thread.total_count),
                parts_shown: thread.parts.len() as i32 + poisoned,
                too_fresh,
                poisoned,
            });
            let stub = &thread.conversation;
            wanted.push((id, stub.source_id.clone(), stub.updated_at, stub.part_count));
            parts.extend(thread.parts.into_iter().map(|part| (id, part)));
            conversations.push(thread.conversation);
        }
        let (_, first_messages) = self
            .write_conversations(connection, conversations, Seen::WithParts)
            .await?;
        // An answer is as good as a stub, and may be newer than the last one: judged alike, whichever came first.
        self.want_threads(connection, wanted).await?;
        parts.extend(first_messages);
        let written = self.write_parts(&parts).await?;
        self.settle_threads(connection, states).await?;
        Ok(written)
    }

    /// Upserts parts. First messages are not counted.
    ///
    /// A redaction always lands, with its raw bytes, and is never undone by an older read.
    pub(super) async fn write_parts(
        &mut self,
        parts: &[(Uuid, Part)],
    ) -> Result<Written, StoreError> {
        if parts.is_empty() {
            return Ok(Written::default());
        }
        let mut sorted: Vec<&(Uuid, Part)> = parts.iter().collect();
        sorted.sort_by(|a, b| {
            (a.0, &a.1.source_id, b.1.updated_at).cmp(&(b.0, &b.1.source_id, a.1.updated_at))
        });
        sorted.dedup_by(|a, b| a.0 == b.0 && a.1.source_id == b.1.source_id);
        let messages = sorted
            .iter()
            .filter(|(_, part)| part.source_id == FIRST_MESSAGE)
            .count();
        let mut written = Written {
            seen: sorted.len() - messages,
            ..Written::default()
        };
        let mut rest = &sorted[..];
        while !rest.is_empty() {
            let bite;
            (bite, rest) = rest.split_at(bite_of(rest.iter().map(|(_, part)| bytes_of(part))));
            let (inserted, updated) = self.upsert_parts(bite).await?;
            written.inserted += inserted;
            written.updated += updated;
        }
        Ok(written)
    }

    /// Upserts parts in one statement. Returns how many were inserted and how many updated, first messages aside.
    async fn upsert_parts(
        &mut self,
        parts: &[&(Uuid, Part)],
    ) -> Result<(usize, usize), StoreError> {
        let tenant = self.tenant().0;
        let column = |pick: fn(&Part) -> Option<&str>| {
            parts.iter().map(|(_, part)| pick(part)).collect::<Vec<_>>()
        };
        let rows = sqlx::query!(
            r#"INSERT INTO parts AS p
                (tenant_id, conversation_id, source_id, kind, author_kind, author_source_id, author_name, body,
                 redacted, internal, source_created_at, source_updated_at, sanitised, raw)
            SELECT $1, * FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                $9::bool[], $10::bool[], $11::timestamptz[], $12::timestamptz[], $13::bool[], $14::bytea[])
            ON CONFLICT (tenant_id, conversation_id, source_id) DO UPDATE SET
                kind = excluded.kind, author_kind = excluded.author_kind, author_source_id = excluded.author_source_id,
                author_name = excluded.author_name, body = excluded.body, redacted = excluded.redacted,
                internal = excluded.internal, source_created_at = excluded.source_created_at,
                source_updated_at = excluded.source_updated_at, sanitised = excluded.sanitised, raw = excluded.raw
            WHERE (excluded.redacted AND NOT p.redacted)
               OR ((excluded.redacted OR NOT p.redacted)
                   AND (excluded.source_updated_at > p.source_updated_at
                        OR (excluded.source_updated_at = p.source_updated_at AND excluded.raw <> p.raw)))
            RETURNING source_id, xmax = 0 AS "inserted!""#,
            tenant,
            &parts.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
            &column(|part| Some(&part.source_id)) as &[Option<&str>],
            &column(|part| Some(&part.kind)) as &[Option<&str>],
            &column(|part| part.author_kind.as_deref()) as &[Option<&str>],
            &column(|part| part.author_source_id.as_deref()) as &[Option<&str>],
            &column(|part| part.author_name.as_deref()) as &[Option<&str>],
            &column(|part| part.body.as_deref()) as &[Option<&str>],
            &parts.iter().map(|(_, part)| part.redacted).collect::<Vec<_>>(),
            &parts.iter().map(|(_, part)| part.internal).collect::<Vec<_>>(),
            &parts.iter().map(|(_, part)| part.created_at).collect::<Vec<_>>(),
            &parts.iter().map(|(_, part)| part.updated_at).collect::<Vec<_>>(),
            &parts.iter().map(|(_, part)| part.sanitised).collect::<Vec<_>>(),
            &parts.iter().map(|(_, part)| part.raw.as_bytes()).collect::<Vec<_>>() as &[&[u8]],
        )
        .fetch_all(self.session())
        .await?;
        let changed = rows
            .iter()
            .filter(|row| row.source_id != FIRST_MESSAGE)
            .count();
        let inserted = rows
            .iter()
            .filter(|row| row.source_id != FIRST_MESSAGE && row.inserted)
            .count();
        Ok((inserted, changed - inserted))
    }

    /// Makes threads due that are held already, to be read and compared once more. One without parts costs no call.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn want_threads_again(
        &mut self,
        connection: ConnectionId,
        source_ids: &[String],
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        let mut threads: Vec<Uuid> = source_ids
            .iter()
            .map(|id| ids::conversation_id(connection, id))
            .collect();
        threads.sort_unstable();
        sqlx::query!(
            "UPDATE threads SET status = 'pending', due_at = now(), attempts = 0, error = NULL
             WHERE tenant_id = $1 AND connection_id = $2 AND conversation_id = ANY ($3)
               AND status NOT IN ('pending', 'gone') AND (held > 0 OR expected IS DISTINCT FROM 0)",
            tenant,
            connection.0,
            &threads,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Says of each fetched thread whether all of it is held, counting its parts.
    ///
    /// The rows exist: written as an upsert, each is found by its key, whatever the planner believes of a
    /// table that was empty a minute ago.
    async fn settle_threads(
        &mut self,
        connection: ConnectionId,
        mut states: Vec<FetchedState>,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        states.sort_by_key(|state| state.id);
        states.dedup_by_key(|state| state.id);
        sqlx::query!(
            "INSERT INTO threads AS t
                (tenant_id, connection_id, conversation_id, source_id, status, wanted_version, fetched_version, held, expected, due_at)
             SELECT $1, $2, id, i.source_id, shown, version, version,
                    (SELECT count(*) FROM parts p
                     WHERE p.tenant_id = $1 AND p.conversation_id = i.id AND p.source_id <> $8),
                    expected, CASE WHEN shown = 'pending' THEN now() END
             FROM unnest($3::uuid[], $4::text[], $5::text[], $6::timestamptz[], $7::int[])
                AS i(id, source_id, shown, version, expected)
             ON CONFLICT (tenant_id, connection_id, conversation_id) DO UPDATE SET
                held = excluded.held, expected = excluded.expected, fetched_version = excluded.fetched_version,
                status = judge_fetched(t, excluded),
                -- An answer that stays behind its stub, or short of its count, is asked for less and less often.
                due_at = CASE WHEN judge_fetched(t, excluded) = 'pending'
                              THEN now() + least(3 * 2 ^ least(t.attempts, 12), 3600) * interval '1 second' END,
                attempts = CASE WHEN excluded.held < excluded.expected OR t.wanted_version > excluded.fetched_version
                                THEN t.attempts + 1 ELSE 0 END,
                error = CASE judge_fetched(t, excluded)
                            WHEN 'blocked' THEN 'parts that cannot be read are in quarantine'
                            WHEN 'truncated' THEN 'intercom does not show every part that it counts' END",
            tenant,
            connection.0,
            &states.iter().map(|state| state.id).collect::<Vec<_>>(),
            &states.iter().map(|state| state.source_id.as_str()).collect::<Vec<_>>() as &[&str],
            &states.iter().map(FetchedState::shown).collect::<Vec<_>>() as &[&str],
            &states.iter().map(|state| state.version).collect::<Vec<_>>(),
            &states.iter().map(|state| state.expected).collect::<Vec<_>>() as &[Option<i32>],
            FIRST_MESSAGE,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    /// Notes why a thread could not be fetched.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn mark_thread(
        &mut self,
        connection: ConnectionId,
        conversation: Uuid,
        fate: ThreadFate,
        error: &str,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant().0;
        let (status, seconds) = match fate {
            ThreadFate::Gone => ("gone", None),
            ThreadFate::Blocked => ("blocked", None),
            ThreadFate::Again(seconds) => ("pending", Some(seconds)),
        };
        if fate == ThreadFate::Gone {
            sqlx::query!(
                "UPDATE conversations SET deleted_at = now() WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL",
                tenant,
                conversation,
            )
            .execute(self.session())
            .await?;
        }
        sqlx::query!(
            "UPDATE threads SET status = $4, error = $5, attempts = attempts + 1, due_at = now() + make_interval(secs => $6)
             WHERE tenant_id = $1 AND connection_id = $2 AND conversation_id = $3",
            tenant,
            connection.0,
            conversation,
            status,
            error,
            seconds,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}

/// How many of the first go into one statement, by their bytes: at least one.
fn bite_of(bytes: impl Iterator<Item = usize>) -> usize {
    let sums = bytes.scan(0, |sum, bytes| {
        *sum += bytes;
        Some(*sum)
    });
    sums.take_while(|sum| *sum <= STATEMENT_BYTES)
        .count()
        .max(1)
}

fn bytes_of(part: &Part) -> usize {
    part.raw.len() + part.body.as_ref().map_or(0, String::len)
}

struct FetchedState {
    id: Uuid,
    source_id: String,
    version: DateTime<Utc>,
    expected: Option<i32>,
    parts_shown: i32,
    too_fresh: bool,
    poisoned: i32,
}

impl FetchedState {
    /// What this answer alone says; `judge_fetched` in the schema weighs it with what is held.
    const fn shown(&self) -> &'static str {
        if self.too_fresh {
            "pending"
        } else if self.poisoned > 0 {
            "blocked"
        } else if self.parts_shown >= PARTS_SHOWN {
            "truncated"
        } else {
            "complete"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_takes_what_fits_and_at_least_one_part() {
        let half = STATEMENT_BYTES / 2;
        for (bytes, bite) in [
            (&[1, 1, 1][..], 3),
            (&[half, half, 1], 2),
            (&[half, half + 1], 1),
            (&[3 * half, 1], 1),
        ] {
            assert_eq!(bite_of(bytes.iter().copied()), bite, "{bytes:?}");
        }
    }
}
