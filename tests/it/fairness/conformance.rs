//! The model and the real scripts, fed with the same operations in a real Redis: the same answers, and the
//! same state after each step. So what the simulation proves of the model holds for the scripts.

mod states;

use std::collections::HashMap;

use redis::{Commands, Connection, RedisResult, Script};
use shared::{
    domain::{Class, ConnectionId, Stream, TenantId},
    queue::{PauseScope, Ticket, scripts},
};
use simulation::{
    queue::model::{Bug, Capacity, Claimed, Key, Lane, Model, Settlement, Verdict, key, ticket},
    rng::{Rng, seeds},
};
use uuid::Uuid;

use crate::support::servers;
use states::{glob, model_state};

const LEASE: i64 = 6_000;
const OPERATIONS: usize = 80;

/// What a test changes in the scripts' text: (what is there, what to put instead).
pub(super) type Change = (&'static str, &'static str);

/// The one change that every test makes: the time comes from a key.
const TIME: Change = (
    "redis.call('TIME')",
    "redis.call('LRANGE', KEYS[1] .. ':time', 0, 1)",
);

pub(super) struct Scripts {
    pub(super) push: Script,
    pub(super) poll: Script,
    renew: Script,
    pause: Script,
    stats: Script,
    raise_fence: Script,
}

impl Scripts {
    pub(super) fn new(changes: &[Change]) -> Self {
        let mut made = vec![false; changes.len()];
        let mut script = |text: &str| {
            let mut text = text.to_owned();
            for ((from, to), made) in changes.iter().zip(&mut made) {
                *made |= text.contains(from);
                text = text.replace(from, to);
            }
            Script::new(&text)
        };
        let scripts = Self {
            push: script(scripts::PUSH),
            poll: script(scripts::POLL),
            renew: script(scripts::RENEW),
            pause: script(scripts::PAUSE),
            stats: script(scripts::STATS),
            raise_fence: Script::new(scripts::RAISE_FENCE),
        };
        for ((from, _), made) in changes.iter().zip(made) {
            assert!(made, "no script contains {from:?}");
        }
        scripts
    }
}

/// Both sides, and what the driver knows of them.
struct Pair<'a> {
    redis: &'a mut Connection,
    scripts: &'a Scripts,
    prefix: String,
    model: Model,
    raw: i64,
    tenants: Vec<TenantId>,
    tickets: Vec<Key>,
    /// Leases that were given out, the newest last; some are stale.
    leases: Vec<(Key, i64)>,
}

pub(super) type Answer = (
    i64,
    usize,
    Vec<bool>,
    Vec<(String, i64, u32, i64)>,
    Vec<String>,
);
type Step = Result<String, String>;

impl<'a> Pair<'a> {
    fn new(redis: &'a mut Connection, scripts: &'a Scripts, rng: &mut Rng) -> Self {
        let prefix = format!("{{{}}}", Uuid::now_v7().simple());
        let tenants: Vec<TenantId> = (0..rng.between(1, 6))
            .map(|_| TenantId(uuid(rng)))
            .collect();
        let mut tickets = Vec::new();
        for tenant in &tenants {
            for _ in 0..rng.between(1, 4) {
                let connection = ConnectionId(uuid(rng));
                tickets.extend(
                    Stream::ALL
                        .iter()
                        .map(|stream| key(Ticket::new(*tenant, connection, *stream))),
                );
            }
        }
        let raw = 1_700_000_000_000 + rng.between(0, 100_000);
        Self {
            redis,
            scripts,
            prefix,
            model: Model::new(Bug::None),
            raw,
            tenants,
            tickets,
            leases: Vec::new(),
        }
    }

