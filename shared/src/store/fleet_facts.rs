//! What one scheduler measures of the whole fleet, a page of tenants at a time. See `migrations/0047_fleet_facts.sql`.

use std::time::Duration;

use uuid::Uuid;

use super::{Store, StoreError, roles::Scheduler};

/// Tenants by state, and sums over all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FleetFacts {
    /// Tenants whose lag is at most the target.
    pub up_to_date: i64,
    /// Tenants whose lag is longer.
    pub behind: i64,
    /// Tenants whose contacts or conversations were never read to the end.
    pub first_sync: i64,
    /// Tenants of whose contacts or conversations Intercom refuses something.
    pub blocked: i64,
    pub reauth_required: i64,
    pub error: i64,
    pub paused: i64,
    pub disconnected: i64,
    /// Tenants that never connected a workspace.
    pub unconnected: i64,
    /// Open dead letters.
    pub dead_letters: i64,
    /// Threads to be fetched.
    pub thread_backlog: i64,
    /// The lag of the tenant that is furthest behind, in seconds, among those that are up to date or behind.
    pub longest_lag: f64,
}

impl FleetFacts {
    /// The label `state` of `pathbound_tenants`, and how many tenants are in it.
    #[must_use]
    pub const fn states(&self) -> [(&'static str, i64); 9] {
        [
            ("up_to_date", self.up_to_date),
            ("behind", self.behind),
            ("first_sync", self.first_sync),
            ("blocked", self.blocked),
            ("reauth_required", self.reauth_required),
            ("error", self.error),
            ("paused", self.paused),
            ("disconnected", self.disconnected),
            ("unconnected", self.unconnected),
        ]
    }

    /// Adds the tenants of another page.
    pub fn add(&mut self, page: &Self) {
        self.up_to_date += page.up_to_date;
        self.behind += page.behind;
        self.first_sync += page.first_sync;
        self.blocked += page.blocked;
        self.reauth_required += page.reauth_required;
        self.error += page.error;
        self.paused += page.paused;
        self.disconnected += page.disconnected;
        self.unconnected += page.unconnected;
        self.dead_letters += page.dead_letters;
        self.thread_backlog += page.thread_backlog;
        self.longest_lag = self.longest_lag.max(page.longest_lag);
    }
}

impl Store<Scheduler> {
    /// The facts of the `page_size` tenants behind one, by their ids, and the last of them. `None` if no tenant is behind
    /// it. A tenant whose lag is at most `target` is up to date.
    ///
    /// # Errors
    /// When Postgres fails.
    #[tracing::instrument(name = "db.fleet_facts", level = "debug", skip_all)]
    pub async fn fleet_facts(
        &self,
        after: Uuid,
        page_size: i32,
        target: Duration,
    ) -> Result<(FleetFacts, Option<Uuid>), StoreError> {
        let mut tx = self.begin_for_all().await?;
        let page = sqlx::query!(
            r#"SELECT next_tenant, up_to_date AS "up_to_date!", behind AS "behind!", first_sync AS "first_sync!",
                      blocked AS "blocked!", reauth_required AS "reauth_required!", error AS "error!", paused AS "paused!",
                      disconnected AS "disconnected!", unconnected AS "unconnected!", dead_letters AS "dead_letters!",
                      thread_backlog AS "thread_backlog!", longest_lag AS "longest_lag!"
               FROM fleet_facts($1, $2, make_interval(secs => $3))"#,
            after,
            page_size,
            target.as_secs_f64(),
        )
        .fetch_one(tx.session())
        .await?;
        let facts = FleetFacts {
            up_to_date: page.up_to_date,
            behind: page.behind,
            first_sync: page.first_sync,
            blocked: page.blocked,
            reauth_required: page.reauth_required,
            error: page.error,
            paused: page.paused,
            disconnected: page.disconnected,
            unconnected: page.unconnected,
            dead_letters: page.dead_letters,
            thread_backlog: page.thread_backlog,
            longest_lag: page.longest_lag,
        };
        Ok((facts, page.next_tenant))
    }
}
