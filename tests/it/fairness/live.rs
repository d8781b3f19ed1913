//! The real fleet on a real Redis: what a model cannot show.

mod cluster;
mod faults;
mod turns;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use redis::{Commands, Connection};
use servers::Servers;
use shared::{
    domain::{Class, ConnectionId, Secret, Stream, TenantId, Verdict},
    queue::{self, Fleet, Lease, PauseScope, Queue, Ticket},
    shutdown::Shutdown,
    telemetry,
};
use tokio::{sync::watch, task::JoinHandle};

use crate::support::{PATIENCE, servers};

/// A fleet that does what a closure says, and remembers what it did.
struct Jobs<F> {
    work: F,
    seen: Mutex<Vec<Lease>>,
    slices: AtomicUsize,
}

impl<F, A> Fleet for Jobs<F>
where
    F: Fn(Lease) -> A + Send + Sync + 'static,
    A: Future<Output = Verdict> + Send,
{
    async fn work(&self, lease: Lease) -> Verdict {
        self.seen.lock().unwrap().push(lease);
        let verdict = (self.work)(lease).await;
        self.slices.fetch_add(1, Ordering::Relaxed);
        verdict
    }
}

/// A worker of this process.
struct Worker<F> {
    jobs: Arc<Jobs<F>>,
    shutdown: Shutdown,
    running: JoinHandle<()>,
}