    fn step(&mut self, rng: &mut Rng, cap: i64) -> Step {
        self.raw += match rng.between(0, 10) {
            0..4 => 0,
            4..7 => rng.between(1, 300),
            7..9 => rng.between(300, 4_000),
            _ => rng.between(4_000, 15_000),
        };
        if rng.chance(3) {
            self.raw -= rng.between(1, 3_600_000);
        }
        self.set_time().map_err(|error| error.to_string())?;
        match rng.between(0, 100) {
            0..28 => self.push(rng),
            28..74 => self.poll(rng, cap),
            74..82 => self.renew(rng),
            82..90 => self.pause(rng),
            90..95 => self.take_token(rng),
            95..97 => self.stats(),
            97..99 => self.raise_fence(rng),
            _ => self.flush(),
        }
    }

    fn push(&mut self, rng: &mut Rng) -> Step {
        let tickets: Vec<Key> = (0..rng.between(1, 6))
            .map(|_| *rng.pick(&self.tickets))
            .collect();
        let mut call = self.scripts.push.key(&self.prefix);
        for ticket in &tickets {
            call.arg(text(*ticket));
        }
        let theirs: u64 = answer(call.invoke(self.redis))?;
        same(&theirs, &self.model.push(self.raw, &tickets), "pushed")?;
        Ok(format!("push {tickets:?}"))
    }

    fn poll(&mut self, rng: &mut Rng, cap: i64) -> Step {
        let cap = if rng.chance(3) {
            rng.between(1, 5)
        } else {
            cap
        };
        let limit = if rng.chance(15) {
            0
        } else {
            rng.between(1, 7) as usize
        };
        let capacity = Capacity {
            limit,
            backfill_limit: rng.between(0, limit as i64 + 1) as usize,
            suspects: rng.between(0, 2) as u32,
            pass_on: rng.chance(10),
        };
        let mut settlements = Vec::new();
        for _ in 0..rng.between(0, 4) {
            if self.leases.is_empty() {
                break;
            }
            // Mostly a live lease, now and then a stale one or none at all.
            let back = rng.between(0, self.leases.len().min(6) as i64 + 1) as usize;
            let at = self
                .leases
                .len()
                .saturating_sub(back)
                .min(self.leases.len() - 1);
            let (ticket, fence) = self.leases[at];
            let fence = if rng.chance(5) { fence + 1 } else { fence };
            let verdict = match rng.between(0, 10) {
                0..3 => Verdict::Done,
                3..6 => Verdict::Requeue,
                6..8 => Verdict::Snooze(rng.between(0, 9_000)),
                _ => Verdict::Release,
            };
            settlements.push(Settlement {
                ticket,
                fence,
                verdict,
            });
        }
        let mut call = self.scripts.poll.key(&self.prefix);
        call.arg(LEASE)
            .arg(cap)
            .arg(capacity.limit)
            .arg(capacity.backfill_limit)
            .arg(capacity.suspects);
        call.arg(u8::from(capacity.pass_on));
        for Settlement {
            ticket,
            fence,
            verdict,
        } in &settlements
        {
            let (word, wait) = match verdict {
                Verdict::Done => ("done", 0),
                Verdict::Requeue => ("requeue", 0),
                Verdict::Snooze(wait) => ("snooze", *wait),
                Verdict::Release => ("release", 0),
            };
            call.arg(text(*ticket)).arg(*fence).arg(word).arg(wait);
        }
        let (next_parked, reaped, settled, claimed, refused): Answer =
            answer(call.invoke(self.redis))?;
        let ours = self
            .model
            .poll(self.raw, LEASE, cap, capacity, &settlements);
        same(&next_parked, &ours.next_parked.unwrap_or(-1), "next parked")?;
        same(&reaped, &ours.reaped.len(), "reaped")?;
        same(&settled, &ours.settled, "settled")?;
        same(
            &refused,
            &ours.refused.into_iter().map(str::to_owned).collect(),
            "refused",
        )?;
        let claimed: Vec<Claimed> = claimed
            .into_iter()
            .map(|(ticket, fence, crashes, waited)| Claimed {
                ticket: key(ticket.parse().unwrap()),
                fence,
                crashes,
                waited,
            })
            .collect();
        self.leases.extend(
            claimed
                .iter()
                .map(|claimed| (claimed.ticket, claimed.fence)),
        );
        same(&claimed, &ours.claimed, "claimed")?;
        Ok(format!("poll cap {cap} {capacity:?} {settlements:?}"))
    }

