//! The feed: what changed, in the order of commits, and the lists that are in its order.
//!
//! Each kind of object has a range of the index of its own. A page reads the first rows of each range and takes the first
//! of them all, so that it costs the same wherever it begins.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::ProfileFilter;
use crate::store::{
    StoreError, Tx,
    noted_changes::{ChangeOp, ObjectFate, ObjectKind},
    roles::Api,
};

/// One entry of the feed. An object has one, which moves with each change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// `contact`, `company` or `conversation`.
    pub object: &'static str,
    pub id: Uuid,
    /// `upsert`, `delete`, `merge`, `split`, `link` or `erase`.
    pub op: &'static str,
    /// Its place in the feed. No two entries of a tenant have the same one.
    pub at: DateTime<Utc>,
}

/// An object in a list that is in the order of the feed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listed {
    pub(super) id: Uuid,
    pub(super) updated_at: DateTime<Utc>,
}

/// The kinds of conversations.
const CONVERSATIONS: [ObjectKind; 4] = [
    ObjectKind::Open,
    ObjectKind::Closed,
    ObjectKind::Snoozed,
    ObjectKind::OtherState,
];

/// The ranges of a list, which are those of its kinds and fates.
#[derive(Clone, Debug)]
pub(super) struct Ranges {
    kinds: Vec<i16>,
    fates: Vec<i16>,
}

impl Ranges {
    /// A list of contacts or companies. Merged ones are in it only for a reader of changes, because it has to learn of
    /// them.
    pub(super) fn of_profiles(kind: ObjectKind, filter: ProfileFilter) -> Self {
        let mut fates = vec![ObjectFate::Listed];
        if filter.deleted {
            fates.push(ObjectFate::Deleted);
        }
        if filter.deleted && filter.updated_since.is_some() {
            fates.push(ObjectFate::Merged);
        }
        Self::of(&[kind], &fates)
    }

    /// A list of conversations of a state, or of all.
    pub(super) fn of_conversations(state: Option<&str>, deleted: bool) -> Self {
        let of_state = [ObjectKind::of_state(state)];
        let kinds: &[ObjectKind] = if state.is_some() {
            &of_state
        } else {
            &CONVERSATIONS
        };
        let fates = [ObjectFate::Listed, ObjectFate::Deleted];
        Self::of(kinds, if deleted { &fates } else { &fates[..1] })
    }

    fn of(kinds: &[ObjectKind], fates: &[ObjectFate]) -> Self {
        Self {
            kinds: kinds.iter().map(|kind| *kind as i16).collect(),
            fates: fates.iter().map(|fate| *fate as i16).collect(),
        }
    }
}

/// A page of a list, whose objects may have to meet one more condition.
macro_rules! listed {
    ($tx:ident, $ranges:ident, $since:ident, $before:ident, $limit:ident, $condition:literal $(, $argument:ident)* $(,)?) => {{
        let tenant = $tx.tenant().0;
        Ok(sqlx::query_as!(
            Listed,
            "SELECT c.id, c.at AS updated_at
             FROM unnest($2::int2[]) AS k(kind) CROSS JOIN unnest($3::int2[]) AS f(fate)
             CROSS JOIN LATERAL (SELECT id, at FROM changes h
                                 WHERE tenant_id = $1 AND kind = k.kind AND fate = f.fate AND at >= $4 AND at < $5"
                + $condition
                + " ORDER BY at DESC LIMIT $6) c
             ORDER BY c.at DESC LIMIT $6",
            tenant,
            &$ranges.kinds,
            &$ranges.fates,
            $since,
            $before,
            $limit
            $(, $argument)*
        )
        .fetch_all($tx.session())
        .await?)
    }};
}

impl Tx<Api> {
    /// When anything of the tenant last changed. `None` if nothing ever was stored.
    #[tracing::instrument(name = "db.last_change_at", level = "debug", skip_all)]
    pub async fn last_change_at(&mut self) -> Result<Option<DateTime<Utc>>, StoreError> {
        let tenant = self.tenant().0;
        Ok(
            sqlx::query_scalar!("SELECT last_at FROM feeds WHERE tenant_id = $1", tenant)
                .fetch_optional(self.session())
                .await?,
        )
    }

    /// The feed after a place in it, oldest first. Conversations are left out of it unless they are asked for.
    #[tracing::instrument(name = "db.feed", level = "debug", skip_all)]
    pub async fn feed(
        &mut self,
        after: DateTime<Utc>,
        conversations: bool,
        limit: i64,
    ) -> Result<Vec<Change>, StoreError> {
        let mut kinds = vec![ObjectKind::Contact, ObjectKind::Company];
        if conversations {
            kinds.extend(CONVERSATIONS);
        }
        let fates = [
            ObjectFate::Listed,
            ObjectFate::Deleted,
            ObjectFate::Merged,
            ObjectFate::Removed,
        ];
        let ranges = Ranges::of(&kinds, &fates);
        let tenant = self.tenant().0;
        let rows = sqlx::query!(
            r#"SELECT c.id, c.at, c.op, k.kind AS "kind!"
               FROM unnest($2::int2[]) AS k(kind) CROSS JOIN unnest($3::int2[]) AS f(fate)
               CROSS JOIN LATERAL (SELECT id, at, op FROM changes
                                   WHERE tenant_id = $1 AND kind = k.kind AND fate = f.fate AND at > $4
                                   ORDER BY at LIMIT $5) c
               ORDER BY c.at LIMIT $5"#,
            tenant,
            &ranges.kinds,
            &ranges.fates,
            after,
            limit,
        )
        .fetch_all(self.session())
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| Change {
                object: object_of(row.kind),
                id: row.id,
                op: ChangeOp::of(row.op).as_str(),
                at: row.at,
            })
            .collect())
    }

    /// Objects of a list that changed at or after a time, last change first, behind the last one of the page before.
    pub(super) async fn listed(
        &mut self,
        ranges: &Ranges,
        since: DateTime<Utc>,
        before: DateTime<Utc>,
        limit: i64,
    ) -> Result<Vec<Listed>, StoreError> {
        listed!(self, ranges, since, before, limit, "")
    }

    /// As [`Tx::listed`], of conversations in a state that is no kind of its own.
    pub(super) async fn listed_in_state(
        &mut self,
        ranges: &Ranges,
        state: &str,
        since: DateTime<Utc>,
        before: DateTime<Utc>,
        limit: i64,
    ) -> Result<Vec<Listed>, StoreError> {
        listed!(
            self,
            ranges,
            since,
            before,
            limit,
            " AND EXISTS (SELECT FROM conversations c WHERE c.tenant_id = $1 AND c.id = h.id AND c.state = $7)",
            state,
        )
    }

    /// When each of these objects last changed. One that is not stored is left out.
    pub(super) async fn changed_at(&mut self, ids: &[Uuid]) -> Result<Vec<Listed>, StoreError> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_as!(
            Listed,
            "SELECT c.id, c.at AS updated_at FROM unnest($2::uuid[]) AS i(id)
             CROSS JOIN LATERAL (SELECT id, at FROM changes WHERE tenant_id = $1 AND id = i.id OFFSET 0) c",
            tenant,
            ids,
        )
        .fetch_all(self.session())
        .await?)
    }
}

const fn object_of(kind: i16) -> &'static str {
    match kind {
        1 => "contact",
        2 => "company",
        _ => "conversation",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_word() {
        assert_eq!(object_of(ObjectKind::Contact as i16), "contact");
        assert_eq!(object_of(ObjectKind::Company as i16), "company");
        for kind in CONVERSATIONS {
            assert_eq!(object_of(kind as i16), "conversation");
        }
    }
}
