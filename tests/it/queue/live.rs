//! The real fleet on a real Redis: what a model cannot show.

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
    domain::{Class, ConnectionId, Secret, Stream, TenantId},
    queue::{self, Fleet, Lease, PauseScope, Queue, Ticket, Verdict},
    shutdown::Shutdown,
    telemetry,
};
use tokio::task::JoinHandle;

use crate::world::{PATIENCE, servers};

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
        let jobs = Arc::new(Jobs { work, seen: Mutex::default(), slices: AtomicUsize::new(0) });
        let shutdown = Shutdown::new();
        let run = queue::run(queue.clone(), slots, jobs.clone(), shutdown.clone());
        let running = tokio::spawn(async move { run.await.unwrap() });
        Self { jobs, shutdown, running }
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
            assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} until {what}");
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
    (queue, redis::Client::open(servers.redis_url()).unwrap().get_connection().unwrap(), format!("{{{prefix}}}"))
}

fn own_servers(redis_arguments: &[&str]) -> Servers {
    let redis_arguments = redis_arguments.iter().map(|&argument| argument.to_owned()).collect();
    Servers::start(servers::Options { redis_arguments, ..Default::default() }).unwrap()
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
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{field}:"))).unwrap_or("0");
    let number = line.strip_prefix("calls=").unwrap_or(line);
    number.split(',').next().unwrap().parse().unwrap()
}

/// Commands so far, those of scripts too.
fn all_commands(redis: &mut Connection) -> u64 {
    let text: String = redis::cmd("INFO").arg("commandstats").query(redis).unwrap();
    let calls = text.lines().filter_map(|line| line.split_once(":calls=")?.1.split(',').next()?.parse::<u64>().ok());
    calls.sum()
}

/// Calls of workers so far: scripts and waits.
fn calls(redis: &mut Connection) -> u64 {
    ["evalsha", "blpop"].iter().map(|name| info(redis, "commandstats", &format!("cmdstat_{name}"))).sum()
}