    fn renew(&mut self, rng: &mut Rng) -> Step {
        let leases: Vec<(Key, i64)> = self
            .leases
            .iter()
            .rev()
            .take(rng.between(0, 6) as usize)
            .copied()
            .collect();
        let mut call = self.scripts.renew.key(&self.prefix);
        call.arg(LEASE);
        for (ticket, fence) in &leases {
            call.arg(text(*ticket)).arg(*fence);
        }
        let theirs: Vec<String> = answer(call.invoke(self.redis))?;
        let ours: Vec<String> = self
            .model
            .renew(self.raw, LEASE, &leases)
            .into_iter()
            .map(text)
            .collect();
        same(&theirs, &ours, "lost")?;
        Ok(format!("renew {leases:?}"))
    }

    fn pause(&mut self, rng: &mut Rng) -> Step {
        let scope = match rng.between(0, 8) {
            0 => PauseScope::Fleet,
            1 => PauseScope::Class(*rng.pick(Class::ALL)),
            _ => PauseScope::Tenant(*rng.pick(&self.tenants)),
        };
        let verb = if rng.chance(40) { "pause" } else { "resume" };
        let mut call = self.scripts.pause.key(&self.prefix);
        answer::<()>(call.arg(verb).arg(scope.to_string()).invoke(self.redis))?;
        if verb == "pause" {
            self.model.pause(self.raw, &[scope]);
        } else {
            self.model.resume(self.raw, &[scope]);
        }
        Ok(format!("{verb} {scope}"))
    }

    fn take_token(&mut self, rng: &mut Rng) -> Step {
        let class = *rng.pick(Class::ALL);
        let theirs: Option<u8> = answer(
            self.redis
                .lpop(format!("{}:wake:{class}", self.prefix), None),
        )?;
        same(&theirs.is_some(), &self.model.take_token(class), "token")?;
        Ok(format!("token {class}"))
    }

    fn stats(&mut self) -> Step {
        let answer: ([usize; 5], [i64; 4], [i64; 6]) =
            answer(self.scripts.stats.key(&self.prefix).invoke(self.redis))?;
        // It reads the clock as every script does.
        self.model.renew(self.raw, LEASE, &[]);
        let (model, now) = (&self.model, self.model.last);
        // The first ticket of each tenant in the ring: they are fewer than it looks at.
        let age = |lane: &Lane| {
            let firsts = lane
                .ring
                .iter()
                .filter_map(|(tenant, _)| lane.ready.get(&tenant)?.front());
            firsts
                .map(|first| (now - first.since).max(0))
                .max()
                .unwrap_or(-1)
        };
        let left = |at: Option<(Key, f64)>| at.map_or(-1, |(_, at)| (at as i64 - now).max(0));
        let (fresh, backfill) = (&model.fresh, &model.backfill);
        let sizes = [
            model.tickets.len() + model.parked.len(),
            fresh.ring.len(),
            backfill.ring.len(),
            model.parked.len(),
            model.leases.len(),
        ];
        let times = [
            age(fresh),
            age(backfill),
            left(model.parked.iter().next()),
            left(model.leases.iter().next()),
        ];
        let counts =
            [fresh, backfill].map(|lane| [lane.ready_count, lane.leased_count, lane.parked_count]);
        same(
            &answer,
            &(
                sizes,
                times,
                [counts[0], counts[1]].concat().try_into().unwrap(),
            ),
            "stats",
        )?;
        Ok("stats".to_owned())
    }

