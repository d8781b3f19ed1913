//! What the scripts cost, counted: commands and entries of each call, and memory. The clock is left to the
//! benchmark, because a busy machine is no bug.

use redis::{Commands, Connection};
use servers::Redis;
use uuid::Uuid;

use super::conformance::{Answer, Change, Scripts};
use crate::support::own_redis;
use simulation::rng::Rng;

const BITE: usize = 64;

/// Scripts that count what they ask of Redis: commands, and what goes to and fro with them. So a scan shows, in
/// however few commands it is done.
const COUNTED: Change = (
    "local p = KEYS[1]\n",
    "local p = KEYS[1]
    local server = redis
    local redis = {call = function(...)
        local answer = server.call(...)
        server.call('HINCRBY', '{q}:work', 'commands', 1)
        server.call('HINCRBY', '{q}:work', 'entries', select('#', ...) + (type(answer) == 'table' and #answer or 1))
        return answer
    end}
    ",
);

/// What scripts asked of Redis.
#[derive(Clone, Copy, Debug)]
struct Work {
    commands: f64,
    entries: f64,
}

/// A Redis of its own, and the scripts as they are.
struct Bare {
    _server: Redis,
    redis: Connection,
    scripts: Scripts,
    rng: Rng,
    leased: Vec<(String, i64)>,
}

impl Bare {
    fn new(changes: &[Change]) -> Self {
        let server = own_redis(&[]);
        let redis = redis::Client::open(server.url())
            .unwrap()
            .get_connection()
            .unwrap();
        Self {
            _server: server,
            redis,
            scripts: Scripts::new(changes),
            rng: Rng::new(7),
            leased: Vec::new(),
        }
    }

    /// Tickets of as many new tenants.
    fn push(&mut self, count: usize) {
        self.push_of(count, 1);
    }

    /// So many tickets of each new tenant.
    fn push_of(&mut self, tenants: usize, each: usize) {
        let mut tickets = Vec::new();
        for _ in 0..tenants {
            let tenant = Uuid::from_u64_pair(self.rng.next(), self.rng.next());
            for _ in 0..each {
                let connection = Uuid::from_u64_pair(self.rng.next(), self.rng.next());
                tickets.push(format!("1/fresh/{tenant}/{connection}/contacts"));
            }
        }
        for bite in tickets.chunks(BITE) {
            let _: u64 = self
                .scripts
                .push
                .key("{q}")
                .arg(bite)
                .invoke(&mut self.redis)
                .unwrap();
        }
    }

    /// Settles all that is leased and leases so many anew. Returns how many it settled, took back and leased.
    fn poll(&mut self, verdict: &str, most: usize) -> usize {
        let mut call = self.scripts.poll.key("{q}");
        call.arg(600_000).arg(8).arg(most);
        call.arg(most).arg(most).arg(1).arg(0);
        for (ticket, fence) in &self.leased {
            call.arg(ticket).arg(*fence).arg(verdict).arg(60_000);
        }
        let (_, swept, settled, claimed, _): Answer = call.invoke(&mut self.redis).unwrap();
        self.leased = claimed
            .into_iter()
            .map(|(ticket, fence, _, _)| (ticket, fence))
            .collect();
        swept + settled.len() + self.leased.len()
    }

    /// The next call takes expired leases back, however long this machine stood still before it.
    fn forget_silence(&mut self) {
        let _: () = self.redis.del(&["{q}:clock", "{q}:grace"]).unwrap();
    }

    fn memory(&mut self) -> i64 {
        let text: String = redis::cmd("INFO")
            .arg("memory")
            .query(&mut self.redis)
            .unwrap();
        text.lines()
            .find_map(|line| line.strip_prefix("used_memory:"))
            .unwrap()
            .parse()
            .unwrap()
    }

    /// What was asked of Redis since this was last asked.
    fn work(&mut self) -> Work {
        let (commands, entries): (Option<f64>, Option<f64>) = redis::cmd("HMGET")
            .arg("{q}:work")
            .arg("commands")
            .arg("entries")
            .query(&mut self.redis)
            .unwrap();
        let _: () = self.redis.del("{q}:work").unwrap();
        Work {
            commands: commands.unwrap_or_default(),
            entries: entries.unwrap_or_default(),
        }
    }

    /// What a ticket costs that is settled with `verdict` while another is leased, so many of both in a call.
    fn dispatch(&mut self, verdict: &str, bite: usize) -> Work {
        const ROUNDS: usize = 100;
        // The first call leases without settling, so it is not counted.
        self.poll("requeue", bite);
        self.work();
        for _ in 0..ROUNDS {
            assert_eq!(self.poll(verdict, bite), 2 * bite);
        }
        let Work { commands, entries } = self.work();
        let tickets = (ROUNDS * bite) as f64;
        Work {
            commands: commands / tickets,
            entries: entries / tickets,
        }
    }
}

/// `FLAT_TICKETS=10000000` takes some minutes.
#[test]
fn finished_tickets_leave_nothing() {
    let count: usize =
        std::env::var("FLAT_TICKETS").map_or(100_000, |count| count.parse().unwrap());
    let mut bare = Bare::new(&[]);
    let mut through = |count: usize| {
        for _ in 0..count.div_ceil(BITE) {
            bare.push(BITE);
            bare.poll("done", BITE);
        }
        bare.poll("done", 0);
        let keys: i64 = redis::cmd("DBSIZE").query(&mut bare.redis).unwrap();
        (bare.memory(), keys)
    };
    // The first rounds fill buffers that Redis keeps.
    let (before, _) = through(20_000);
    let (again, _) = through(20_000);
    eprintln!("{} bytes more after 20,000", again - before);
    let (after, keys) = through(count);
    eprintln!(
        "{count} tickets of as many tenants: {} bytes more, {keys} keys",
        after - before
    );
    // A tenth of the smallest thing that could be left of each.
    assert!(
        after - before < 200_000 + count as i64,
        "{} bytes",
        after - before
    );
    assert!(keys <= 6, "{keys} keys at rest");
}

/// A full call, a call for one ticket, and tenants with more tickets than may be leased at once.
#[test]
fn a_dispatch_takes_few_commands() {
    let mut bare = Bare::new(&[COUNTED]);
    bare.push(10_000);
    for (what, verdict, bite, commands, entries) in [
        ("64 that go on", "requeue", BITE, 0.45, 32.0),
        ("64 that are done", "done", BITE, 0.45, 25.0),
        ("1 that goes on", "requeue", 1, 26.0, 125.0),
    ] {
        let work = bare.dispatch(verdict, bite);
        eprintln!("{what}: {work:?} per dispatch");
        assert!(
            work.commands <= commands && work.entries <= entries,
            "{what}: {work:?}"
        );
        bare.poll("done", 0);
    }
    let mut bare = Bare::new(&[COUNTED]);
    bare.push_of(20, 100);
    let work = bare.dispatch("requeue", BITE);
    eprintln!("64 of 20 tenants: {work:?} per dispatch");
    assert!(work.commands <= 3.2 && work.entries <= 28.0, "{work:?}");
}

#[test]
fn a_dispatch_does_not_take_more_by_the_number_of_tenants() {
    let mut bare = Bare::new(&[COUNTED]);
    bare.push(256);
    // More tenants than a call takes, so that the ring is never empty.
    let few = bare.dispatch("requeue", BITE);
    bare.push(100_000);
    let many = bare.dispatch("requeue", BITE);
    eprintln!("with 256 tenants {few:?}, with 100,000 {many:?}");
    assert!(
        many.commands <= few.commands * 1.05 && many.entries <= few.entries * 1.05,
        "{few:?}, {many:?}"
    );
}

/// Settlements, dead workers, parked tickets and free slots, all at their most in one call.
#[test]
fn no_call_is_long_at_its_worst() {
    let mut bare = Bare::new(&[COUNTED]);
    bare.push(60_000);
    // Lost answers: leases that no worker knows of.
    for _ in 0..200 {
        bare.leased.clear();
        bare.poll("done", BITE);
    }
    // And many tickets that are parked until now.
    for _ in 0..200 {
        bare.poll("snooze", BITE);
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
    bare.work();
    let (mut commands, mut entries) = (0.0_f64, 0.0_f64);
    for _ in 0..100 {
        bare.forget_silence();
        assert_eq!(
            bare.poll("requeue", BITE),
            3 * BITE,
            "swept, settled and leased"
        );
        let work = bare.work();
        commands = commands.max(work.commands);
        entries = entries.max(work.entries);
    }
    assert_eq!(
        parked - bare.redis.zcard::<_, usize>("{q}:parked").unwrap(),
        100 * BITE,
        "and readied"
    );
    eprintln!("a call at its most: {commands} commands, {entries} entries");
    assert!(
        commands <= 60.0 && entries <= 6_000.0,
        "{commands} commands, {entries} entries"
    );
}
