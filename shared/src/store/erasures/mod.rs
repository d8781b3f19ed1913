//! Erasures: a person is removed everywhere and kept out.
//!
//! The first transaction ([`request`]) deletes the person's records, so that no read shows the person any more, and stores
//! the digests by which later records of the person are refused ([`kept_out`]). Conversations and events may be many, so
//! they go afterwards in short transactions ([`work`]), and another process continues an erasure whose process has died.

mod conversations;
mod kept_out;
mod request;
mod work;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{StoreError, Tx, reads::Position, roles::Api};

/// An erasure, as far as it has come.
#[derive(Clone, Debug)]
pub struct Erasure {
    pub id: Uuid,
    pub contact_id: Uuid,
    pub requested_at: DateTime<Utc>,
    /// When its first batch was removed.
    pub started_at: Option<DateTime<Utc>>,
    /// When nothing was left.
    pub finished_at: Option<DateTime<Utc>>,
    pub records: i64,
    /// Links to companies.
    pub links: i64,
    /// Conversations of nobody else.
    pub conversations: i64,
    /// Conversations that go on with others.
    pub participations: i64,
    /// Parts of both, and first messages.
    pub parts: i64,
    pub events: i64,
    /// Objects in quarantine.
    pub quarantined: i64,
    /// Answers to repeated POSTs.
    pub answers: i64,
    /// What a last look has found, by the names of the fields above. All of its numbers are zero.
    pub left_over: Option<Value>,
}

/// One select list for every read.
macro_rules! erasures {
    ($tx:ident, $fetch:ident, $end:literal, $($value:expr),*) => {{
        let tenant = $tx.tenant().0;
        sqlx::query_as!(
            Erasure,
            "SELECT id, contact_id, requested_at, started_at, finished_at, records, links, conversations, participations,
                    parts, events, quarantined, answers, left_over
             FROM erasures WHERE tenant_id = $1 AND "
                + $end,
            tenant,
            $($value),*
        )
        .$fetch($tx.session())
        .await?
    }};
}

impl Tx<Api> {
    /// One erasure. `None` for an unknown or foreign id.
    #[tracing::instrument(name = "db.erasure", level = "debug", skip_all)]
    pub async fn erasure(&mut self, id: Uuid) -> Result<Option<Erasure>, StoreError> {
        Ok(erasures!(self, fetch_optional, "id = $2", id))
    }

    /// Erasures, newest first.
    #[tracing::instrument(name = "db.erasures", level = "debug", skip_all)]
    pub async fn erasures(
        &mut self,
        before: Position,
        limit: i64,
    ) -> Result<Vec<Erasure>, StoreError> {
        Ok(erasures!(
            self,
            fetch_all,
            "(requested_at, id) < ($2, $3) AND requested_at > '-infinity' ORDER BY requested_at DESC, id DESC LIMIT $4",
            before.at,
            before.id,
            limit
        ))
    }
}
