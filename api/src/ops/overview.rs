//! The fleet at a glance.

use std::time::Duration;

use axum::{Json, extract::State};
use chrono::{DateTime, TimeDelta, Utc};
use shared::{
    autoscale::{Decision, Pool},
    domain::TenantId,
    pacing::{BudgetUse, FleetWindow},
    queue::{FleetWorker, Minute},
    store::FleetCounts,
};

use super::{
    bounded::COUNT_CAP,
    fleet_views::{
        BudgetView, ConnectionCountsView, CountView, FleetPartView, FurthestView, MinuteView,
        OverviewView, PartView, PoolView, QueuePartView, RatePartView, RateWindowView, WorkerView,
    },
    operator::Operator,
    snapshot::{FleetReading, QueueReading, Reading},
    tenant_names::set_names,
    views::{ClassView, PauseView},
};
use crate::error::ApiError;

/// A ticket that is ready for longer than this while no slice runs is not waiting for its turn.
const STALLED_AFTER: Duration = Duration::from_secs(30);

/// Budgets at their limit that are named.
const AT_LIMIT: usize = 20;

/// `GET /ops/overview`
pub(super) async fn show(State(operator): State<Operator>) -> Result<Json<OverviewView>, ApiError> {
    Ok(Json(read(&operator).await))
}

/// The overview of this moment, or of the last moment at which the servers answered.
pub(super) async fn read(operator: &Operator) -> OverviewView {
    let (queue, fleet, rate) = tokio::join!(
        operator.snapshot.queue(&operator.queue),
        operator.snapshot.fleet(&operator.store),
        operator.snapshot.rate(&operator.pacing)
    );
    let now = Utc::now();
    let queue = part(queue, now, queue_part);
    let fleet = part(fleet, now, fleet_part);
    let (state, sentence) = judge(&queue, &fleet);
    OverviewView {
        state: state.to_owned(),
        sentence,
        queue,
        fleet,
        rate: part(rate, now, |windows| rate_part(windows)),
    }
}

fn part<T, V>(reading: Reading<T>, now: DateTime<Utc>, view: impl Fn(&T) -> V) -> PartView<V> {
    let (value, read_at) = reading.value.unzip();
    let age = read_at.map(|at| (now - at).max(TimeDelta::zero()));
    PartView {
        read_at,
        age_seconds: age.map(|age| age.num_milliseconds() as f64 / 1_000.0),
        fault: reading.fault,
        data: value.as_deref().map(view),
    }
}

fn queue_part(reading: &QueueReading) -> QueuePartView {
    QueuePartView {
        tickets: reading.stats.live,
        classes: (&reading.stats).into(),
        workers: reading.workers.iter().map(worker).collect(),
        minutes: reading.minutes.iter().map(minute).collect(),
        pools: Pool::ALL
            .iter()
            .filter_map(|pool| Some(pool_view(*pool, reading.numbers.decision(*pool)?)))
            .collect(),
    }
}

fn pool_view(pool: Pool, decision: Decision) -> PoolView {
    PoolView {
        pool: pool.as_str().to_owned(),
        desired_workers: decision.workers,
        bound: decision.bound.as_str().to_owned(),
        sentence: decision.bound.sentence().to_owned(),
        needed_slots: decision.needed_slots,
        fed_slots: decision.fed_slots,
    }
}

fn rate_part(windows: &[FleetWindow]) -> RatePartView {
    let at_limit = windows.first().map_or(&[][..], |last| &last.at_limit);
    RatePartView {
        windows: windows.iter().map(rate_window).collect(),
        at_limit: at_limit.iter().take(AT_LIMIT).map(budget).collect(),
        at_limit_count: at_limit.len() as u64,
    }
}

const fn rate_window(window: &FleetWindow) -> RateWindowView {
    RateWindowView {
        ends_at: window.ends_at,
        budgets: window.budgets,
        calls: window.calls,
        allowed: window.allowed,
    }
}

fn budget(of: &BudgetUse) -> BudgetView {
    BudgetView {
        budget: of.budget.clone(),
        calls: of.calls,
        used: of.used,
        allowed: of.allowed,
    }
}

const fn minute(minute: &Minute) -> MinuteView {
    MinuteView {
        at: minute.at,
        slices: minute.slices,
        failures: minute.failures,
        calls: minute.calls,
    }
}

fn worker(worker: &FleetWorker) -> WorkerView {
    let report = &worker.report;
    WorkerView {
        name: worker.name.clone(),
        host: report.host.clone(),
        process: report.process,
        version: report.version.clone(),
        pool: report.pool.to_string(),
        slots: report.slots,
        busy: report.busy,
        draining: report.draining,
        uptime_seconds: report.uptime_seconds,
        silence_seconds: worker.silence.as_secs_f64(),
    }
}

