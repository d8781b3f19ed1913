//! How a scheduler works through a bulk action: one batch of letters in each transaction.
//!
//! The row of the action is locked for a batch, and its cursor moves with the letters that the batch changes. So no letter is
//! changed twice, whatever ends between two batches, and a second scheduler passes over an action that is locked.

use uuid::Uuid;

use super::{
    BulkKind, Due, Store, StoreError, Tx,
    bulk_actions::{BulkAction, bulk_action},
    pauses::Pause,
    roles::Scheduler,
    streams::{DueRow, dues},
};
use crate::domain::{Class, Stream};

/// What one step of a bulk action did.
#[derive(Debug)]
pub enum BulkStep {
    /// It has ended, or another scheduler works a batch of it.
    Passed,
    /// So many streams of the last batch wait for a worker, or the fleet is paused.
    Waits { streams: i64 },
    /// A batch was worked. The caller pushes tickets of the streams that were made due.
    Worked { due: Vec<Due> },
    /// The last batch was worked, or an empty one.
    Finished { due: Vec<Due> },
}

/// A letter of a batch. Letters are ordered as the keys of their streams are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Letter {
    tenant: Uuid,
    connection: Uuid,
    stream: String,
    id: Uuid,
}

impl Store<Scheduler> {
    /// Bulk actions that have not ended, the first one first.
    #[tracing::instrument(name = "db.open_bulk_actions", level = "debug", skip_all)]
    pub async fn open_bulk_actions(&self) -> Result<Vec<Uuid>, StoreError> {
        let mut tx = self.begin_for_all().await?;
        Ok(
            sqlx::query_scalar!(
                "SELECT id FROM bulk_actions WHERE finished_at IS NULL ORDER BY id"
            )
            .fetch_all(tx.session())
            .await?,
        )
    }

    /// Works the next batch of a bulk action, among so many letters.
    ///
    /// A retry waits until a worker has taken over every stream of the batch before. So its streams are at most a batch of
    /// those that wait for their turn, however many letters there are, and a tenant with new work waits for few of them.
    ///
    /// # Errors
    /// When Postgres fails. Nothing of the batch was done then.
    #[tracing::instrument(name = "db.work_bulk_action", level = "debug", skip_all)]
    pub async fn work_bulk_action(&self, id: Uuid, letters: i32) -> Result<BulkStep, StoreError> {
        let mut tx = self.begin_for_all().await?;
        let found = bulk_action!(
            "WHERE id = $1 AND finished_at IS NULL FOR UPDATE SKIP LOCKED",
            id
        )
        .fetch_optional(tx.session())
        .await?;
        let Some(mut action) = found else {
            return Ok(BulkStep::Passed);
        };
        let kind = action.kind()?;
        if kind == BulkKind::Retry {
            let pauses = tx.pauses().await?;
            let waiting = tx.waiting_letters(&action, &pauses).await?;
            if waiting > 0 || is_all_paused(&pauses) {
                return tx.note_waiting(&action, waiting).await;
            }
        }
        let (batch, last) = tx.next_letters(&action, letters).await?;
        let due = match kind {
            BulkKind::Retry => {
                let due = tx.retry_letters(&batch).await?;
                action.done += due.len() as i64;
                action.skipped += batch.len() as i64 - due.len() as i64;
                action.waiting = due.len() as i64;
                due
            }
            BulkKind::Drop => {
                let dropped = tx.drop_letters(&batch).await?;
                action.done += dropped;
                action.skipped += batch.len() as i64 - dropped;
                Vec::new()
            }
        };
        let Some(last) = last else {
            tx.end_bulk_action(action).await?;
            return Ok(BulkStep::Finished { due });
        };
        tx.move_bulk_cursor(&action, last).await?;
        tx.commit().await?;
        Ok(BulkStep::Worked { due })
    }
}

