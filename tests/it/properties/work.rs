//! Slices: each by another worker's lease, killed or stopped where a trap is.

use std::time::Duration;

use shared::{
    domain::{Stream, Verdict},
    intercom::Intercom,
    store::SliceKey,
    sync::SliceOutcome,
};
use tokio::task::JoinHandle;

use super::machine::{Machine, Then, Trap, Wrong};

/// Longer waits than this are a day's or a poll's.
const WAITED_FOR: f64 = 1_800.0;
/// A machine that needs more slices than this until nothing is due would go on for ever.
const MOST_SLICES: u32 = 600;

impl Machine {
    /// Slices of these streams at once, each by another worker's lease.
    pub(super) async fn work(&mut self, streams: &[Stream]) -> Result<Vec<SliceOutcome>, Wrong> {
        let mut tasks: Vec<JoinHandle<SliceOutcome>> = Vec::new();
        for stream in streams {
            self.fence += 1;
            self.slices += 1;
            let key = SliceKey {
                tenant: self.case.tenant,
                connection: self.case.connection(),
                stream: *stream,
                fence: self.fence,
            };
            let context = self.context.clone();
            tasks.push(tokio::spawn(
                async move { worker::work(&context, key, 0).await },
            ));
        }
        while let Some(Trap { hang, then }) = self.trap
            && tasks.iter().any(|task| !task.is_finished())
        {
            if self.case.hits(hang) > 0 {
                self.trap = None;
                self.spring(then, tasks).await?;
                return Ok(Vec::new());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut outcomes = Vec::new();
        for task in tasks {
            let outcome = task.await;
            outcomes.push(outcome.map_err(|panic| format!("a slice panicked: {panic}"))?);
        }
        Ok(outcomes)
    }

    /// A call hangs, and this happens meanwhile.
    async fn spring(
        &mut self,
        then: Then,
        tasks: Vec<JoinHandle<SliceOutcome>>,
    ) -> Result<(), Wrong> {
        match then {
            Then::Kill => {
                self.met.insert("kill");
                for task in tasks {
                    task.abort();
                    // Its transaction is rolled back before the next one may begin.
                    let _ = task.await;
                }
                self.restart().await;
            }
            Then::Freeze => {
                self.met.insert("freeze");
                self.frozen.extend(tasks);
            }
            Then::Disconnect(how) => {
                self.frozen.extend(tasks);
                self.disconnect(how, "disconnect under way").await?;
            }
        }
        Ok(())
    }

    /// Works until nothing is due, and for no longer than so many seconds of waiting. True when nothing was left.
    pub(super) async fn work_until_idle(&mut self, seconds: f64) -> Result<bool, Wrong> {
        let mut waited = 0.0;
        let begun = self.slices;
        loop {
            let due = self.case.due().await;
            if due.is_empty() {
                let Some(next) = self
                    .case
                    .next_due_in()
                    .await
                    .filter(|next| *next < WAITED_FOR)
                else {
                    return Ok(true);
                };
                if waited + next > seconds {
                    return Ok(false);
                }
                let next = next.max(0.0) + 0.01;
                waited += next;
                self.case.pass(next).await;
                continue;
            }
            // In the order of the data, one at a time, or all of them: both are how fleets work.
            let at_once = if self.slices.is_multiple_of(3) {
                due.len()
            } else {
                1
            };
            let outcomes = self.work(&due[..at_once]).await?;
            if seconds.is_finite() && self.slices - begun > 60 {
                return Ok(false);
            }
            if self.slices - begun > MOST_SLICES {
                let status = self.case.status().await;
                return Err(format!("something is always due: {status:#?}"));
            }
            let waits = outcomes
                .iter()
                .any(|outcome| matches!(outcome.verdict, Verdict::Snooze(_)));
            if waits && self.case.due().await == due {
                // The rate budget or the breaker holds it back. Their time is Redis' and cannot be moved.
                self.case.pass(10.0).await;
                self.restart().await;
            }
        }
    }

    /// Works until nothing is due, however long that takes.
    pub(super) async fn work_to_the_end(&mut self) -> Result<(), Wrong> {
        self.slices = 0;
        self.work_until_idle(f64::INFINITY).await.map(|_| ())
    }

    /// The stopped workers go on, under leases that others have had since.
    pub(super) async fn thaw(&mut self) -> Result<(), Wrong> {
        for task in std::mem::take(&mut self.frozen) {
            task.await
                .map_err(|panic| format!("a stopped slice panicked: {panic}"))?;
        }
        Ok(())
    }

    /// Another worker process, and a Redis that knows nothing.
    pub(super) async fn restart(&mut self) {
        self.case.world.empty_redis().await;
        self.context.intercom = Intercom::new(&self.case.world.config).expect("an http client");
    }
}