/// How often a command was called so far, also by scripts.
fn times(redis: &mut Connection, command: &str) -> u64 {
    info(redis, "commandstats", &format!("cmdstat_{command}"))
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
    assert_eq!(queue.push(&tickets).await.unwrap(), 0, "one live ticket per connection and stream");
    let times: Arc<Mutex<HashMap<Ticket, u32>>> = Arc::default();
    let worker = Worker::start(&queue, 8, move |lease| {
        let mut times = times.lock().unwrap();
        let time = times.entry(lease.ticket).or_default();
        *time += 1;
        let verdict = match *time {
            1 => Verdict::More,
            2 => Verdict::Wait(Duration::from_millis(300)),
            _ => Verdict::Done,
        };
        std::future::ready(verdict)
    });
    worker.until("all is done", |worker| worker.slices() == 900).await;
    let seen = worker.stop().await;
    assert_eq!(seen.len(), 900);
    let mut fences: HashMap<Ticket, i64> = HashMap::new();
    for lease in seen {
        assert!(fences.insert(lease.ticket, lease.fence).is_none_or(|before| before < lease.fence));
        assert_eq!(lease.crashes, 0);
    }
    let depth = queue.depth().await.unwrap();
    assert_eq!((depth.live, depth.leased, depth.parked, depth.oldest_fresh), (0, 0, 0, None));
    let mut left: Vec<String> = redis.keys(format!("\\{prefix}:*").replace('}', "\\}")).unwrap();
    left.retain(|key| {
        !["clock", "counts", "fence", "vtime:fresh", "wake:fresh"].iter().any(|name| key.ends_with(name))
    });
    assert_eq!(left, Vec::<String>::new(), "no key for an idle tenant");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_worker_is_woken_at_once_and_hardly_asks() {
    let servers = own_servers(&[]);
    let (queue, mut redis, _) = open(&servers);
    let worker = Worker::start(&queue, 4, |_| std::future::ready(Verdict::Done));
    tokio::time::sleep(Duration::from_millis(300)).await;
    for round in 0..60 {
        let stream = if round % 2 == 0 { Stream::Threads } else { Stream::Contacts };
        queue.push(&[ticket(stream)]).await.unwrap();
        worker.until("it began", |worker| worker.slices() == round + 1).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Each wake-up ends a wait and begins the next; else one lasts five seconds.
    let woken = times(&mut redis, "blpop");
    assert!(woken >= 50, "woken {woken} times by 60 pushes: the others were found by the poll");

    let before = calls(&mut redis);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let per_second = (calls(&mut redis) - before) as f64 / 5.0;
    eprintln!("idle: {per_second} calls a second");
    assert!(per_second < 2.5, "{per_second} calls a second by an idle worker");
    let progress = queue.progress();
    assert!(progress.last_round().unwrap() < Duration::from_secs(2));
    assert!(progress.last_answer().unwrap() < Duration::from_secs(2));

    // A parked ticket's time is kept without asking for it.
    let begins: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let noted = begins.clone();
    worker.stop().await;
    let worker = Worker::start(&queue, 4, move |_| {
        let mut begins = noted.lock().unwrap();
        begins.push(Instant::now());
        std::future::ready(if begins.len() % 2 == 1 {
            Verdict::Wait(Duration::from_millis(250))
        } else {
            Verdict::Done
        })
    });
    for round in 1..=5 {
        queue.push(&[ticket(Stream::Contacts)]).await.unwrap();
        worker.until("it ran twice", |worker| worker.slices() == 2 * round).await;
    }
    let begins = begins.lock().unwrap().clone();
    let waits: Vec<Duration> = begins.as_chunks::<2>().0.iter().map(|[first, second]| *second - *first).collect();
    assert!(waits.iter().all(|waited| *waited >= Duration::from_millis(245)), "{waits:?}");
    // A poll would find each a second later; a busy machine delays some.
    assert!(waits.iter().any(|waited| *waited < Duration::from_millis(800)), "{waits:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slice_costs_few_calls() {
    let servers = own_servers(&[]);
    for (slots, count, most) in [(1, 300, 2.2), (32, 6_000, 0.3)] {
        let (queue, mut redis, _) = open(&servers);
        queue.push(&tickets(count, Stream::Contacts)).await.unwrap();
        let before = calls(&mut redis);
        let worker = Worker::start(&queue, slots, |_| std::future::ready(Verdict::Done));
        worker.until("all is done", |worker| worker.slices() == count).await;
        worker.stop().await;
        let per_slice = (calls(&mut redis) - before) as f64 / count as f64;
        eprintln!("{slots} slots: {per_slice:.2} calls per slice");
        assert!(per_slice <= most, "{slots} slots: {per_slice} calls per slice");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_ours_is_refused_and_the_worker_lives() {
    let (queue, mut redis, prefix) = shared_queue();
    telemetry::metrics();
    let refused = |reason: &str| {
        let line = format!("pathbound_tickets_refused_total{{reason=\"{reason}\"}} ");
        let text = telemetry::metrics().render();
        text.lines().find_map(|found| found.strip_prefix(&line)?.parse::<u64>().ok()).unwrap_or(0)
    };
    let reasons = ["garbled", "oversized", "version", "foreign"];
    let before = reasons.map(refused);
    let good = ticket(Stream::Contacts);
    let other = ticket(Stream::Contacts);
    let tenant = good.tenant;
    let unreadable = good.to_string().replace("/contacts", "/unknown");
    let first = format!("{prefix}:first:fresh");
    let _: () = redis.hset(first, tenant.to_string(), "+rubbish \u{0}\u{7f}").unwrap();
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
    let _: () = redis.hset(format!("{prefix}:tickets"), &unreadable, "ready").unwrap();
    let _: () = redis.rpush(&rest, b"\xff\xfe\x00").unwrap();
    let _: () = redis.zadd(format!("{prefix}:ring:fresh"), tenant.to_string(), 0).unwrap();
    let _: () = redis.zadd(format!("{prefix}:ring:fresh"), "nobody", 0).unwrap();
    for member in ["garbage", "2/fresh/later", &"y".repeat(500)] {
        let _: () = redis.zadd(format!("{prefix}:parked"), member, 1).unwrap();
        let _: () = redis.zadd(format!("{prefix}:leases"), member, 1).unwrap();
    }
    // A state of another version of these scripts: swept, and made anew by the next push.
    let odd = ticket(Stream::Threads);
    let _: () = redis.hset(format!("{prefix}:tickets"), odd.to_string(), "state/of/another/kind").unwrap();
    queue.push(&[good, odd]).await.unwrap();
    let worker = Worker::start(&queue, 4, |_| std::future::ready(Verdict::Done));
    worker.until("the good one is worked", |worker| worker.slices() == 1).await;
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    queue.push(&[odd]).await.unwrap();
    worker.until("the odd one is worked", |worker| worker.slices() == 2).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let seen = worker.stop().await;
    assert_eq!(seen.iter().map(|lease| lease.ticket).collect::<Vec<_>>(), [good, odd]);
    let counted: Vec<u64> = reasons.into_iter().zip(before).map(|(reason, before)| refused(reason) - before).collect();
    // The turn: rubbish, bytes, and one that only Rust can tell; two copies of another tenant's. Parked: one of each.
    assert_eq!(counted, [4, 2, 2, 2], "{reasons:?}");
    let depth = queue.depth().await.unwrap();
    assert_eq!((depth.live, depth.leased, depth.parked, depth.fresh_tenants), (0, 0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn paused_work_waits_and_resumed_work_goes_on() {
    let (queue, _, _) = shared_queue();
    let worker = Worker::start(&queue, 4, |_| std::future::ready(Verdict::Done));
    let threads = ticket(Stream::Threads);
    let contacts = ticket(Stream::Contacts);
    let mut expected = 0;
    for (scope, held, free) in [
        (PauseScope::Tenant(threads.tenant), vec![threads], vec![contacts]),
        (PauseScope::Class(Class::Backfill), vec![threads], vec![contacts]),
        (PauseScope::Fleet, vec![threads, contacts], vec![]),
    ] {
        queue.pause(&[scope]).await.unwrap();
        assert_eq!(queue.paused().await.unwrap(), [scope]);
        queue.push(&held).await.unwrap();
        queue.push(&free).await.unwrap();
        expected += free.len();
        worker.until("the free ones are worked", |worker| worker.slices() == expected).await;
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        assert_eq!(worker.slices(), expected, "{scope} is paused");
        assert_eq!(queue.depth().await.unwrap().live, held.len() as u64);
        // As a rebuild does: the truth says that nothing is paused.
        queue.set_paused(&[]).await.unwrap();
        expected += held.len();
        worker.until("the held ones are worked", |worker| worker.slices() == expected).await;
    }
    queue.set_paused(&[PauseScope::Fleet, PauseScope::Tenant(threads.tenant)]).await.unwrap();
    queue.set_paused(&[PauseScope::Tenant(threads.tenant)]).await.unwrap();
    assert_eq!(queue.paused().await.unwrap(), [PauseScope::Tenant(threads.tenant)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_worker_finishes_what_it_began_and_hands_back_the_rest() {
    let (queue, _, _) = shared_queue();
    queue.push(&tickets(12, Stream::Contacts)).await.unwrap();
    let worker = Worker::start(&queue, 4, |_| async {
        // Longer than a lease: it has to be renewed during the drain.
        tokio::time::sleep(Duration::from_secs(8)).await;
        Verdict::Done
    });
    worker.until("four have begun", |worker| worker.seen().len() == 4).await;
    let shutdown = worker.shutdown.clone();
    shutdown.cancel();
    let heir = Worker::start(&queue, 12, |_| std::future::ready(Verdict::Done));
    heir.until("the others are worked by the heir", |heir| heir.slices() == 8).await;
    assert_eq!(worker.slices(), 0, "they came back before a slice had ended");
    let finished = worker.stop().await;
    assert_eq!(finished.len(), 4, "nothing was begun after the stop");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(heir.stop().await.len(), 8, "nothing ran twice");
    assert_eq!(queue.depth().await.unwrap().live, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_workers_tickets_come_back_within_ten_seconds_and_deaths_are_told() {
    let (queue, mut redis, prefix) = shared_queue();
    let ticket = ticket(Stream::Contacts);
    queue.push(&[ticket]).await.unwrap();
    let deaths = 3;
    for death in 0..deaths {
        // Dropped in the middle of its slice, as kill -9 does it.
        let victim = Worker::start(&queue, 2, |_| std::future::pending::<Verdict>());
        victim.until("it began", |victim| victim.seen().len() == 1).await;
        assert_eq!(victim.seen()[0].crashes, death);
        victim.running.abort();
        let _ = victim.running.await;
        if death + 1 < deaths {
            // The lease need not be waited for each time.
            let _: () = redis.zadd(format!("{prefix}:leases"), ticket.to_string(), 0).unwrap();
        }
    }
    let begun = Instant::now();
    let heir = Worker::start(&queue, 2, |_| std::future::ready(Verdict::More));
    heir.until("it came back, and once more", |heir| heir.slices() >= 2).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let seen = heir.stop().await;
    assert_eq!((seen[0].crashes, seen[1].crashes), (deaths, 0), "a settled slice clears the count");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_outlives_every_outage_of_redis() {
    let servers = own_servers(&[]);
    let (queue, _, _) = open(&servers);
    let worker = Worker::start(&queue, 4, |lease: Lease| async move {
        assert_ne!(lease.ticket.stream, Stream::Reference, "a slice that panics");
        tokio::time::sleep(Duration::from_millis(20)).await;
        Verdict::Done
    });
    let mut expected = 0;
    for outage in ["killed", "stopped for 4 s", "frozen for 5 s"] {
        queue.push(&[ticket(Stream::Contacts)]).await.unwrap();
        expected += 1;
        worker.until("it works", |worker| worker.slices() == expected).await;
        let redis = servers.redis();
        match outage {
            "killed" => {
                redis.kill9().unwrap();
                redis.start().unwrap();
            }
            "stopped for 4 s" => {
                redis.stop().unwrap();
                tokio::time::sleep(Duration::from_secs(4)).await;
                let progress = queue.progress();
                assert!(progress.last_round().unwrap() < Duration::from_secs(2), "alive without redis");
                assert!(progress.last_answer().unwrap() > Duration::from_secs(2), "and knows that it is away");
                redis.start().unwrap();
            }
            _ => {
                redis.suspend().unwrap();
                tokio::time::sleep(Duration::from_secs(5)).await;
                redis.resume().unwrap();
            }
        }
        let begun = Instant::now();
        while queue.push(&[ticket(Stream::Contacts)]).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        expected += 1;
        worker.until("it works again", |worker| worker.slices() == expected).await;
        eprintln!("{outage}: flows again after {:?}", begun.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(5), "{outage}: {:?}", begun.elapsed());
    }
    // A slice that panics is one slice, not the worker.
    queue.push(&[ticket(Stream::Reference), ticket(Stream::Contacts)]).await.unwrap();
    worker.until("it works after a panic", |worker| worker.slices() == expected + 1).await;
    let begun = Instant::now();
    while queue.depth().await.unwrap().parked != 1 {
        assert!(begun.elapsed() < PATIENCE, "what panicked is tried again later");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_idle_workers_are_woken_as_there_is_work_for() {
    let servers = own_servers(&[]);
    let (queue, mut redis, _) = open(&servers);
    let workers: Vec<_> = (0..6)
        .map(|_| {
            Worker::start(&queue, 1, |_| async {
                tokio::time::sleep(Duration::from_secs(3)).await;
                Verdict::Done
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    queue.push(&tickets(6, Stream::Threads)).await.unwrap();
    for worker in &workers {
        worker.until("it began", |worker| worker.seen().len() == 1).await;
    }
    // A wake-up is written when none waits to be taken: one wakes the next.
    let wake_ups = times(&mut redis, "lpush");
    assert!(wake_ups >= 5, "{wake_ups} wake-ups for six idle workers");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_tenant_does_not_wait_for_giants() {
    let (queue, _, _) = shared_queue();
    let mut overtaken = Vec::new();
    let giants: Vec<Ticket> = (0..20)
        .flat_map(|_| {
            let tenant = TenantId::new();
            (0..10).map(move |_| Ticket::new(tenant, ConnectionId::new(), Stream::Threads))
        })
        .collect();
    queue.push(&giants).await.unwrap();
    let giant: Vec<TenantId> = giants.iter().map(|ticket| ticket.tenant).collect();
    let most: Arc<Mutex<HashMap<TenantId, (usize, usize)>>> = Arc::default();
    let counted = most.clone();
    let worker = Worker::start(&queue, 16, move |lease| {
        let giant = giant.contains(&lease.ticket.tenant);
        let counted = counted.clone();
        async move {
            let tenant = lease.ticket.tenant;
            {
                let mut counted = counted.lock().unwrap();
                let (now, most) = counted.entry(tenant).or_default();
                *now += 1;
                *most = (*most).max(*now);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            counted.lock().unwrap().get_mut(&tenant).unwrap().0 -= 1;
            if giant { Verdict::More } else { Verdict::Done }
        }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    for round in 0..100 {
        // Half of them in the giants' own class.
        let stream = if round % 2 == 0 { Stream::Threads } else { Stream::Contacts };
        let small = ticket(stream);
        queue.push(&[small]).await.unwrap();
        let before = worker.seen().len();
        let begun = |worker: &Worker<_>| worker.seen().iter().position(|lease| lease.ticket == small);
        worker.until("it began", |worker| begun(worker).is_some()).await;
        overtaken.push(begun(&worker).unwrap().saturating_sub(before));
    }
    worker.stop().await;
    let (p50, p99) = (percentile(&mut overtaken, 50), percentile(&mut overtaken, 99));
    eprintln!("a small tenant beside 20 giants: {p50} slices of others come before (median), {p99} (p99)");
    // A turn of each giant, and what is under way.
    assert!(p99 <= 20 + 2 * 16, "{p99}");
    let most = most.lock().unwrap().values().map(|(_, most)| *most).max().unwrap();
    assert!(most <= 8, "a tenant had {most} slices at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn backfill_leaves_slots_for_fresh_work() {
    let (queue, _, _) = shared_queue();
    queue.push(&tickets(20, Stream::Threads)).await.unwrap();
    let worker = Worker::start(&queue, 10, |lease: Lease| async move {
        if lease.ticket.class() == Class::Backfill {
            tokio::time::sleep(Duration::from_secs(6)).await;
        }
        Verdict::Done
    });
    worker.until("backfill runs", |worker| worker.seen().len() == 8).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(worker.seen().len(), 8, "four fifths of ten slots");
    queue.push(&tickets(4, Stream::Contacts)).await.unwrap();
    worker.until("fresh work is done beside it", |worker| worker.slices() == 4).await;
    let depth = queue.depth().await.unwrap();
    assert_eq!((depth.backfill.leased, depth.backfill.ready, depth.fresh.ready), (8, 12, 0));
    assert!(depth.oldest_backfill.unwrap() >= Duration::from_millis(300) && depth.oldest_fresh.is_none());
    worker.until("backfill goes on", |worker| worker.seen().len() > 12).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_due_at_once_stall_nobody_and_parked_tenants_are_small() {
    let servers = own_servers(&[]);
    let (queue, mut redis, prefix) = open(&servers);
    let before = info(&mut redis, "memory", "used_memory");
    let count = 1_000_000;
    // As a herd that was parked until now.
    let fill = redis::Script::new(
        "for i = ARGV[1], ARGV[1] + 4999 do
            local id = string.format('%08x-0000-7000-8000-%012x', i, i)
            redis.call('ZADD', KEYS[1], 1, '1/backfill/' .. id .. '/' .. id .. '/threads')
        end",
    );
    for i in (0..count).step_by(5_000) {
        let _: () = fill.key(format!("{prefix}:parked")).arg(i).invoke(&mut redis).unwrap();
    }
    let _: () = redis.hset(format!("{prefix}:counts"), "parked:backfill", count).unwrap();
    let per_tenant = (info(&mut redis, "memory", "used_memory") - before) / count;
    eprintln!("{per_tenant} bytes per parked tenant");
    assert!(per_tenant <= 300);
    let _: () = redis::cmd("CONFIG").arg("RESETSTAT").query(&mut redis).unwrap();

    let worker = Worker::start(&queue, 32, |_| std::future::ready(Verdict::Done));
    worker.until("two thousand slices", |worker| worker.slices() >= 2_000).await;
    queue.pause(&[PauseScope::Fleet]).await.unwrap();
    let depth = queue.depth().await.unwrap();
    worker.stop().await;
    let scripts = times(&mut redis, "evalsha");
    let commands = all_commands(&mut redis);
    eprintln!("{commands} commands in {scripts} scripts");
    // However many are due, a call takes a bounded bite of them, in a bounded number of commands.
    assert!(depth.parked > 0 && depth.backfill.parked == depth.parked, "{depth:?}");
    assert!(count - depth.parked <= 64 * scripts, "{depth:?} after {scripts} scripts");
    assert!(commands <= 40 * scripts, "{commands} commands in {scripts} scripts");
    // And each finds work at once.
    assert!(scripts <= 1_000, "{scripts} scripts for two thousand slices");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_runs_on_a_cluster() {
    let servers = own_servers(&["--cluster-enabled", "yes"]);
    let (queue, mut redis, _) = open(&servers);
    let _: () = redis::cmd("CLUSTER").arg("ADDSLOTSRANGE").arg(0).arg(16_383).query(&mut redis).unwrap();
    let begun = Instant::now();
    while !redis::cmd("CLUSTER").arg("INFO").query::<String>(&mut redis).unwrap().contains("cluster_state:ok") {
        assert!(begun.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (contacts, threads) = (ticket(Stream::Contacts), ticket(Stream::Threads));
    let worker = Worker::start(&queue, 2, |lease: Lease| {
        std::future::ready(if lease.crashes > 0 { Verdict::More } else { Verdict::Done })
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    queue.pause(&[PauseScope::Tenant(threads.tenant)]).await.unwrap();
    queue.push(&[contacts, threads]).await.unwrap();
    worker.until("one is worked", |worker| worker.slices() == 1).await;
    queue.set_paused(&[]).await.unwrap();
    worker.until("both are worked", |worker| worker.slices() == 2).await;
    queue.raise_fence(1).await.unwrap();
    worker.stop().await;
    assert_eq!(queue.depth().await.unwrap().live, 0);
}
