//! The end of a life: repaired and exact, or ended for good.

use shared::domain::{Mode, Stream};

use super::{
    faults,
    machine::{Machine, Then, Wrong},
    plan::Disconnect,
};

impl Machine {
    /// Nothing breaks any more. Enough walks come to find what vanished. Then the copy is exact and says so.
    pub(super) async fn repair(&mut self) -> Result<(), Wrong> {
        self.case.world.simulator.clear_faults();
        self.trap = None;
        self.thaw().await?;
        if self.is_away {
            self.connect().await?;
        }
        self.case.workspace.release_scroll();
        self.restart().await;
        self.work_to_the_end().await?;
        for mode in [Mode::Full, Mode::Full, Mode::Incremental] {
            // What was changed in this very second is seen by the next walk.
            self.case.pass(5.0).await;
            self.request(mode, Stream::ALL).await;
            self.work_to_the_end().await?;
        }
        self.judge().await
    }

    /// The copy is exact and complete, and no call was made that no life breaks.
    pub(super) async fn judge(&mut self) -> Result<(), Wrong> {
        let report = self.case.compare(&self.case.workspace.truth()).await;
        if !report.is_exact() {
            return Err(format!("not exact: {report}"));
        }
        let status = self.case.status().await;
        if !status.complete {
            return Err(format!(
                "exact, and does not call itself complete: {status:#?}"
            ));
        }
        let ledger = self.case.world.simulator.ledger();
        if ledger.outside_read_list > 0 || ledger.version_missing > 0 {
            return Err(format!("calls that no reader makes: {ledger:?}"));
        }
        // The browser's two are on Intercom's own pages.
        let is_known = |name: &String| {
            name.starts_with("authorize") || faults::OPERATIONS.contains(&name.as_str())
        };
        if let Some(unknown) = ledger.by_operation.keys().find(|name| !is_known(name)) {
            return Err(format!("no life breaks {unknown}"));
        }
        Ok(())
    }

    /// The life's last step is this disconnect: where it says, or where there is nothing left to do.
    pub(super) async fn end(&mut self, last: Disconnect) -> Result<(), Wrong> {
        self.trap = None;
        let last = Disconnect {
            waits: true,
            ..last
        };
        if let Some(after) = last.after {
            self.set_trap(after, last.millis, Then::Disconnect(last));
            self.work_until_idle(100.0).await?;
        }
        if self.trap.take().is_some() || last.after.is_none() {
            self.disconnect(last, "disconnect").await?;
        }
        self.met.insert("last disconnect");
        self.stays_ended().await
    }
}
