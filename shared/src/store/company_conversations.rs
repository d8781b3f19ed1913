//! The conversations of companies, counted behind the commits.
//!
//! Only what has the right to index a tenant writes them ([`Tx::claim_indexing`]), and so does a removal, which waits for
//! that right. The counts are therefore never changed by two transactions at once.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    StoreError, Tx,
    noted_changes::ChangeOp,
    reads::ConversationRecord,
    roles::{Api, DbRole},
};

/// A conversation and a company that it shows.
type Pair = (Uuid, Uuid);

/// What is counted of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counted {
    open: bool,
    last_at: DateTime<Utc>,
}

/// What a company gains or loses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Delta {
    conversations: i64,
    open: i64,
}

impl Tx<Api> {
    /// Counts conversations of a slice for the companies that they show now. `ids` are all of the slice, and `listed`
    /// those that are not deleted. Companies that show other counts are noted.
    #[tracing::instrument(name = "db.count_for_companies", level = "debug", skip_all)]
    pub async fn count_for_companies(
        &mut self,
        ids: &[Uuid],
        listed: &[ConversationRecord],
    ) -> Result<(), StoreError> {
        let stored = self.counted_pairs(ids).await?;
        let shown = shown_pairs(listed);
        let gone: Vec<Pair> = stored
            .keys()
            .filter(|pair| !shown.contains_key(pair))
            .copied()
            .collect();
        let changed: Vec<(Pair, Counted)> = shown
            .iter()
            .filter(|(pair, counted)| stored.get(pair) != Some(counted))
            .map(|(pair, counted)| (*pair, *counted))
            .collect();
        self.delete_pairs(&gone).await?;
        self.write_pairs(&changed).await?;
        let deltas = deltas(&stored, &shown);
        self.add_to_company_totals(&deltas).await
    }

