//! The end of a connection, as the product backend asks for it: from its answer on nothing is written, nobody is
//! asked, and no token is left, whoever still works for it.

use std::time::{Duration, Instant};

use reqwest::Method;
use shared::{
    domain::{Stream, Verdict},
    store::AfterDisconnect,
};
use tokio::sync::OnceCell;

use super::{
    machine::{Machine, Wrong},
    plan::Disconnect,
    servers,
};
use crate::{rest::Caller, world::PATIENCE};

/// Tables that a purge leaves rows in: that there was a connection, and how it was connected.
const AFTER_A_PURGE: &[&str] = &["connections", "oauth_flows", "streams"];

/// One API for all lives: it knows them by their tenants, and asks no Intercom.
async fn api() -> &'static str {
    static API: OnceCell<String> = OnceCell::const_new();
    API.get_or_init(|| async { servers().await.api().await })
        .await
}

/// A table, its rows of the tenant, and what they are, each with the transaction that wrote it.
type Held = Vec<(String, i64, String)>;

impl Machine {
    /// Ends the connection, now, and looks that it has ended.
    pub(super) async fn disconnect(
        &mut self,
        how: Disconnect,
        name: &'static str,
    ) -> Result<(), Wrong> {
        let caller = Caller::service(&self.world, api().await, Some(self.connected.tenant));
        let data = match how.data {
            AfterDisconnect::Retain => "retain",
            AfterDisconnect::Purge => "purge",
        };
        let path = format!("/v1/connections/{}?data={data}", self.connected.connection);
        let (status, said) = caller.call(Method::DELETE, &path, None).await;
        if status != 202 || said["state"] != "disconnected" {
            return Err(format!("the end was answered with {status} {said}"));
        }
        let asked = self.workspace.ledger().total;
        self.is_away = true;
        self.met.insert(name);
        self.nothing_is_owed().await?;
        if how.data == AfterDisconnect::Purge {
            self.until_purged().await;
            self.met.insert("purge");
        }
        let held = self.held().await;
        if how.data == AfterDisconnect::Purge
            && let Some(left) = held
                .iter()
                .find(|(table, rows, _)| *rows > 0 && !AFTER_A_PURGE.contains(&table.as_str()))
        {
            return Err(format!("a purge left {left:?}"));
        }
        if how.waits {
            self.thaw().await?;
            // A slice that had begun may finish its batch, and no other begins.
            let more = self.workspace.ledger().total - asked;
            if more > self.world.config.conversations_per_slice as u64 {
                return Err(format!("{more} calls after the end was answered"));
            }
            self.unchanged(&held).await?;
        }
        Ok(())
    }

    /// After the last step: whoever worked has stopped, whoever comes late finds nothing to do, time changes nothing.
    pub(super) async fn stays_ended(&mut self) -> Result<(), Wrong> {
        self.thaw().await?;
        self.start_again().await;
        // Longer than any wait, lease or poll.
        self.pass(100_000.0).await;
        let (held, asked) = (self.held().await, self.workspace.ledger().total);
        for _ in 0..2 {
            // As tickets that were left in Redis.
            let outcomes = self.slices(Stream::ALL).await?;
            if !outcomes
                .iter()
                .all(|outcome| outcome.verdict == Verdict::Done || outcome.stale_fence.is_some())
            {
                return Err(format!("there is something left to do: {outcomes:?}"));
            }
        }
        self.nothing_is_owed().await?;
        let more = self.workspace.ledger().total - asked;
        if more > 0 {
            return Err(format!("{more} calls for a connection that has ended"));
        }
        self.unchanged(&held).await
    }

    /// No token, no stream that is ever due, no open run.
    async fn nothing_is_owed(&mut self) -> Result<(), Wrong> {
        let owed: Vec<String> = sqlx::query_scalar(
            "SELECT 'the token ' || purpose FROM connection_secrets WHERE connection_id = $1
             UNION ALL SELECT stream || ' is due at ' || due_at FROM streams WHERE connection_id = $1 AND due_at IS NOT NULL
             UNION ALL SELECT 'a run is ' || status FROM sync_runs WHERE connection_id = $1 AND finished_at IS NULL
             UNION ALL SELECT 'the connection is ' || state FROM connections WHERE id = $1 AND state <> 'disconnected'",
        )
        .bind(self.connected.connection.0)
        .fetch_all(&mut self.admin)
        .await
        .expect("postgres answers");
        if owed.is_empty() {
            Ok(())
        } else {
            Err(format!("left after the end: {owed:?}"))
        }
    }

    async fn until_purged(&mut self) {
        let begun = Instant::now();
        while sqlx::query_scalar(
            "SELECT purge_requested_at IS NOT NULL FROM connections WHERE id = $1",
        )
        .bind(self.connected.connection.0)
        .fetch_one(&mut self.admin)
        .await
        .expect("postgres answers")
        {
            assert!(begun.elapsed() < PATIENCE, "the purge does not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn unchanged(&mut self, held: &Held) -> Result<(), Wrong> {
        let now = self.held().await;
        let changed: Vec<_> = held
            .iter()
            .zip(&now)
            .filter(|(then, now)| then != now)
            .collect();
        if changed.is_empty() {
            Ok(())
        } else {
            Err(format!("written after the end: {changed:?}"))
        }
    }

    /// Every row of every table of the tenant, as one digest a table: what a table to come holds is watched too.
    async fn held(&mut self) -> Held {
        let tables: Vec<String> = sqlx::query_scalar(
            "SELECT c.table_name::text FROM information_schema.columns c
             JOIN information_schema.tables t USING (table_schema, table_name)
             WHERE c.table_schema = 'public' AND c.column_name = 'tenant_id' AND t.table_type = 'BASE TABLE' ORDER BY 1",
        )
        .fetch_all(&mut self.admin)
        .await
        .expect("postgres answers");
        assert!(tables.len() > 15, "{tables:?}");
        let digests: Vec<String> = tables
            .iter()
            .map(|table| {
                format!(
                    "SELECT '{table}', count(*), coalesce(md5(string_agg(line, ' ' ORDER BY line)), '')
                     FROM (SELECT md5(row::text) || row.xmin AS line FROM {table} AS row WHERE tenant_id = $1) AS lines"
                )
            })
            .collect();
        sqlx::query_as(sqlx::AssertSqlSafe(
            digests.join(" UNION ALL ") + " ORDER BY 1",
        ))
        .bind(self.connected.tenant.0)
        .fetch_all(&mut self.admin)
        .await
        .expect("postgres answers")
    }
}
