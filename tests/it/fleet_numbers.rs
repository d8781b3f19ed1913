//! What one scheduler measures of the whole fleet, and what every role exports from its start.

use std::collections::BTreeSet;

use intercom_simulator::Fault;
use scheduler::FleetWatch;
use servers::Relay;
use shared::{
    autoscale::{FleetNumbers, Pool},
    config::ProcessRole,
    domain::Stream,
    pacing::Pacing,
    telemetry,
};
use tokio::task::JoinHandle;

use crate::{
    operations::{fail_for_good, workspace},
    support::{Process, World, own_redis, tiny, wait_for},
};

/// The measuring part of a scheduler, in a task.
struct Watcher {
    recorder: telemetry::FleetRecorder,
    task: JoinHandle<()>,
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Watcher {
    async fn start(world: &World) -> Self {
        // Often, so that a test need not wait.
        let world = world.otherwise(&[("FLEET_INTERVAL", "300ms")]);
        let pacing = Pacing::open(&world.config).unwrap();
        let store = world.scheduler_store().await;
        let watch = FleetWatch::new(&world.config, store, world.queue.clone(), pacing);
        Self {
            recorder: watch.recorder(),
            task: tokio::spawn(async move { watch.run().await }),
        }
    }

    /// The value of a series, if it is exported now.
    fn value(&self, series: &str) -> Option<f64> {
        let text = self.recorder.render();
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("{series} ")))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    fn tenants(&self, state: &str) -> Option<f64> {
        self.value(&format!("pathbound_tenants{{state=\"{state}\"}}"))
    }

    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        wait_for(what, async || {
            holds(self)
                .then_some(())
                .ok_or_else(|| self.recorder.render())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fleet_is_counted_as_postgres_has_it() {
    let world = World::with(&[("FRESHNESS_TARGET", "1h")]).await;
    // Never connected, connected and not read, and three that are read.
    world.new_tenant().await;
    let fleet = world.fleet(1);
    let behind = world.case(workspace(1)).await.synced().await;
    let dead = world.case(workspace(2)).await.synced().await;
    let good = world.case(workspace(3)).await.synced().await;
    fleet.stop().await;
    let unread = world.connect(workspace(4)).await;
    behind.read_last(Stream::Contacts, 7_200.0).await;
    dead.make_due(&[Stream::Companies]).await;
    fail_for_good(&dead, Stream::Companies, "status 503", 1 << 60).await;
    let watcher = Watcher::start(&world).await;
    watcher
        .until("the fleet is measured", |watcher| {
            watcher.tenants("behind") == Some(1.0)
        })
        .await;
    for (state, count) in [
        ("unconnected", 1.0),
        ("first_sync", 1.0),
        ("up_to_date", 2.0),
        ("behind", 1.0),
        ("paused", 0.0),
        ("blocked", 0.0),
        ("error", 0.0),
        ("reauth_required", 0.0),
        ("disconnected", 0.0),
    ] {
        assert_eq!(watcher.tenants(state), Some(count), "{state}");
    }
    assert_eq!(watcher.value("pathbound_dead_letters"), Some(1.0));
    assert_eq!(watcher.value("pathbound_thread_backlog"), Some(0.0));
    let lag = watcher.value("pathbound_freshness_seconds").unwrap();
    assert!((7_200.0..7_800.0).contains(&lag), "{lag}");
    // Every state of a tenant that stands still for a reason of its own.
    world.pause_in_postgres(&good.tenant.to_string()).await;
    behind.put_in_state("reauth_required").await;
    unread.put_in_state("disconnected").await;
    watcher
        .until("the states change", |watcher| {
            let states = [
                "paused",
                "reauth_required",
                "disconnected",
                "up_to_date",
                "behind",
            ];
            states.map(|state| watcher.tenants(state)) == [1.0, 1.0, 1.0, 1.0, 0.0].map(Some)
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn threads_that_wait_are_counted_and_ask_for_workers() {
    let world = World::new().await;
    let case = world.case(tiny()).await;
    case.inject(Fault::status(503).operation("get_conversation"));
    let case = case.connect().await;
    let fleet = world.fleet(1);
    case.until("threads wait", |status| status.threads.pending > 0)
        .await;
    // It measures the fleet as well, and a scheduler that ends gives the watch up at once.
    fleet.stop().await;
    let pending = case.status().await.threads.pending;
    let watcher = Watcher::start(&world).await;
    watcher
        .until("all threads are in the backlog", |watcher| {
            watcher.value("pathbound_thread_backlog") == Some(pending as f64)
        })
        .await;
    watcher
        .until("workers are asked for", |watcher| {
            Pool::ALL.iter().all(|pool| {
                let series = format!(
                    "pathbound_autoscale_desired_workers{{pool=\"{}\"}}",
                    pool.as_str()
                );
                watcher.value(&series) == Some(1.0)
            })
        })
        .await;
    let told = world.queue.fleet_numbers().await.unwrap().unwrap();
    let numbers = FleetNumbers::read(&told);
    assert!(
        Pool::ALL
            .iter()
            .all(|pool| numbers.decision(*pool).is_some()),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_scheduler_measures_and_another_takes_over() {
    let world = World::new().await;
    world.new_tenant().await;
    let first = Watcher::start(&world).await;
    first
        .until("it measures", |first| {
            first.tenants("unconnected") == Some(1.0)
        })
        .await;
    let second = Watcher::start(&world).await;
    first
        .until("it decides", |first| {
            first
                .value("pathbound_autoscale_desired_workers{pool=\"all\"}")
                .is_some()
        })
        .await;
    assert_eq!(second.recorder.render(), "", "two schedulers measure");
    // As a killed one, which leaves nothing and says nothing more.
    first.task.abort();
    second
        .until("it takes over", |second| {
            second.tenants("unconnected") == Some(1.0)
        })
        .await;
    assert_eq!(first.recorder.render(), "", "what ended is still exported");
    // Its first measurement decides, because the state of the first one is there.
    let decided = second.value("pathbound_autoscale_desired_workers{pool=\"all\"}");
    assert_eq!(decided, Some(1.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_exported_while_redis_is_away() {
    let redis = own_redis(&[]);
    let relay = Relay::start(&format!("127.0.0.1:{}", redis.port())).unwrap();
    let world = World::with(&[("REDIS_URL", &relay.of_url(&redis.url()))]).await;
    world.new_tenant().await;
    let watcher = Watcher::start(&world).await;
    watcher
        .until("it measures", |watcher| {
            watcher.tenants("unconnected").is_some()
        })
        .await;
    relay.refuse();
    relay.cut();
    watcher
        .until("it ends", |watcher| watcher.recorder.render().is_empty())
        .await;
    relay.forward();
    watcher
        .until("it is back", |watcher| {
            watcher.tenants("unconnected").is_some()
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_exports_its_counters_from_the_start() {
    let mut world = World::new().await;
    for (command, role) in [
        ("api", ProcessRole::Api),
        ("scheduler", ProcessRole::Scheduler),
        ("worker", ProcessRole::Worker),
    ] {
        let (process, address) = world.listening(command);
        Process::until_ready(&address).await;
        let text = scrape(&address).await;
        let counters = counters(&text);
        let expected: BTreeSet<String> = telemetry::series_of(role).into_iter().collect();
        assert_eq!(counters, expected, "{command}");
        drop(process);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_counter_has_a_series_that_was_not_there_at_the_start() {
    let mut world = World::new().await;
    let (process, address) = world.listening("all");
    Process::until_ready(&address).await;
    let case = world.case(tiny()).await.synced().await;
    case.inject(Fault::status(500).operation("search_contacts").times(1));
    case.poll().await;
    let text = scrape(&address).await;
    let expected: BTreeSet<String> = telemetry::series_of(ProcessRole::All).into_iter().collect();
    assert_eq!(counters(&text), expected);
    let slices = "pathbound_slices_finished_total{stream=\"contacts\",outcome=\"done\"} ";
    let done = text.lines().find_map(|line| line.strip_prefix(slices));
    assert!(done.is_some_and(|count| count != "0"), "{text}");
    drop(process);
}

async fn scrape(address: &str) -> String {
    let url = format!("http://{address}/metrics");
    reqwest::get(url).await.unwrap().text().await.unwrap()
}

/// The series of counters of a role. The upkeep's comes with its first round, and that of the fleet with a measurement.
fn counters(text: &str) -> BTreeSet<String> {
    let series = text.lines().filter(|line| !line.starts_with('#'));
    let series = series
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(series, _)| series);
    series
        .filter(|series| {
            series
                .split('{')
                .next()
                .is_some_and(|name| name.ends_with("_total"))
        })
        .filter(|series| !series.starts_with("pathbound_metrics_") && !series.contains("freshness"))
        .map(str::to_owned)
        .collect()
}
