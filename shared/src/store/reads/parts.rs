//! The messages and events of one conversation, oldest or newest first.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    domain::{ids::part_id, records::FIRST_MESSAGE},
    store::{StoreError, Tx, raw::PackedRaw, roles::Api},
};

/// One message or event.
#[derive(Clone, Debug)]
pub struct PartRecord {
    pub id: Uuid,
    pub source_id: String,
    /// Intercom's part type, or `source` for the first message.
    pub kind: String,
    pub author: PartAuthor,
    /// HTML as Intercom sent it, unless the reader asked for text.
    pub body: Option<String>,
    pub redacted: bool,
    /// A note between teammates, never to be shown to the customer's customer.
    pub internal: bool,
    pub source_created_at: DateTime<Utc>,
    pub source_updated_at: DateTime<Utc>,
    /// What was sent of it.
    pub raw: PackedRaw,
}

/// The author of a part.
#[derive(Clone, Debug)]
pub struct PartAuthor {
    pub kind: Option<String>,
    pub source_id: Option<String>,
    pub name: Option<String>,
}

struct PartRow {
    source_id: String,
    kind: String,
    author_kind: Option<String>,
    author_source_id: Option<String>,
    author_name: Option<String>,
    body: Option<String>,
    redacted: bool,
    internal: bool,
    source_created_at: DateTime<Utc>,
    source_updated_at: DateTime<Utc>,
    raw: Vec<u8>,
}

impl PartRow {
    fn into_part(self, conversation: Uuid) -> PartRecord {
        PartRecord {
            id: part_id(conversation, &self.source_id),
            source_id: self.source_id,
            kind: self.kind,
            author: PartAuthor {
                kind: self.author_kind,
                source_id: self.author_source_id,
                name: self.author_name,
            },
            body: self.body,
            redacted: self.redacted,
            internal: self.internal,
            source_created_at: self.source_created_at,
            source_updated_at: self.source_updated_at,
            raw: PackedRaw(self.raw),
        }
    }
}

/// The last part of the page before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartPosition {
    pub at: DateTime<Utc>,
    pub source_id: String,
}

impl PartRecord {
    /// Its place in the list.
    #[must_use]
    pub fn position(&self) -> PartPosition {
        PartPosition {
            at: self.source_created_at,
            source_id: self.source_id.clone(),
        }
    }
}

/// Parts of a conversation beyond a position, in the order of the list or the other way round.
macro_rules! parts_beyond {
    ($tx:ident, $conversation:ident, $position:ident, $limit:ident, $beyond:literal, $order:literal) => {{
        let tenant = $tx.tenant().0;
        // Ids are digits as text, so the shorter one is the smaller number.
        let rows = sqlx::query_as!(
            PartRow,
            "SELECT source_id, kind, author_kind, author_source_id, author_name, body, redacted, internal,
                    source_created_at, source_updated_at, raw
             FROM parts
             WHERE tenant_id = $1 AND conversation_id = $2
               AND ($3::text IS NULL
                    OR (source_id <> $6, source_created_at, length(source_id), source_id) "
                + $beyond
                + " ($3 <> $6, $4, length($3), $3))
             ORDER BY source_id <> $6 "
                + $order
                + ", source_created_at "
                + $order
                + ", length(source_id) "
                + $order
                + ", source_id "
                + $order
                + " LIMIT $5",
            tenant,
            $conversation,
            $position.map(|position| position.source_id.as_str()),
            $position.map(|position| position.at),
            $limit,
            FIRST_MESSAGE,
        )
        .fetch_all($tx.session())
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| row.into_part($conversation))
            .collect())
    }};
}

impl Tx<Api> {
    /// Parts after a position, oldest first. The first message leads, whatever its time. Parts of one second are in the
    /// order of their ids, which Intercom counts up.
    #[tracing::instrument(name = "db.parts", level = "debug", skip_all)]
    pub async fn parts(
        &mut self,
        conversation: Uuid,
        after: Option<&PartPosition>,
        limit: i64,
    ) -> Result<Vec<PartRecord>, StoreError> {
        parts_beyond!(self, conversation, after, limit, ">", "ASC")
    }

    /// Parts before a position, newest first: [`Self::parts`] the other way round.
    #[tracing::instrument(name = "db.newest_parts", level = "debug", skip_all)]
    pub async fn newest_parts(
        &mut self,
        conversation: Uuid,
        before: Option<&PartPosition>,
        limit: i64,
    ) -> Result<Vec<PartRecord>, StoreError> {
        parts_beyond!(self, conversation, before, limit, "<", "DESC")
    }

    /// One part by Intercom's id.
    #[tracing::instrument(name = "db.part", level = "debug", skip_all)]
    pub async fn part(
        &mut self,
        conversation: Uuid,
        source_id: &str,
    ) -> Result<Option<PartRecord>, StoreError> {
        let tenant = self.tenant().0;
        let row = sqlx::query_as!(
            PartRow,
            "SELECT source_id, kind, author_kind, author_source_id, author_name, body, redacted, internal,
                    source_created_at, source_updated_at, raw
             FROM parts
             WHERE tenant_id = $1 AND conversation_id = $2 AND source_id = $3",
            tenant,
            conversation,
            source_id,
        )
        .fetch_optional(self.session())
        .await?;
        Ok(row.map(|row| row.into_part(conversation)))
    }
}