fn fleet_part(reading: &FleetReading) -> FleetPartView {
    let FleetCounts {
        tenants,
        active,
        reauth_required,
        error,
        disconnected,
        dead_letters,
        unticketed,
        oldest_unticketed_at,
        latest_tenant,
        latest_read_at,
    } = reading.counts.clone();
    let (mut paused, paused_more) = PauseView::listed(&reading.pauses);
    set_names(&reading.names, &mut paused);
    let mut furthest_behind = latest_tenant.map(|tenant| FurthestView {
        tenant_id: TenantId(tenant),
        tenant_name: None,
        last_read_at: latest_read_at,
    });
    set_names(&reading.names, &mut furthest_behind);
    FleetPartView {
        tenants: capped(tenants),
        connections: ConnectionCountsView {
            active: capped(active),
            reauth_required: capped(reauth_required),
            error: capped(error),
            disconnected: capped(disconnected),
        },
        dead_letters: capped(dead_letters),
        unticketed: capped(unticketed),
        oldest_unticketed_at,
        furthest_behind,
        paused,
        paused_more,
    }
}

/// A count that ended at one more than the cap.
pub(super) fn capped(count: i64) -> CountView {
    let cap = i64::from(COUNT_CAP);
    CountView {
        count: count.min(cap),
        more: count > cap,
    }
}

/// One word for the fleet, and a sentence. The earliest broken link of the chain comes first.
fn judge(
    queue: &PartView<QueuePartView>,
    fleet: &PartView<FleetPartView>,
) -> (&'static str, String) {
    if let Some(fault) = &fleet.fault {
        return ("unknown", format!("Postgres does not answer: {fault}."));
    }
    if let Some(fault) = &queue.fault {
        return ("unknown", format!("Redis does not answer: {fault}."));
    }
    let (Some(queue), Some(fleet)) = (&queue.data, &fleet.data) else {
        return ("unknown", "Nothing was read yet.".to_owned());
    };
    if fleet.paused.iter().any(|pause| pause.scope == "fleet") {
        let sentence = "The whole fleet is paused, so no new work starts.";
        return ("paused", sentence.to_owned());
    }
    if let Some(sentence) = stalled(queue, fleet) {
        return ("stalled", sentence);
    }
    let classes = [queue.classes.fresh, queue.classes.backfill];
    let running: u64 = classes.iter().map(|class| class.leased).sum();
    let ready: u64 = classes.iter().map(|class| class.ready).sum();
    if running + ready == 0 {
        return ("idle", "Nothing is due.".to_owned());
    }
    // A paused tenant is in no ring.
    if running == 0 && open_classes(queue, fleet).all(|(_, class)| class.tenants == 0) {
        let sentence = "What is ready belongs to a class or to tenants that are paused.";
        return ("paused", sentence.to_owned());
    }
    let slices = match running {
        1 => "1 slice runs".to_owned(),
        running => format!("{running} slices run"),
    };
    (
        "running",
        format!("{slices}, and {ready} tickets are ready."),
    )
}

/// Why work that is due does not go on, if no part of it does.
fn stalled(queue: &QueuePartView, fleet: &FleetPartView) -> Option<String> {
    let overdue = fleet
        .oldest_unticketed_at
        .and_then(|at| (Utc::now() - at).to_std().ok())
        .filter(|overdue| *overdue > STALLED_AFTER);
    if let Some(overdue) = overdue {
        return Some(format!(
            "No scheduler makes tickets: a stream is due since {} s and has none.",
            overdue.as_secs()
        ));
    }
    if let Some(sentence) = without_workers(queue, fleet) {
        return Some(sentence);
    }
    let is_any_leased = queue.classes.fresh.leased + queue.classes.backfill.leased > 0;
    let oldest = open_classes(queue, fleet)
        .filter_map(|(_, class)| class.oldest_ready_age_seconds)
        .fold(0.0, f64::max);
    if is_any_leased || oldest <= STALLED_AFTER.as_secs_f64() {
        return None;
    }
    let ready: u64 = open_classes(queue, fleet)
        .map(|(_, class)| class.ready)
        .sum();
    Some(if queue.workers.iter().all(|worker| worker.draining) {
        format!("No worker takes work, and {ready} tickets are ready.")
    } else {
        format!("No slice runs although workers are there, and {ready} tickets are ready.")
    })
}

/// Which class stands still because every worker takes the other one.
fn without_workers(queue: &QueuePartView, fleet: &FleetPartView) -> Option<String> {
    let takes = |class: &str| {
        let pools = queue.workers.iter().filter(|worker| !worker.draining);
        // A worker of an earlier version names no pool and takes all.
        pools
            .map(|worker| worker.pool.as_str())
            .any(|pool| pool == class || pool == "all" || pool.is_empty())
    };
    let (name, class) = open_classes(queue, fleet).find(|(name, class)| {
        let age = class.oldest_ready_age_seconds.unwrap_or_default();
        class.leased == 0 && age > STALLED_AFTER.as_secs_f64() && !takes(name)
    })?;
    let is_any_working = queue.workers.iter().any(|worker| !worker.draining);
    is_any_working.then(|| {
        let ready = class.ready;
        format!("No worker takes tickets of the class {name}, and {ready} are ready. Start one with worker_pool = \"{name}\" or \"all\".")
    })
}