    fn raise_fence(&mut self, rng: &mut Rng) -> Step {
        let least = (self.model.fence + rng.between(-5, 50)).max(1);
        answer::<()>(
            self.scripts
                .raise_fence
                .key(&self.prefix)
                .arg(least)
                .invoke(self.redis),
        )?;
        self.model.raise_fence(least);
        Ok(format!("raise fence to {least}"))
    }

    fn flush(&mut self) -> Step {
        let keys: Vec<String> = answer(self.redis.keys(format!("{}:*", glob(&self.prefix))))?;
        if !keys.is_empty() {
            answer::<()>(self.redis.del(keys))?;
        }
        self.model.flush();
        self.set_time().map_err(|error| error.to_string())?;
        Ok("flush".to_owned())
    }

    fn set_time(&mut self) -> RedisResult<()> {
        let time = format!("{}:time", self.prefix);
        redis::pipe()
            .del(&time)
            .rpush(&time, &[self.raw / 1_000, (self.raw % 1_000) * 1_000])
            .query(self.redis)
    }
}

/// Runs one seed; says where the two sides part.
fn conform(redis: &mut Connection, scripts: &Scripts, seed: u64) -> Result<(), String> {
    let mut rng = Rng::new(seed);
    let cap = *rng.pick(&[1, 2, 3, 8]);
    let mut pair = Pair::new(redis, scripts, &mut rng);
    let mut told = Vec::new();
    let mut outcome = Ok(());
    for _ in 0..OPERATIONS {
        match pair.step(&mut rng, cap) {
            Ok(step) => told.push(step),
            Err(error) => {
                outcome = Err(error);
                break;
            }
        }
        let (theirs, ours) = (pair.redis_state(), model_state(&pair.model));
        if theirs != ours {
            let differ = theirs
                .iter()
                .filter(|(name, value)| ours.get(*name) != Some(value))
                .map(|(name, value)| {
                    format!(
                        "redis {name} = {value}\nmodel {name} = {:?}",
                        ours.get(name)
                    )
                })
                .chain(
                    ours.keys()
                        .filter(|name| !theirs.contains_key(*name))
                        .map(|name| format!("redis has no {name}")),
                )
                .collect::<Vec<_>>();
            outcome = Err(differ.join("\n"));
            break;
        }
    }
    let _ = pair.flush();
    let _: RedisResult<()> = pair.redis.del(format!("{}:time", pair.prefix));
    outcome.map_err(|error| {
        format!(
            "seed {seed}, after {}:\n{}\n{error}",
            told.len(),
            told.join("\n")
        )
    })
}

fn connect() -> Connection {
    redis::Client::open(servers().redis_url())
        .unwrap()
        .get_connection()
        .unwrap()
}

#[test]
fn the_scripts_do_what_the_model_does() {
    let scripts = Scripts::new(&[TIME]);
    let mut redis = connect();
    for seed in seeds("CONFORMANCE_SEEDS", 60) {
        if let Err(error) = conform(&mut redis, &scripts, seed) {
            panic!("{error}");
        }
    }
}

