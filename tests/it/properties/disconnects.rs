//! The end of a connection, as the product backend asks for it. From its answer on nothing is written, Intercom is not
//! asked, and no token is left, whichever worker still has a slice of it.

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
use crate::support::{Caller, Digest, wait_for};

/// Tables that a purge leaves rows in: that there was a connection, how it was connected, who did so, and that its objects
/// are removed.
const AFTER_A_PURGE: &[&str] = &[
    "audit_events",
    "changes",
    "connections",
    "feeds",
    "oauth_flows",
    "streams",
];

/// One API for all lives: it knows them by their tenants, and asks no Intercom.
async fn api() -> &'static str {
    static API: OnceCell<String> = OnceCell::const_new();
    API.get_or_init(|| async { servers().await.api().await })
        .await
}

impl Machine {
    /// Ends the connection, now, and looks that it has ended.
    pub(super) async fn disconnect(
        &mut self,
        how: Disconnect,
        name: &'static str,
    ) -> Result<(), Wrong> {
        let caller = Caller::service(&self.case.world, api().await, Some(self.case.tenant));
        let data = match how.data {
            AfterDisconnect::Retain => "retain",
            AfterDisconnect::Purge => "purge",
        };
        let path = format!("/v1/connections/{}?data={data}", self.case.connection());
        let (status, said) = caller.call(Method::DELETE, &path, None).await;
        if status != 202 || said["state"] != "disconnected" {
            return Err(format!("the end was answered with {status} {said}"));
        }
        let asked = self.case.all_calls();
        self.is_away = true;
        self.met.insert(name);
        self.nothing_is_left().await?;
        if how.data == AfterDisconnect::Purge {
            self.until_purged().await;
            self.met.insert("purge");
        }
        let held = self.case.digests().await;
        if how.data == AfterDisconnect::Purge
            && let Some(left) = held
                .iter()
                .find(|(table, rows, _)| *rows > 0 && !AFTER_A_PURGE.contains(&table.as_str()))
        {
            return Err(format!("a purge left {left:?}"));
        }
        let listed = self.case.listed_changes().await;
        if how.data == AfterDisconnect::Purge && listed != 0 {
            return Err(format!("the feed lists {listed} objects after a purge"));
        }
        if how.waits {
            self.thaw().await?;
            // A slice that had begun may finish its batch, and no other begins.
            let more = self.case.all_calls() - asked;
            if more > self.case.world.config.conversations_per_slice as u64 {
                return Err(format!("{more} calls after the end was answered"));
            }
            self.unchanged(&held).await?;
        }
        Ok(())
    }

    /// After the last step: no worker goes on, a late ticket finds nothing to do, and time changes nothing.
    pub(super) async fn stays_ended(&mut self) -> Result<(), Wrong> {
        self.thaw().await?;
        self.restart().await;
        // Longer than any wait, lease or poll.
        self.case.pass(100_000.0).await;
        let (held, asked) = (self.case.digests().await, self.case.all_calls());
        for _ in 0..2 {
            // As tickets that were left in Redis.
            let outcomes = self.work(Stream::ALL).await?;
            if !outcomes
                .iter()
                .all(|outcome| outcome.verdict == Verdict::Done || outcome.stale_fence.is_some())
            {
                return Err(format!("there is something left to do: {outcomes:?}"));
            }
        }
        self.nothing_is_left().await?;
        let more = self.case.all_calls() - asked;
        if more > 0 {
            return Err(format!("{more} calls for a connection that has ended"));
        }
        self.unchanged(&held).await
    }

    /// No token, no stream that is ever due, no open run.
    async fn nothing_is_left(&mut self) -> Result<(), Wrong> {
        let left = self.case.signs_of_life().await;
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("left after the end: {left:?}"))
        }
    }

    async fn until_purged(&self) {
        wait_for("the purge has ended", async || {
            let is_open = self.case.is_being_purged().await;
            (!is_open)
                .then_some(())
                .ok_or_else(|| "it is open".to_owned())
        })
        .await;
    }

    async fn unchanged(&mut self, held: &[Digest]) -> Result<(), Wrong> {
        let now = self.case.digests().await;
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
}
