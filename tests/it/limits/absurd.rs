//! Headers of any value: nothing hangs, and the budget goes on.

use std::time::Duration;

use shared::{
    domain::Class,
    pacing::{CallReport, LedgerReply, LedgerRequest, RateLimitHeaders},
};
use simulation::pacing::{EmbeddedRedis, Redis};

/// The clock of Redis at the start of a sequence, in milliseconds.
const START: u64 = 1_767_225_600_000;
/// A spent window and a broken clock cost no more than this.
const RECOVERY: u64 = 120_000;

/// A number of a sequence, the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())]
    }

    fn report(&mut self, now: u64) -> CallReport {
        let second = now / 1_000;
        let counts = [
            None,
            Some(0),
            Some(1),
            Some(166),
            Some(167),
            Some(4_000_000_000),
            Some(u64::MAX),
        ];
        let times = [
            None,
            Some(0),
            Some(second - 3_600),
            Some(second + 5),
            Some(second + 59),
            Some(second + 3_599),
            Some(second * 1_000),
            Some(u64::MAX),
        ];
        CallReport {
            tick: 0,
            sent_ago: Duration::from_millis(200),
            received_ago: Duration::ZERO,
            refused: self.roll(3) == 0,
            headers: RateLimitHeaders {
                limit: self.pick(&counts),
                remaining: self.pick(&counts),
                reset: self.pick(&times),
                date: self.pick(&times),
                retry_after: self.pick(&[
                    None,
                    Some(Duration::ZERO),
                    Some(Duration::from_secs(60)),
                ]),
            },
        }
    }
}

fn ask(redis: &mut EmbeddedRedis, reports: Vec<CallReport>, now: u64) -> LedgerReply {
    let request = LedgerRequest {
        class: Some(Class::Fresh),
        requested: 5,
        reports,
        unused: Vec::new(),
    };
    redis.ledger(0, &request.arguments("a", 0.8), now).into()
}

#[test]
fn rate_limit_headers_of_any_value_hang_nothing() {
    for seed in 0..2_000 {
        let (mut dice, mut redis, mut now) = (Dice(seed), EmbeddedRedis::new(None), START);
        for _ in 0..8 {
            let reports = (0..=dice.roll(4)).map(|_| dice.report(now)).collect();
            ask(&mut redis, reports, now);
            now += dice.pick(&[1, 300, 9_000, 61_000]);
        }
        let until = now + RECOVERY;
        loop {
            let reply = ask(&mut redis, Vec::new(), now);
            if reply.granted > 0 {
                break;
            }
            now += u64::try_from(reply.wait.as_millis()).unwrap().max(1);
            assert!(now <= until, "seed {seed} waits for too long: {reply:?}");
        }
    }
}