impl<F, A> Worker<F>
where
    F: Fn(Lease) -> A + Send + Sync + 'static,
    A: Future<Output = Verdict> + Send + 'static,
{
    fn start(queue: &Queue, slots: usize, work: F) -> Self {
        let jobs = Arc::new(Jobs {
            work,
            seen: Mutex::default(),
            slices: AtomicUsize::new(0),
        });
        let shutdown = Shutdown::new();
        let run = queue::run(queue.clone(), slots, jobs.clone(), shutdown.clone());
        let running = tokio::spawn(async move { run.await.unwrap() });
        Self {
            jobs,
            shutdown,
            running,
        }
    }

    fn slices(&self) -> usize {
        self.jobs.slices.load(Ordering::Relaxed)
    }

    fn seen(&self) -> Vec<Lease> {
        self.jobs.seen.lock().unwrap().clone()
    }

    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(
                begun.elapsed() < PATIENCE,
                "waited {PATIENCE:?} until {what}"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// SIGTERM.
    async fn stop(self) -> Vec<Lease> {
        self.shutdown.cancel();
        self.running.await.unwrap();
        self.jobs.seen.lock().unwrap().clone()
    }
}

/// A queue nobody else uses, in the shared Redis, and a connection that looks behind it.
fn shared_queue() -> (Queue, Connection, String) {
    open(servers())
}

fn open(servers: &Servers) -> (Queue, Connection, String) {
    let prefix = uuid::Uuid::now_v7().simple().to_string();
    let queue = Queue::open(&Secret::new(servers.redis_url()), &prefix).unwrap();
    (
        queue,
        redis::Client::open(servers.redis_url())
            .unwrap()
            .get_connection()
            .unwrap(),
        format!("{{{prefix}}}"),
    )
}

fn own_servers(redis_arguments: &[&str]) -> Servers {
    let redis_arguments = redis_arguments
        .iter()
        .map(|&argument| argument.to_owned())
        .collect();
    Servers::start(servers::Options {
        redis_arguments,
        ..Default::default()
    })
    .unwrap()
}

fn ticket(stream: Stream) -> Ticket {
    Ticket::new(TenantId::new(), ConnectionId::new(), stream)
}

fn tickets(count: usize, stream: Stream) -> Vec<Ticket> {
    (0..count).map(|_| ticket(stream)).collect()
}

/// One line of INFO.
fn info(redis: &mut Connection, section: &str, field: &str) -> u64 {
    let text: String = redis::cmd("INFO").arg(section).query(redis).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{field}:")))
        .unwrap_or("0");
    let number = line.strip_prefix("calls=").unwrap_or(line);
    number.split(',').next().unwrap().parse().unwrap()
}

/// Commands so far, those of scripts too.
fn all_commands(redis: &mut Connection) -> u64 {
    let text: String = redis::cmd("INFO").arg("commandstats").query(redis).unwrap();
    let calls = text.lines().filter_map(|line| {
        line.split_once(":calls=")?
            .1
            .split(',')
            .next()?
            .parse::<u64>()
            .ok()
    });
    calls.sum()
}

/// Calls of workers so far: scripts and waits.
fn calls(redis: &mut Connection) -> u64 {
    ["evalsha", "blpop"]
        .iter()
        .map(|name| info(redis, "commandstats", &format!("cmdstat_{name}")))
        .sum()
}

/// How often a command was called so far, also by scripts.
fn times(redis: &mut Connection, command: &str) -> u64 {
    info(redis, "commandstats", &format!("cmdstat_{command}"))
}

/// A slice that ends when it is told to.
async fn done_when(mut ends: watch::Receiver<bool>) -> Verdict {
    // Whoever would tell it may be gone, and the test with it.
    let _ = ends.wait_for(|ends| *ends).await;
    Verdict::Done
}

/// Waits until so many workers wait to be woken.
async fn until_waiting(redis: &mut Connection, workers: u64) {
    let begun = Instant::now();
    while info(redis, "clients", "blocked_clients") != workers {
        assert!(
            begun.elapsed() < PATIENCE,
            "{workers} workers do not wait at once"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn percentile(values: &mut [usize], percent: usize) -> usize {
    values.sort_unstable();
    values[(values.len() * percent / 100).min(values.len() - 1)]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verdict_does_what_it_says_and_nothing_is_left() {
    let (queue, mut redis, prefix) = shared_queue();
    let tickets = tickets(300, Stream::Contacts);
    assert_eq!(queue.push(&tickets).await.unwrap(), 300);
    assert_eq!(
        queue.push(&tickets).await.unwrap(),
        0,
        "one live ticket per connection and stream"
    );
    let times: Arc<Mutex<HashMap<Ticket, u32>>> = Arc::default();
    let worker = Worker::start(&queue, 8, move |lease| {
        let mut times = times.lock().unwrap();
        let time = times.entry(lease.ticket).or_default();
        *time += 1;
        let verdict = match *time {
            1 => Verdict::Requeue,
            2 => Verdict::Snooze(Duration::from_millis(300)),
            _ => Verdict::Done,
        };
        std::future::ready(verdict)
    });
    worker
        .until("all is done", |worker| worker.slices() == 900)
        .await;
    let seen = worker.stop().await;
    assert_eq!(seen.len(), 900);
    let mut fences: HashMap<Ticket, i64> = HashMap::new();
    for lease in seen {
        assert!(
            fences
                .insert(lease.ticket, lease.fence)
                .is_none_or(|before| before < lease.fence)
        );
        assert_eq!(lease.crashes, 0);
    }
    let stats = queue.stats().await.unwrap();
    assert_eq!(
        (stats.live, stats.leased, stats.parked, stats.oldest_fresh),
        (0, 0, 0, None)
    );
    let mut left: Vec<String> = redis
        .keys(format!("\\{prefix}:*").replace('}', "\\}"))
        .unwrap();
    left.retain(|key| {
        !["clock", "counts", "fence", "vtime:fresh", "wake:fresh"]
            .iter()
            .any(|name| key.ends_with(name))
    });
    assert_eq!(left, Vec::<String>::new(), "no key for an idle tenant");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_worker_is_woken_at_once_and_hardly_asks() {
    let servers = own_servers(&[]);
    let (queue, mut redis, _) = open(&servers);
    let worker = Worker::start(&queue, 4, |_| std::future::ready(Verdict::Done));
    for round in 0..60 {
        until_waiting(&mut redis, 1).await;
        let stream = if round % 2 == 0 {
            Stream::Threads
        } else {
            Stream::Contacts
        };
        queue.push(&[ticket(stream)]).await.unwrap();
        worker
            .until("it began", |worker| worker.slices() == round + 1)
            .await;
    }
    // Each wake-up ends a wait and begins the next; else one lasts five seconds.
    let woken = times(&mut redis, "blpop");
    assert!(
        woken >= 60,
        "woken {woken} times by 60 pushes: the others were found by the poll"
    );

    let (before, begun) = (calls(&mut redis), Instant::now());
    tokio::time::sleep(Duration::from_secs(5)).await;
    let per_second = (calls(&mut redis) - before) as f64 / begun.elapsed().as_secs_f64();
    eprintln!("idle: {per_second} calls a second");
    assert!(
        per_second < 2.5,
        "{per_second} calls a second by an idle worker"
    );
    // It goes round all the time, and is answered.
    let heartbeat = queue.heartbeat();
    let lately = |last: Option<Duration>| last.unwrap() < Duration::from_secs(2);
    worker
        .until("it goes round", |_| {
            lately(heartbeat.last_round()) && lately(heartbeat.last_answer())
        })
        .await;

    // A parked ticket's time is kept without asking for it.
    let begins: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let noted = begins.clone();
    worker.stop().await;
    let worker = Worker::start(&queue, 4, move |_| {
        let mut begins = noted.lock().unwrap();
        begins.push(Instant::now());
        std::future::ready(if begins.len() % 2 == 1 {
            Verdict::Snooze(Duration::from_millis(250))
        } else {
            Verdict::Done
        })
    });
    for round in 1..=5 {
        queue.push(&[ticket(Stream::Contacts)]).await.unwrap();
        worker
            .until("it ran twice", |worker| worker.slices() == 2 * round)
            .await;
    }
    let begins = begins.lock().unwrap().clone();
    let waits: Vec<Duration> = begins
        .as_chunks::<2>()
        .0
        .iter()
        .map(|[first, second]| *second - *first)
        .collect();
    assert!(
        waits
            .iter()
            .all(|waited| *waited >= Duration::from_millis(245)),
        "{waits:?}"
    );
    // A poll would find each a second later; a busy machine delays some.
    assert!(
        waits
            .iter()
            .any(|waited| *waited < Duration::from_millis(800)),
        "{waits:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slice_costs_few_calls() {
    let servers = own_servers(&[]);
    for (slots, count, most) in [(1, 300, 2.2), (32, 6_000, 0.3)] {
        let (queue, mut redis, _) = open(&servers);
        queue.push(&tickets(count, Stream::Contacts)).await.unwrap();
        let before = calls(&mut redis);
        let worker = Worker::start(&queue, slots, |_| std::future::ready(Verdict::Done));
        worker
            .until("all is done", |worker| worker.slices() == count)
            .await;
        worker.stop().await;
        let per_slice = (calls(&mut redis) - before) as f64 / count as f64;
        eprintln!("{slots} slots: {per_slice:.2} calls per slice");
        assert!(
            per_slice <= most,
            "{slots} slots: {per_slice} calls per slice"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_ours_is_refused_and_the_worker_lives() {
    let (queue, mut redis, prefix) = shared_queue();
    telemetry::metrics();
    let refused = |reason: &str| {
        let line = format!("pathbound_tickets_refused_total{{reason=\"{reason}\"}} ");
        let text = telemetry::metrics().render();
        text.lines()
            .find_map(|found| found.strip_prefix(&line)?.parse::<u64>().ok())
            .unwrap_or(0)
    };
    let reasons = ["garbled", "oversized", "version", "foreign"];
    let before = reasons.map(refused);
    let good = ticket(Stream::Contacts);
    let other = ticket(Stream::Contacts);
    let tenant = good.tenant;
    let unreadable = good.to_string().replace("/contacts", "/unknown");
    let first = format!("{prefix}:first:fresh");
    let _: () = redis
        .hset(first, tenant.to_string(), "+rubbish \u{0}\u{7f}")
        .unwrap();
    let rest = format!("{prefix}:rest:fresh:{tenant}");
    for entry in [
        "x".repeat(100_000),
        good.to_string().replacen('1', "2", 1),
        format!("0,0,{other}"),
        other.to_string(),
        format!("0,0,{unreadable}"),
    ] {
        let _: () = redis.rpush(&rest, entry).unwrap();
    }
    let _: () = redis
        .hset(format!("{prefix}:tickets"), &unreadable, "ready")
        .unwrap();
    let _: () = redis.rpush(&rest, b"\xff\xfe\x00").unwrap();
    let _: () = redis
        .zadd(format!("{prefix}:ring:fresh"), tenant.to_string(), 0)
        .unwrap();
    let _: () = redis
        .zadd(format!("{prefix}:ring:fresh"), "nobody", 0)
        .unwrap();
    for member in ["garbage", "2/fresh/later", &"y".repeat(500)] {
        let _: () = redis.zadd(format!("{prefix}:parked"), member, 1).unwrap();
        let _: () = redis.zadd(format!("{prefix}:leases"), member, 1).unwrap();
    }
    // A state of another version of these scripts: swept, and made anew by the next push.
    let odd = ticket(Stream::Threads);
    let _: () = redis
        .hset(
            format!("{prefix}:tickets"),
            odd.to_string(),
            "state/of/another/kind",
        )
        .unwrap();
    queue.push(&[good, odd]).await.unwrap();
    let worker = Worker::start(&queue, 4, |_| std::future::ready(Verdict::Done));
    worker
        .until("the good one is worked", |worker| worker.slices() == 1)
        .await;
    let begun = Instant::now();
    while queue.push(&[odd]).await.unwrap() == 0 {
        assert!(begun.elapsed() < PATIENCE, "the odd one is never swept");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    worker
        .until("the odd one is worked", |worker| worker.slices() == 2)
        .await;
    let count = || -> Vec<u64> {
        reasons
            .into_iter()
            .zip(before)
            .map(|(reason, before)| refused(reason) - before)
            .collect()
    };
    worker
        .until("all are refused", |_| count().iter().sum::<u64>() >= 10)
        .await;
    let seen = worker.stop().await;
    assert_eq!(
        seen.iter().map(|lease| lease.ticket).collect::<Vec<_>>(),
        [good, odd]
    );
    let counted = count();
    // The turn: rubbish, bytes, and one that only Rust can tell; two copies of another tenant's. Parked: one of each.
    assert_eq!(counted, [4, 2, 2, 2], "{reasons:?}");
    let stats = queue.stats().await.unwrap();
    assert_eq!(
        (stats.live, stats.leased, stats.parked, stats.fresh_tenants),
        (0, 0, 0, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn paused_work_waits_and_resumed_work_goes_on() {
    let (queue, _, _) = shared_queue();
    let worker = Worker::start(&queue, 4, |_| std::future::ready(Verdict::Done));
    let threads = ticket(Stream::Threads);
    let contacts = ticket(Stream::Contacts);
    let mut expected = 0;
    for (scope, held, free) in [
        (
            PauseScope::Tenant(threads.tenant),
            vec![threads],
            vec![contacts],
        ),
        (
            PauseScope::Class(Class::Backfill),
            vec![threads],
            vec![contacts],
        ),
        (PauseScope::Fleet, vec![threads, contacts], vec![]),
    ] {
        queue.pause(&[scope]).await.unwrap();
        assert_eq!(queue.paused().await.unwrap(), [scope]);
        queue.push(&held).await.unwrap();
        queue.push(&free).await.unwrap();
        expected += free.len();
        worker
            .until("the free ones are worked", |worker| {
                worker.slices() == expected
            })
            .await;
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        assert_eq!(worker.slices(), expected, "{scope} is paused");
        assert_eq!(queue.stats().await.unwrap().live, held.len() as u64);
        // As a rebuild does: the truth says that nothing is paused.
        queue.set_paused(&[]).await.unwrap();
        expected += held.len();
        worker
            .until("the held ones are worked", |worker| {
                worker.slices() == expected
            })
            .await;
    }
    queue
        .set_paused(&[PauseScope::Fleet, PauseScope::Tenant(threads.tenant)])
        .await
        .unwrap();
    queue
        .set_paused(&[PauseScope::Tenant(threads.tenant)])
        .await
        .unwrap();
    assert_eq!(
        queue.paused().await.unwrap(),
        [PauseScope::Tenant(threads.tenant)]
    );
}