/// Deliberate faults in the scripts' own text: the comparison must notice each.
#[test]
fn a_broken_script_is_noticed() {
    let broken: &[(&str, Change)] = &[
        (
            "a settlement takes any fence",
            ("or fence ~= by then", "or not fence then"),
        ),
        (
            "a reap keeps the lease",
            ("ended[#ended + 1] = ticket\n    count", "count"),
        ),
        (
            "a reap does not count the crash",
            ("crashes + 1, VNOW", "crashes, VNOW"),
        ),
        (
            "a push is made twice",
            ("if class and not state and not", "if class and not"),
        ),
        (
            "the mark `again` is lost",
            ("if again == '0' then", "if false then"),
        ),
        ("a push readies what is parked", ("not parked[i]", "true")),
        (
            "a paused tenant is let in",
            ("(get(PAUSED, tenant) or", "("),
        ),
        (
            "a tenant at its cap is let in",
            ("or get(CAPPED, tenant)) then", ") then"),
        ),
        (
            "the virtual time stands still",
            ("vtime = at > on and at or on", ""),
        ),
        (
            "a returning tenant has banked credit",
            ("VNEW[class])\n        pushed", "0)\n        pushed"),
        ),
        (
            "a new tenant has no credit",
            (
                "VNEW[class])\n        pushed",
                "VNOW[class])\n        pushed",
            ),
        ),
        (
            "a parked tenant comes back without credit",
            ("0, VNEW[class]) end", "0, VNOW[class]) end"),
        ),
        (
            "the cap is not looked at",
            ("elseif inflight >= cap then", "elseif false then"),
        ),
        (
            "a lease's end does not count under the cap",
            ("inflight_of(tenant) - 1", "inflight_of(tenant)"),
        ),
        (
            "a tenant below its cap stays out",
            ("if uncapped then uncap(tenant) end", ""),
        ),
        (
            "a renewal does nothing",
            (
                "if #deadlines > 0 then redis.call('ZADD', LEASES, unpack(deadlines)) end",
                "",
            ),
        ),
        (
            "a ticket handed back goes to the end",
            ("true, since, crashes, VNOW", "false, since, crashes, VNOW"),
        ),
        (
            "the clock is believed when it runs back",
            ("if raw + ahead < last then", "if false then"),
        ),
        (
            "suspects are worked side by side",
            (">= SUSPECT and suspects == 0", ">= SUSPECT and false"),
        ),
        (
            "what ran out unheard is taken back at once",
            ("now < grace and {} or", ""),
        ),
        (
            "nobody is woken",
            ("redis.call('LPUSH', p .. ':wake:' .. class, '1')", ""),
        ),
        (
            "what is left over of a fence is not put back",
            ("'%d', base + taken)\n    if", "'%d', base + limit)\n    if"),
        ),
        (
            "a rest is forgotten",
            (
                "sub(first, 1, 1) ~= '-' and next_of(class, tenant)",
                "false",
            ),
        ),
        (
            "what was first is lost when another comes to the front",
            (
                "redis.call('LPUSH', REST[class] .. tenant, sub(first, 2))",
                "",
            ),
        ),
        (
            "what ended stays in the books",
            ("gone[#gone + 1] = field", ""),
        ),
        (
            "a tenant that comes again comes before those who wait",
            ("other.at < at or", "other.at > at or"),
        ),
        (
            "a tenant at its cap stays in the other ring",
            ("redis.call('ZREM', RING[other], unpack(out))", ""),
        ),
        (
            "a ring's size is not what wakes",
            ("stock[class] = left + aside", "stock[class] = 1"),
        ),
    ];
    let mut redis = connect();
    let sound = Scripts::new(&[TIME]);
    let mut noticed = HashMap::new();
    for (what, change) in broken {
        let scripts = Scripts::new(&[TIME, *change]);
        let at = (0..400).find(|seed| conform(&mut redis, &scripts, *seed).is_err());
        let at = at.unwrap_or_else(|| panic!("not noticed: {what}"));
        assert_eq!(
            conform(&mut redis, &sound, at),
            Ok(()),
            "noticed for another reason: {what}"
        );
        noticed.insert(*what, at);
    }
    eprintln!("noticed at seed: {noticed:?}");
}

fn answer<T>(answer: RedisResult<T>) -> Result<T, String> {
    answer.map_err(|error| error.to_string())
}

fn same<T: PartialEq + std::fmt::Debug>(theirs: &T, ours: &T, what: &str) -> Result<(), String> {
    if theirs == ours {
        Ok(())
    } else {
        Err(format!("{what}: redis {theirs:?}, model {ours:?}"))
    }
}

fn text(key: Key) -> String {
    ticket(key).to_string()
}

fn uuid(rng: &mut Rng) -> Uuid {
    Uuid::from_u64_pair(rng.next(), rng.next())
}