    async fn counted_pairs(&mut self, ids: &[Uuid]) -> Result<BTreeMap<Pair, Counted>, StoreError> {
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let tenant = self.tenant().0;
        let rows = sqlx::query!(
            r#"SELECT i.id AS "id!", c.company_id, c.open, c.last_at FROM unnest($2::uuid[]) AS i(id)
               CROSS JOIN LATERAL (SELECT company_id, open, last_at FROM company_conversations
                                   WHERE tenant_id = $1 AND conversation_id = i.id OFFSET 0) c"#,
            tenant,
            ids,
        )
        .fetch_all(self.session())
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let counted = Counted {
                    open: row.open,
                    last_at: row.last_at,
                };
                ((row.id, row.company_id), counted)
            })
            .collect())
    }

    async fn delete_pairs(&mut self, pairs: &[Pair]) -> Result<(), StoreError> {
        if pairs.is_empty() {
            return Ok(());
        }
        let tenant = self.tenant().0;
        let (conversations, companies): (Vec<Uuid>, Vec<Uuid>) = pairs.iter().copied().unzip();
        sqlx::query!(
            "DELETE FROM company_conversations c USING unnest($2::uuid[], $3::uuid[]) AS i(conversation_id, company_id)
             WHERE c.tenant_id = $1 AND c.conversation_id = i.conversation_id AND c.company_id = i.company_id",
            tenant,
            &conversations,
            &companies,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    async fn write_pairs(&mut self, pairs: &[(Pair, Counted)]) -> Result<(), StoreError> {
        if pairs.is_empty() {
            return Ok(());
        }
        let tenant = self.tenant().0;
        let (conversations, companies): (Vec<Uuid>, Vec<Uuid>) =
            pairs.iter().map(|(pair, _)| *pair).unzip();
        let (open, times): (Vec<bool>, Vec<DateTime<Utc>>) = pairs
            .iter()
            .map(|(_, counted)| (counted.open, counted.last_at))
            .unzip();
        sqlx::query!(
            "INSERT INTO company_conversations (tenant_id, conversation_id, company_id, open, last_at)
             SELECT $1, i.conversation_id, i.company_id, i.open, i.last_at
             FROM unnest($2::uuid[], $3::uuid[], $4::bool[], $5::timestamptz[])
                  AS i(conversation_id, company_id, open, last_at)
             ON CONFLICT (tenant_id, conversation_id, company_id) DO UPDATE SET
                open = excluded.open, last_at = excluded.last_at",
            tenant,
            &conversations,
            &companies,
            &open,
            &times,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}

impl<R: DbRole> Tx<R> {
    /// Takes conversations that are no longer stored out of the counts of their companies, and notes the companies. The
    /// caller has the right to index the tenant.
    pub(in crate::store) async fn withdraw_from_companies(
        &mut self,
        conversations: &[Uuid],
    ) -> Result<(), StoreError> {
        if conversations.is_empty() {
            return Ok(());
        }
        let tenant = self.tenant().0;
        let rows = sqlx::query!(
            r#"WITH gone AS (
                   DELETE FROM company_conversations c USING unnest($2::uuid[]) AS i(id)
                   WHERE c.tenant_id = $1 AND c.conversation_id = i.id
                   RETURNING c.company_id, c.open
               )
               SELECT company_id, count(*) AS "conversations!", count(*) FILTER (WHERE open) AS "open!"
               FROM gone GROUP BY company_id"#,
            tenant,
            conversations,
        )
        .fetch_all(self.session())
        .await?;
        let deltas = rows.into_iter().map(|row| {
            let delta = Delta {
                conversations: -row.conversations,
                open: -row.open,
            };
            (row.company_id, delta)
        });
        self.add_to_company_totals(&deltas.collect()).await
    }

    /// Changes the counts, and notes the companies that are still stored.
    async fn add_to_company_totals(
        &mut self,
        deltas: &BTreeMap<Uuid, Delta>,
    ) -> Result<(), StoreError> {
        if deltas.is_empty() {
            return Ok(());
        }
        let tenant = self.tenant().0;
        let companies: Vec<Uuid> = deltas.keys().copied().collect();
        let rows = sqlx::query!(
            r#"SELECT i.id AS "id!", t.conversations AS "conversations?", t.open AS "open?", s.is_stored AS "is_stored!"
               FROM unnest($2::uuid[]) AS i(id)
               CROSS JOIN LATERAL (SELECT EXISTS (SELECT 1 FROM company_sources
                                                  WHERE tenant_id = $1 AND company_id = i.id) AS is_stored) s
               LEFT JOIN LATERAL (SELECT conversations, open FROM company_totals
                                  WHERE tenant_id = $1 AND company_id = i.id OFFSET 0) t ON true"#,
            tenant,
            &companies,
        )
        .fetch_all(self.session())
        .await?;
        let (mut ended, mut counted) = (Vec::new(), (Vec::new(), Vec::new(), Vec::new()));
        for row in rows {
            let delta = deltas.get(&row.id).copied().unwrap_or_default();
            let mut conversations = row.conversations.unwrap_or(0) + delta.conversations;
            let mut open = row.open.unwrap_or(0) + delta.open;
            if !(0..=conversations).contains(&open) {
                tracing::error!(company = %row.id, conversations, open, "the counts of a company were wrong, so they are taken anew");
                (conversations, open) = self.recount_company(row.id).await?;
            }
            if row.is_stored {
                self.changes().note(row.id, ChangeOp::Link, None, None);
            }
            if conversations == 0 {
                ended.push(row.id);
            } else {
                counted.0.push(row.id);
                counted.1.push(conversations);
                counted.2.push(open);
            }
        }
        sqlx::query!(
            "WITH ended AS (
                DELETE FROM company_totals t USING unnest($2::uuid[]) AS i(id)
                WHERE t.tenant_id = $1 AND t.company_id = i.id
             )
             INSERT INTO company_totals (tenant_id, company_id, conversations, open)
             SELECT $1, i.id, i.conversations, i.open FROM unnest($3::uuid[], $4::int8[], $5::int8[]) AS i(id, conversations, open)
             ON CONFLICT (tenant_id, company_id) DO UPDATE SET
                conversations = excluded.conversations, open = excluded.open",
            tenant,
            &ended,
            &counted.0,
            &counted.1,
            &counted.2,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }

    async fn recount_company(&mut self, company: Uuid) -> Result<(i64, i64), StoreError> {
        let tenant = self.tenant().0;
        let row = sqlx::query!(
            r#"SELECT count(*) AS "conversations!", count(*) FILTER (WHERE open) AS "open!"
               FROM company_conversations WHERE tenant_id = $1 AND company_id = $2"#,
            tenant,
            company,
        )
        .fetch_one(self.session())
        .await?;
        Ok((row.conversations, row.open))
    }
}

fn shown_pairs(listed: &[ConversationRecord]) -> BTreeMap<Pair, Counted> {
    let pairs = listed.iter().flat_map(|conversation| {
        let counted = Counted {
            open: conversation.open,
            last_at: conversation.source_updated_at,
        };
        let companies = conversation.company_ids.iter();
        companies.map(move |company| ((conversation.id, *company), counted))
    });
    pairs.collect()
}

/// What each company gains or loses, if it shows anything else then.
fn deltas(
    stored: &BTreeMap<Pair, Counted>,
    shown: &BTreeMap<Pair, Counted>,
) -> BTreeMap<Uuid, Delta> {
    let pairs: BTreeSet<&Pair> = stored.keys().chain(shown.keys()).collect();
    let mut deltas: BTreeMap<Uuid, Delta> = BTreeMap::new();
    for pair in pairs {
        let (before, after) = (stored.get(pair), shown.get(pair));
        if before == after {
            continue;
        }
        let count = |counted: Option<&Counted>| i64::from(counted.is_some());
        let open =
            |counted: Option<&Counted>| i64::from(counted.is_some_and(|counted| counted.open));
        // Also if the counts stay, because the company then shows another time.
        let delta = deltas.entry(pair.1).or_default();
        delta.conversations += count(after) - count(before);
        delta.open += open(after) - open(before);
    }
    deltas
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(open: bool, second: i64) -> Counted {
        Counted {
            open,
            last_at: DateTime::from_timestamp(second, 0).unwrap_or_default(),
        }
    }

    #[test]
    fn a_company_changes_by_what_changed_for_it() {
        let id = Uuid::from_u128;
        let stored = BTreeMap::from([
            ((id(1), id(10)), counted(true, 1)),
            ((id(2), id(10)), counted(true, 1)),
            ((id(1), id(11)), counted(true, 1)),
            ((id(3), id(12)), counted(false, 1)),
        ]);
        let shown = BTreeMap::from([
            ((id(1), id(10)), counted(false, 1)),
            ((id(1), id(13)), counted(true, 1)),
            ((id(2), id(10)), counted(true, 1)),
            ((id(3), id(12)), counted(false, 2)),
        ]);
        let delta = |conversations, open| Delta {
            conversations,
            open,
        };
        let expected = BTreeMap::from([
            (id(10), delta(0, -1)),
            (id(11), delta(-1, -1)),
            (id(12), delta(0, 0)),
            (id(13), delta(1, 1)),
        ]);
        assert_eq!(deltas(&stored, &shown), expected);
        assert!(deltas(&stored, &stored).is_empty());
    }
}
