//! What a test waits for, and what it then finds.

use std::time::{Duration, Instant};

use intercom_simulator::TruthLine;
use pathbound::exact::compare;
use shared::{completeness::SyncStatus, store::ConnectionState};

use super::{Connected, PATIENCE, World};

impl World {
    /// Waits until the copy calls itself complete.
    pub(crate) async fn until_complete(&self, connected: &Connected) {
        let begun = Instant::now();
        loop {
            let status = self.status(connected).await;
            if status.complete {
                return;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "not complete after {PATIENCE:?}: {status:#?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until something holds of the sync status.
    pub(crate) async fn until(
        &self,
        connected: &Connected,
        what: &str,
        holds: impl Fn(&SyncStatus) -> bool,
    ) {
        let begun = Instant::now();
        loop {
            let status = self.status(connected).await;
            if holds(&status) {
                return;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "waited {PATIENCE:?} until {what}: {status:#?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Compares every record with the simulator's truth, field by field.
    pub(crate) async fn assert_exact(&self, connected: &Connected) {
        self.assert_exact_with(connected, &connected.workspace.truth())
            .await;
    }

    /// Compares with a truth of the test's own making.
    pub(crate) async fn assert_exact_with(&self, connected: &Connected, truth: &[TruthLine]) {
        let report = compare(&self.store, connected.tenant, connected.connection, truth)
            .await
            .expect("it compares");
        assert!(report.records > 0, "nothing was compared");
        assert!(report.is_exact(), "{report}");
        assert_eq!(
            self.simulator.ledger().outside_read_list,
            0,
            "intercom is only ever read"
        );
    }

    /// Waits until no run of the connection is open.
    pub(crate) async fn until_run_ends(&self, connected: &Connected) {
        let begun = Instant::now();
        while !self
            .sql("SELECT id::text, status FROM sync_runs WHERE connection_id = $1 AND finished_at IS NULL", connected)
            .await
            .is_empty()
        {
            assert!(begun.elapsed() < PATIENCE, "the run does not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until no more than so many slices of the connection are under way or about to be. Whoever calls once there
    /// are none was made to by something newer.
    pub(crate) async fn until_slices(&self, connected: &Connected, most: usize) {
        let mut redis = self.redis().await;
        let connection = connected.connection.to_string();
        let begun = Instant::now();
        loop {
            // Ready and leased ones; what waits for a time is elsewhere.
            let mut tickets: Vec<String> = redis::cmd("HKEYS")
                .arg(format!("{{{}}}:tickets", self.config.redis_prefix))
                .query_async(&mut redis)
                .await
                .expect("redis answers");
            tickets.retain(|ticket| ticket.contains(&connection));
            if tickets.len() <= most {
                return;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "more than {most} slices after {PATIENCE:?}: {tickets:?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the connection is in a state.
    pub(crate) async fn until_state(&self, connected: &Connected, state: ConnectionState) {
        let begun = Instant::now();
        loop {
            let connection = self
                .store
                .connection(connected.tenant, connected.connection)
                .await
                .expect("postgres answers")
                .expect("the connection");
            if connection.state == state {
                return;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "waited for {state:?}: {connection:#?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
