//! One step of the comparison: the same operation on a real Redis and on the model.

use redis::{Commands, Connection, RedisResult};
use shared::{
    domain::{Class, ConnectionId, Stream, TenantId},
    queue::{PauseScope, Ticket},
};
use simulation::{
    queue::model::{Bug, Capacity, Claimed, Key, Lane, Model, Settlement, Verdict, key, ticket},
    rng::Rng,
};
use uuid::Uuid;

use super::{Scripts, answer, same, states::glob};

const LEASE: i64 = 6_000;

/// What a poll answers: when a parked ticket is due, how many were reaped, what was settled, claimed and refused.
pub(in crate::fairness) type Answer = (
    i64,
    usize,
    Vec<bool>,
    Vec<(String, i64, u32, i64)>,
    Vec<String>,
);
/// Both sides, and what the driver knows of them.
pub(super) struct Pair<'a> {
    pub(super) redis: &'a mut Connection,
    scripts: &'a Scripts,
    pub(super) prefix: String,
    pub(super) model: Model,
    raw: i64,
    tenants: Vec<TenantId>,
    tickets: Vec<Key>,
    /// Leases that were given out, the newest last. Some are stale.
    leases: Vec<(Key, i64)>,
}

type Step = Result<String, String>;

impl<'a> Pair<'a> {
    pub(super) fn new(redis: &'a mut Connection, scripts: &'a Scripts, rng: &mut Rng) -> Self {
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

    pub(super) fn step(&mut self, rng: &mut Rng, cap: i64) -> Step {
        self.raw += match rng.between(0, 10) {
            // Often no time passes, because the order within a millisecond is where scripts go wrong.
            0..4 => 0,
            4..7 => rng.between(1, 300),
            7..9 => rng.between(300, 4_000),
            _ => rng.between(4_000, 15_000),
        };
        if rng.chance(3) {
            // A failover may bring an older clock.
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
        // A poll without free slots still settles and reaps.
        let limit = if rng.chance(15) {
            0
        } else {
            rng.between(1, 7) as usize
        };
        let capacity = Capacity {
            limit,
            // A worker of one class has no slot for the other.
            fresh_limit: if rng.chance(20) { 0 } else { limit },
            backfill_limit: rng.between(0, limit as i64 + 1) as usize,
            suspects: rng.between(0, 2) as u32,
            pass_on: rng.chance(10),
        };
        let settlements = self.settlements(rng);
        let mut call = self.scripts.poll.key(&self.prefix);
        call.arg(LEASE)
            .arg(cap)
            .arg(capacity.limit)
            .arg(capacity.fresh_limit)
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
        // Order and number of the answers are compared as well, because Rust reads them by place.
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
        // Also leases that expire are kept, so that a later settlement may be stale.
        self.leases.extend(
            claimed
                .iter()
                .map(|claimed| (claimed.ticket, claimed.fence)),
        );
        same(&claimed, &ours.claimed, "claimed")?;
        Ok(format!("poll cap {cap} {capacity:?} {settlements:?}"))
    }

    /// Ends of slices: mostly of a live lease, now and then of a stale one.
    fn settlements(&self, rng: &mut Rng) -> Vec<Settlement> {
        let mut settlements = Vec::new();
        for _ in 0..rng.between(0, 4) {
            if self.leases.is_empty() {
                break;
            }
            // Mostly a live lease, and now and then a stale one.
            let back = rng.between(0, self.leases.len().min(6) as i64 + 1) as usize;
            let at = self
                .leases
                .len()
                .saturating_sub(back)
                .min(self.leases.len() - 1);
            let (ticket, fence) = self.leases[at];
            // A fence that was never given out must settle nothing.
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
        settlements
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

    pub(super) fn flush(&mut self) -> Step {
        let keys: Vec<String> = answer(self.redis.keys(format!("{}:*", glob(&self.prefix))))?;
        // Redis refuses a DEL without keys.
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

pub(super) fn text(key: Key) -> String {
    ticket(key).to_string()
}

fn uuid(rng: &mut Rng) -> Uuid {
    Uuid::from_u64_pair(rng.next(), rng.next())
}
