//! What the scripts cost, alone: time per ticket, time per call at worst, and memory.

use std::time::{Duration, Instant};

use redis::{Commands, Connection};
use servers::Servers;
use uuid::Uuid;

use super::{
    conformance::{Answer, Scripts},
    rng::Rng,
};

const BITE: usize = 64;

/// A Redis of its own, and the scripts as they are.
struct Bare {
    _servers: Servers,
    redis: Connection,
    scripts: Scripts,
    rng: Rng,
    leased: Vec<(String, i64)>,
}

impl Bare {
    fn new(redis_arguments: &[&str]) -> Self {
        let redis_arguments = redis_arguments.iter().map(|&argument| argument.to_owned()).collect();
        let servers = Servers::start(servers::Options { redis_arguments, ..Default::default() }).unwrap();
        let redis = redis::Client::open(servers.redis_url()).unwrap().get_connection().unwrap();
        Self { _servers: servers, redis, scripts: Scripts::new(&[]), rng: Rng::new(7), leased: Vec::new() }
    }

    /// Tickets of as many new tenants.
    fn push(&mut self, count: usize) {
        for _ in 0..count.div_ceil(BITE) {
            let mut call = self.scripts.push.key("{q}");
            for _ in 0..BITE {
                let (a, b) = (self.rng.next(), self.rng.next());
                let (tenant, connection) = (Uuid::from_u64_pair(a, b), Uuid::from_u64_pair(b, a));
                call.arg(format!("1/fresh/{tenant}/{connection}/contacts"));
            }
            let _: u64 = call.invoke(&mut self.redis).unwrap();
        }
    }

    /// Settles all that is leased and leases as many anew. Returns how many of both, and how long it took.
    fn exchange(&mut self, verdict: &str, most: usize) -> (usize, Duration) {
        let mut call = self.scripts.exchange.key("{q}");
        call.arg(600_000).arg(8).arg(most).arg(most).arg(1).arg(0);
        for (ticket, fence) in &self.leased {
            call.arg(ticket).arg(*fence).arg(verdict).arg(60_000);
        }
        let begun = Instant::now();
        let (_, swept, settled, claimed, _): Answer = call.invoke(&mut self.redis).unwrap();
        let took = begun.elapsed();
        self.leased = claimed.into_iter().map(|(ticket, fence, _, _)| (ticket, fence)).collect();
        (swept + settled.len() + self.leased.len(), took)
    }

    fn memory(&mut self) -> i64 {
        let text: String = redis::cmd("INFO").arg("memory").query(&mut self.redis).unwrap();
        text.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap().parse().unwrap()
    }

    /// The server's own processor time, in microseconds: the machine may be busy with something else.
    fn processor(&mut self) -> f64 {
        let text: String = redis::cmd("INFO").arg("cpu").query(&mut self.redis).unwrap();
        let seconds = |name: &str| -> f64 {
            text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap().parse().unwrap()
        };
        (seconds("used_cpu_user_main_thread") + seconds("used_cpu_sys_main_thread")) * 1e6
    }

    /// Microseconds of the server per ticket settled with `more` and leased again.
    fn turn(&mut self, rounds: usize) -> f64 {
        self.exchange("more", BITE);
        let before = self.processor();
        for _ in 0..rounds {
            self.exchange("more", BITE);
        }
        (self.processor() - before) / (rounds * BITE) as f64
    }
}

/// `FLAT_TICKETS=10000000` takes some minutes.
#[test]
fn finished_tickets_leave_nothing() {
    let count: usize = std::env::var("FLAT_TICKETS").map_or(100_000, |count| count.parse().unwrap());
    let mut bare = Bare::new(&[]);
    let mut through = |count: usize| {
        for _ in 0..count.div_ceil(BITE) {
            bare.push(BITE);
            bare.exchange("done", BITE);
        }
        bare.exchange("done", 0);
        let keys: i64 = redis::cmd("DBSIZE").query(&mut bare.redis).unwrap();
        (bare.memory(), keys)
    };
    let (before, _) = through(20_000);
    let (again, _) = through(20_000);
    eprintln!("{} bytes more after 20,000", again - before);
    let begun = Instant::now();
    let (after, keys) = through(count);
    eprintln!(
        "{count} tickets of as many tenants in {:?}: {} bytes more, {keys} keys",
        begun.elapsed(),
        after - before
    );
    // A tenth of the smallest thing that could be left of each.
    assert!(after - before < 200_000 + count as i64, "{} bytes", after - before);
    assert!(keys <= 6, "{keys} keys at rest");
}

#[test]
fn a_turn_does_not_cost_more_by_the_number_of_tenants() {
    let mut bare = Bare::new(&[]);
    bare.push(256);
    let few = bare.turn(400);
    bare.push(100_000);
    let many = bare.turn(400);
    eprintln!("settled and leased again: {few:.1} us with 256 tenants, {many:.1} us with 100,000");
    // A guard against a scan, not the aim. The aim is 1.5, and it is NOT met reliably: three runs on a shared
    // two-core machine showed 1.47, 1.32 and 1.53 (larger sorted sets and colder caches, by the look of it).
    assert!(many < few * 2.5, "{few} us with 256 tenants, {many} us with 100,000");
}

/// Settlements, dead workers, parked tickets and free slots, all at their most in one call.
#[test]
fn no_call_is_long_at_its_worst() {
    let mut bare = Bare::new(&[]);
    bare.push(60_000);
    // Lost answers: leases nobody knows of.
    for _ in 0..200 {
        bare.leased.clear();
        bare.exchange("done", BITE);
    }
    // And a herd that is parked until now.
    for _ in 0..200 {
        bare.exchange("wait", BITE);
    }
    let due = redis::Script::new(
        "for _, set in ipairs({'{q}:leases', '{q}:parked'}) do
            for _, ticket in ipairs(redis.call('ZRANGE', set, 0, -1)) do redis.call('ZADD', set, 1, ticket) end
        end
        for _, ticket in ipairs(ARGV) do redis.call('ZADD', '{q}:leases', '+inf', ticket) end",
    );
    let held: Vec<&String> = bare.leased.iter().map(|(ticket, _)| ticket).collect();
    let _: () = due.arg(held).invoke(&mut bare.redis).unwrap();
    let parked: usize = bare.redis.zcard("{q}:parked").unwrap();
    let before = bare.processor();
    let mut times: Vec<Duration> = (0..100)
        .map(|_| {
            let (done, took) = bare.exchange("more", BITE);
            assert_eq!(done, 3 * BITE, "swept, settled and leased");
            took
        })
        .collect();
    let mean = (bare.processor() - before) / 100.0;
    assert_eq!(parked - bare.redis.zcard::<_, usize>("{q}:parked").unwrap(), 100 * BITE, "and readied");
    times.sort();
    let (median, longest) = (times[50], times[99]);
    eprintln!("a call at its most: {mean:.0} us of the server, answered in {median:?} (median), {longest:?} (longest)");
    // By the clock, a single long one may be the machine's doing.
    assert!(mean < 10_000.0 && median < Duration::from_millis(20));
}
