//! What a test waits for.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use intercom_simulator::{FaultId, Kind};
use shared::{
    completeness::{StreamStatus, SyncStatus},
    domain::Stream,
    store::ConnectionState,
};

use super::Case;

/// Longer than anything here should take. A test that waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// Asks again and again until there is an answer. The last reason why there was none is shown when patience ends.
pub(crate) async fn wait_for<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<T, String>) -> T {
    let begun = Instant::now();
    let mut pause = Duration::from_millis(5);
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(not_yet) => assert!(
                begun.elapsed() < PATIENCE,
                "waited {PATIENCE:?} until {what}: {not_yet}"
            ),
        }
        tokio::time::sleep(pause).await;
        // Short waits end at once, and long ones do not keep the machine from what they wait for.
        pause = (pause * 3 / 2).min(Duration::from_millis(80));
    }
}

/// The status of one stream.
pub(crate) fn of(status: &SyncStatus, stream: Stream) -> &StreamStatus {
    status
        .streams
        .iter()
        .find(|status| status.stream == stream)
        .expect("every stream has a status")
}

impl Case {
    /// Waits until the copy calls itself complete.
    pub(crate) async fn until_complete(&self) {
        self.until("the copy is complete", |status| status.complete)
            .await;
    }

    /// Waits until none of these streams is due, without a question of the product's own.
    pub(crate) async fn until_not_due(&self, streams: &[Stream]) {
        wait_for("the streams are not due", async || {
            let mut due = self.due().await;
            due.retain(|stream| streams.contains(stream));
            if due.is_empty() {
                Ok(())
            } else {
                Err(format!("{due:?}"))
            }
        })
        .await;
    }

    /// Waits until something holds of the sync status.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&SyncStatus) -> bool) {
        wait_for(what, async || {
            let status = self.status().await;
            if holds(&status) {
                Ok(())
            } else {
                Err(format!("{status:#?}"))
            }
        })
        .await;
    }

    /// Waits until every walk has ended and no thread is pending.
    pub(crate) async fn until_walked(&self) {
        self.until("every walk has ended, and no thread is pending", |status| {
            status.threads.pending == 0 && status.streams.iter().all(|of| of.last_ok_at.is_some())
        })
        .await;
    }

    /// Waits until a walk of the stream has ended after this time.
    pub(crate) async fn until_walked_after(&self, stream: Stream, time: Option<DateTime<Utc>>) {
        self.until("a walk has ended", |status| {
            of(status, stream).last_ok_at > time
        })
        .await;
    }

    /// Waits until a stream is blocked.
    pub(crate) async fn until_blocked(&self, stream: Stream) {
        self.until("the stream is blocked", |status| {
            of(status, stream).blocked.is_some()
        })
        .await;
    }

    /// Waits until no run of the connection is open.
    pub(crate) async fn until_run_ends(&self) {
        wait_for("no run is open", async || {
            let open = self.open_runs().await;
            if open.is_empty() {
                Ok(())
            } else {
                Err(format!("{open:?}"))
            }
        })
        .await;
    }

    /// Waits until no more than `most` slices of the connection are under way or about to be. A call that comes once
    /// there are none was caused by something newer.
    pub(crate) async fn until_slices(&self, most: usize) {
        let connection = self.connection().to_string();
        wait_for("slices have ended", async || {
            let mut tickets = self.world.live_tickets().await;
            tickets.retain(|ticket| ticket.contains(&connection));
            if tickets.len() <= most {
                Ok(())
            } else {
                Err(format!("more than {most}: {tickets:?}"))
            }
        })
        .await;
    }

    /// Waits until the connection is in a state.
    pub(crate) async fn until_state(&self, state: ConnectionState) {
        wait_for("the connection changes its state", async || {
            let connection = self.connection_row().await;
            if connection.state == state {
                Ok(())
            } else {
                Err(format!("not {state:?}: {connection:#?}"))
            }
        })
        .await;
    }

    /// Waits until a call has met the fault.
    pub(crate) async fn until_hit(&self, fault: FaultId) {
        self.until_hits(fault, 1).await;
    }

    /// Waits until this many calls have met the fault.
    pub(crate) async fn until_hits(&self, fault: FaultId, least: u64) {
        wait_for("calls meet the fault", async || match self.hits(fault) {
            hits if hits >= least => Ok(()),
            hits => Err(format!("{hits} of {least} did")),
        })
        .await;
    }

    /// Waits until an object is stored.
    pub(crate) async fn until_held(&self, kind: Kind, id: &str) {
        wait_for("the object is stored", async || {
            let kept = self.kept(kind).await;
            if kept.iter().any(|kept| kept.id == id) {
                Ok(())
            } else {
                Err(format!("{} others are", kept.len()))
            }
        })
        .await;
    }

    /// Waits until a stream has failed, and returns its error.
    pub(crate) async fn until_error(&self, stream: Stream) -> String {
        wait_for("the stream has an error", async || {
            let error = self.last_error(stream).await;
            error.ok_or_else(|| "it has none".to_owned())
        })
        .await
    }
}