/// The classes that are not paused.
fn open_classes(
    queue: &QueuePartView,
    fleet: &FleetPartView,
) -> impl Iterator<Item = (&'static str, ClassView)> {
    [
        ("fresh", queue.classes.fresh),
        ("backfill", queue.classes.backfill),
    ]
    .into_iter()
    .filter(|(name, _)| fleet.paused.iter().all(|pause| pause.scope != *name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::views::ClassesView;

    fn part_of<T>(data: Option<T>, fault: Option<&str>) -> PartView<T> {
        PartView {
            read_at: None,
            age_seconds: None,
            fault: fault.map(str::to_owned),
            data,
        }
    }

    const fn class(ready: u64, leased: u64, age: Option<f64>) -> ClassView {
        ClassView {
            leased,
            oldest_ready_age_seconds: age,
            parked: 0,
            ready,
            tenants: ready,
        }
    }

    fn queue(fresh: ClassView, workers: &[bool]) -> QueuePartView {
        let worker = |draining: &bool| WorkerView {
            name: "worker".to_owned(),
            host: "host".to_owned(),
            process: 1,
            version: "1".to_owned(),
            pool: "all".to_owned(),
            slots: 4,
            busy: 0,
            draining: *draining,
            uptime_seconds: 1,
            silence_seconds: 1.0,
        };
        QueuePartView {
            tickets: fresh.ready,
            classes: ClassesView {
                backfill: class(0, 0, None),
                fresh,
            },
            workers: workers.iter().map(worker).collect(),
            minutes: Vec::new(),
            pools: Vec::new(),
        }
    }

    fn fleet(paused: &[&str], overdue_seconds: Option<i64>) -> FleetPartView {
        let none = capped(0);
        FleetPartView {
            tenants: none,
            connections: ConnectionCountsView {
                active: none,
                reauth_required: none,
                error: none,
                disconnected: none,
            },
            dead_letters: none,
            unticketed: none,
            oldest_unticketed_at: overdue_seconds.map(|ago| Utc::now() - TimeDelta::seconds(ago)),
            furthest_behind: None,
            paused: paused
                .iter()
                .map(|scope| PauseView {
                    scope: (*scope).to_owned(),
                    tenant_name: None,
                    reason: None,
                    paused_at: DateTime::UNIX_EPOCH,
                    operator: None,
                })
                .collect(),
            paused_more: false,
        }
    }

    fn of_backfill_only(mut queue: QueuePartView) -> QueuePartView {
        for worker in &mut queue.workers {
            worker.pool = "backfill".to_owned();
        }
        queue
    }

    #[test]
    fn the_earliest_broken_link_comes_first() {
        let waiting = class(3, 0, Some(60.0));
        let said = |queue: QueuePartView, fleet: FleetPartView| {
            let (state, sentence) = judge(&part_of(Some(queue), None), &part_of(Some(fleet), None));
            format!("{state}: {sentence}\n")
        };
        let mut lines = vec![
            said(queue(waiting, &[]), fleet(&["fleet"], Some(90))),
            said(queue(waiting, &[]), fleet(&["backfill"], Some(90))),
            said(queue(waiting, &[false]), fleet(&["fresh"], None)),
            said(queue(waiting, &[]), fleet(&[], None)),
            said(queue(waiting, &[true]), fleet(&[], None)),
            said(queue(waiting, &[true, false]), fleet(&[], Some(3))),
            said(of_backfill_only(queue(waiting, &[false])), fleet(&[], None)),
            said(queue(class(3, 1, Some(60.0)), &[false]), fleet(&[], None)),
            said(queue(class(3, 2, Some(1.0)), &[false]), fleet(&[], None)),
            said(queue(class(0, 0, None), &[]), fleet(&[], None)),
        ];
        let away = judge(
            &part_of(Some(queue(waiting, &[])), Some("away")),
            &part_of(Some(fleet(&[], None)), None),
        );
        lines.push(format!("{}: {}\n", away.0, away.1));
        insta::assert_snapshot!(lines.concat(), @r#"
        paused: The whole fleet is paused, so no new work starts.
        stalled: No scheduler makes tickets: a stream is due since 90 s and has none.
        paused: What is ready belongs to a class or to tenants that are paused.
        stalled: No worker takes work, and 3 tickets are ready.
        stalled: No worker takes work, and 3 tickets are ready.
        stalled: No slice runs although workers are there, and 3 tickets are ready.
        stalled: No worker takes tickets of the class fresh, and 3 are ready. Start one with worker_pool = "fresh" or "all".
        running: 1 slice runs, and 3 tickets are ready.
        running: 2 slices run, and 3 tickets are ready.
        idle: Nothing is due.
        unknown: Redis does not answer: away.
        "#);
    }

    #[test]
    fn a_count_ends_at_its_cap() {
        let counts = [0, 10_000, 10_001].map(|count| (capped(count).count, capped(count).more));
        assert_eq!(counts, [(0, false), (10_000, false), (10_000, true)]);
    }
}