impl Tx<Scheduler> {
    /// Streams of the last batch that no worker has taken over yet, without those that are paused.
    async fn waiting_letters(
        &mut self,
        action: &BulkAction,
        pauses: &[Pause],
    ) -> Result<i64, StoreError> {
        let is_paused = |class: Class| pauses.iter().any(|pause| pause.scope == class.as_str());
        let paused: Vec<String> = Stream::ALL
            .iter()
            .filter(|stream| is_paused(stream.class()))
            .map(ToString::to_string)
            .collect();
        Ok(sqlx::query_scalar!(
            r#"SELECT waiting_letters($1, $2, $3) AS "waiting!""#,
            action.batch_after,
            action.cursor_id,
            &paused,
        )
        .fetch_one(self.session())
        .await?)
    }

    async fn note_waiting(
        mut self,
        action: &BulkAction,
        waiting: i64,
    ) -> Result<BulkStep, StoreError> {
        if action.waiting != waiting {
            sqlx::query!(
                "UPDATE bulk_actions SET waiting = $3 WHERE tenant_id = $1 AND id = $2",
                action.tenant_id,
                action.id,
                waiting,
            )
            .execute(self.session())
            .await?;
            self.commit().await?;
        }
        Ok(BulkStep::Waits { streams: waiting })
    }

    /// The letters among the next ones that the filter means, and the last one of them all. `None` if no letter is behind it.
    async fn next_letters(
        &mut self,
        action: &BulkAction,
        limit: i32,
    ) -> Result<(Vec<Letter>, Option<Uuid>), StoreError> {
        let rows = sqlx::query!(
            r#"SELECT tenant_id AS "tenant_id!", id AS "id!", connection_id AS "connection_id!", stream AS "stream!",
                      is_meant AS "is_meant!"
               FROM bulk_letters($1, $2, $3, $4, $5, $6)"#,
            action.tenant().map(|tenant| tenant.0),
            action.stream,
            action.cause,
            action.requested_at,
            action.cursor_id,
            limit,
        )
        .fetch_all(self.session())
        .await?;
        let is_full = rows.len() == limit as usize;
        let last = rows.last().map(|row| row.id).filter(|_| is_full);
        let meant = rows.into_iter().filter(|row| row.is_meant);
        let mut batch: Vec<Letter> = meant
            .map(|row| Letter {
                tenant: row.tenant_id,
                connection: row.connection_id,
                stream: row.stream,
                id: row.id,
            })
            .collect();
        // Every transaction that locks several streams locks them in this order.
        batch.sort();
        Ok((batch, last))
    }

    async fn retry_letters(&mut self, batch: &[Letter]) -> Result<Vec<Due>, StoreError> {
        let (tenants, ids) = keys(batch);
        let rows = sqlx::query_as!(
            DueRow,
            r#"SELECT tenant_id AS "tenant_id!", connection_id AS "connection_id!", stream AS "stream!"
               FROM retry_letters($1, $2)"#,
            &tenants,
            &ids,
        )
        .fetch_all(self.session())
        .await?;
        dues(rows)
    }

    async fn drop_letters(&mut self, batch: &[Letter]) -> Result<i64, StoreError> {
        let (tenants, ids) = keys(batch);
        Ok(sqlx::query_scalar!(
            r#"SELECT drop_letters($1, $2) AS "dropped!""#,
            &tenants,
            &ids,
        )
        .fetch_one(self.session())
        .await?)
    }

    async fn move_bulk_cursor(
        &mut self,
        action: &BulkAction,
        last: Uuid,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE bulk_actions SET started_at = coalesce(started_at, now()), done = $3, skipped = $4, waiting = $5,
                    batch_after = cursor_id, cursor_id = $6
             WHERE tenant_id = $1 AND id = $2",
            action.tenant_id,
            action.id,
            action.done,
            action.skipped,
            action.waiting,
            last,
        )
        .execute(self.session())
        .await?;
        Ok(())
    }
}

/// Whether no work begins at all, so that nothing would take a batch.
fn is_all_paused(pauses: &[Pause]) -> bool {
    let is_paused = |scope: &str| pauses.iter().any(|pause| pause.scope == scope);
    is_paused("fleet") || Class::ALL.iter().all(|class| is_paused(class.as_str()))
}

fn keys(batch: &[Letter]) -> (Vec<Uuid>, Vec<Uuid>) {
    batch
        .iter()
        .map(|letter| (letter.tenant, letter.id))
        .unzip()
}
