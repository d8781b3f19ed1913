//! What a transaction changes of objects that readers see. The feed shows it (`reads/feed.rs`), and lists are in its order.
//!
//! A statement notes what it changes. The last statement of the transaction writes the notes down, at times that the row
//! of the tenant's feed gives it. That row stays locked until the commit, so the order of times is the order of commits.

use uuid::Uuid;

use super::{
    StoreError, Tx,
    noted_changes::{ChangeOp, ObjectFate, ObjectKind},
    roles::{ChangesObjects, DbRole},
};

impl<R: ChangesObjects> Tx<R> {
    /// Notes objects of a kind that are stored as they are listed now.
    pub(super) fn note_upserts(&mut self, objects: impl IntoIterator<Item = (Uuid, ObjectKind)>) {
        for (id, kind) in objects {
            self.changes()
                .note(id, ChangeOp::Upsert, Some(kind), Some(ObjectFate::Listed));
        }
    }

    /// Notes what has become of an object, which may have no row in the feed yet.
    pub(super) fn note_state(
        &mut self,
        id: Uuid,
        op: ChangeOp,
        kind: ObjectKind,
        fate: ObjectFate,
    ) {
        self.changes().note(id, op, Some(kind), Some(fate));
    }

    /// Notes objects that have come to this end.
    pub(super) fn note_ends(
        &mut self,
        op: ChangeOp,
        fate: ObjectFate,
        objects: impl IntoIterator<Item = Uuid>,
    ) {
        for id in objects {
            self.changes().note(id, op, None, Some(fate));
        }
    }

    /// Notes objects that show something else because of another one.
    pub(super) fn note_changes(&mut self, op: ChangeOp, objects: impl IntoIterator<Item = Uuid>) {
        for id in objects {
            self.changes().note(id, op, None, None);
        }
    }
}

impl<R: DbRole> Tx<R> {
    /// Writes down what the transaction has noted, as its last statement.
    pub(super) async fn write_changes(&mut self) -> Result<(), StoreError> {
        let removed = self.changes().removed();
        self.delete_search_documents(&removed).await?;
        // Companies that have fewer conversations now are noted too.
        self.withdraw_from_companies(&removed).await?;
        self.note_neighbours().await?;
        let noted = std::mem::take(self.changes()).into_columns();
        if noted.ids.is_empty() {
            return Ok(());
        }
        let tenant = self.tenant().0;
        // What is gone stays told as gone, also if it still shows something else afterwards, for example other counts.
        sqlx::query!(
            "WITH feed AS (
                INSERT INTO feeds AS f (tenant_id, last_at, unindexed_since)
                VALUES ($1, clock_timestamp() + $6::float8 * interval '1 microsecond', clock_timestamp())
                ON CONFLICT (tenant_id) DO UPDATE
                SET last_at = greatest(f.last_at, clock_timestamp()) + $6::float8 * interval '1 microsecond',
                    unindexed_since = coalesce(f.unindexed_since, excluded.unindexed_since)
                RETURNING last_at
             )
             INSERT INTO changes AS c (tenant_id, id, at, kind, fate, op)
             SELECT $1, i.id, feed.last_at - ($6::float8 - i.place) * interval '1 microsecond', i.kind, i.fate, i.op
             FROM feed CROSS JOIN unnest($2::uuid[], $3::int2[], $4::int2[], $5::int2[]) WITH ORDINALITY
                  AS i(id, kind, fate, op, place)
             ON CONFLICT (tenant_id, id) DO UPDATE SET
                at = excluded.at,
                op = CASE WHEN excluded.fate < 0 AND c.fate <> 0 THEN c.op ELSE excluded.op END,
                kind = CASE WHEN excluded.kind < 0 THEN c.kind ELSE excluded.kind END,
                fate = CASE WHEN excluded.fate < 0 THEN c.fate ELSE excluded.fate END",
            tenant,
            &noted.ids,
            &noted.kinds,
            &noted.fates,
            &noted.ops,
            noted.ids.len() as f64,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}
