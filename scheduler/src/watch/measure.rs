//! One measurement of the fleet: what Postgres, the queue and the rate ledger say.

use std::time::Duration;

use shared::{
    autoscale::{Bound, Budgets, ClassReading, FleetNumbers, Pool, Sample},
    domain::Class,
    pacing::{FleetWindow, Pacing},
    queue::{ClassMinute, Minute, PauseScope, Queue, QueueStats, TicketCounts},
    store::{FleetFacts, SchedulerStore},
};
use uuid::Uuid;

use crate::{SchedulerError, step::within};

/// Tenants that one statement reads. It takes some ten milliseconds.
const PAGE_SIZE: i32 = 1_000;
/// Minutes over which the time of slices is counted.
const MINUTES: u32 = 10;
/// Rate windows that are read.
const WINDOWS: i64 = 3;
/// Seconds of a rate window.
const WINDOW_SECONDS: f64 = 10.0;

/// How soon the waiting work of each class should have ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drains {
    pub(super) fresh: Duration,
    pub(super) backfill: Duration,
}

/// What was read at one time.
#[derive(Debug)]
pub(crate) struct Measured {
    facts: FleetFacts,
    fresh: ClassReading,
    backfill: ClassReading,
    budgets: Budgets,
}

impl Measured {
    pub(super) async fn read(
        store: &SchedulerStore,
        queue: &Queue,
        pacing: &Pacing,
        freshness_target: Duration,
    ) -> Result<Self, SchedulerError> {
        let facts = read_facts(store, freshness_target).await?;
        let stats = queue.stats().await?;
        let minutes = queue.minutes(MINUTES).await?;
        let paused = queue.paused().await?;
        let windows = pacing.fleet_windows(WINDOWS).await?;
        let is_paused = |class| {
            let scopes = [PauseScope::Fleet, PauseScope::Class(class)];
            scopes.iter().any(|scope| paused.contains(scope))
        };
        let reading = |class, of: fn(&Minute) -> ClassMinute| {
            if is_paused(class) {
                return ClassReading::default();
            }
            read_class(class, &stats, minutes.iter().map(of))
        };
        let mut backfill = reading(Class::Backfill, |minute| minute.backfill);
        backfill.outstanding_calls = Some(if is_paused(Class::Backfill) {
            0.0
        } else {
            facts.thread_backlog as f64
        });
        Ok(Self {
            facts,
            fresh: reading(Class::Fresh, |minute| minute.fresh),
            backfill,
            budgets: read_budgets(&windows),
        })
    }

    /// The measurement of each pool.
    pub(super) fn samples(&self, since: Duration, drains: Drains) -> [(Pool, Sample); 3] {
        let of = |class: &ClassReading, drain: Duration| {
            Sample::of(
                class,
                self.budgets,
                since.as_secs_f64(),
                drain.as_secs_f64(),
            )
        };
        let fresh = of(&self.fresh, drains.fresh);
        let backfill = of(&self.backfill, drains.backfill);
        [
            (Pool::All, fresh.and(backfill)),
            (Pool::Fresh, fresh),
            (Pool::Backfill, backfill),
        ]
    }

    /// Writes the metrics of the whole fleet. `counted` is the time since the measurement before, if this scheduler made it.
    pub(super) fn export(&self, numbers: &FleetNumbers, counted: Option<Duration>) {
        let facts = &self.facts;
        metrics::gauge!("pathbound_thread_backlog").set(facts.thread_backlog as f64);
        metrics::gauge!("pathbound_dead_letters").set(facts.dead_letters as f64);
        metrics::gauge!("pathbound_freshness_seconds").set(facts.longest_lag);
        for (state, count) in facts.states() {
            metrics::gauge!("pathbound_tenants", "state" => state).set(count as f64);
        }
        let seconds = counted.unwrap_or_default().as_secs_f64();
        for (within, tenants) in [("true", facts.up_to_date), ("false", facts.behind)] {
            let tenant_seconds = (tenants as f64 * seconds).round() as u64;
            metrics::counter!("pathbound_freshness_tenant_seconds_total", "within" => within)
                .increment(tenant_seconds);
        }
        Pool::ALL
            .iter()
            .for_each(|pool| export_pool(*pool, numbers));
    }
}

fn export_pool(pool: Pool, numbers: &FleetNumbers) {
    let Some(decision) = numbers.decision(pool) else {
        return;
    };
    let pool = pool.as_str();
    metrics::gauge!("pathbound_autoscale_desired_workers", "pool" => pool)
        .set(f64::from(decision.workers));
    metrics::gauge!("pathbound_autoscale_needed_slots", "pool" => pool).set(decision.needed_slots);
    metrics::gauge!("pathbound_autoscale_runnable_slots", "pool" => pool).set(decision.fed_slots);
    for bound in Bound::ALL {
        metrics::gauge!("pathbound_autoscale_pool_bound", "pool" => pool, "bound" => bound.as_str())
            .set(f64::from(u8::from(bound == decision.bound)));
    }
}

/// The facts of all tenants, a page at a time.
async fn read_facts(
    store: &SchedulerStore,
    freshness_target: Duration,
) -> Result<FleetFacts, SchedulerError> {
    let (mut facts, mut after) = (FleetFacts::default(), Uuid::nil());
    loop {
        let page = store.fleet_facts(after, PAGE_SIZE, freshness_target);
        let (page, last) = within(page).await?;
        facts.add(&page);
        match last {
            Some(last) => after = last,
            None => return Ok(facts),
        }
    }
}

fn read_class(
    class: Class,
    stats: &QueueStats,
    minutes: impl Iterator<Item = ClassMinute>,
) -> ClassReading {
    let (counts, tenants, streams): (TicketCounts, u64, u64) = match class {
        Class::Fresh => (stats.fresh, stats.fresh_tenants, 4),
        Class::Backfill => (stats.backfill, stats.backfill_tenants, 1),
    };
    let mut reading = ClassReading {
        // Tickets of paused tenants count as ready, and their tenants are in no ring.
        ready: counts.ready.min(tenants * streams) as f64,
        leased: counts.leased as f64,
        parked: counts.parked as f64,
        ..ClassReading::default()
    };
    for minute in minutes {
        reading.slices += minute.slices as f64;
        reading.calls += minute.calls as f64;
        reading.held_seconds += minute.held.as_secs_f64();
    }
    reading
}

fn read_budgets(windows: &[FleetWindow]) -> Budgets {
    let mut read = Budgets::default();
    for window in windows {
        read.budgets += window.budgets as f64;
        read.calls_per_second += window.allowed as f64 / WINDOW_SECONDS;
    }
    read
}
