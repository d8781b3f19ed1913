//! The embedded Redis of `tests/simulation` beside a real one: the same scene has the same outcome on both.

use redis::{Connection, Script};
use shared::{
    config::RateLimitScope,
    pacing::{LEDGER_SCRIPT, RawLedgerReply},
};
use simulation::pacing::{EmbeddedRedis, Redis, Scene, run_on};

use crate::support::servers;

/// The one change of the ledger script: the time comes with the call, because no client can set Redis' clock.
const TIME: (&str, &str) = ("redis.call('TIME')", "{ARGV[#ARGV - 1], ARGV[#ARGV]}");

struct RealRedis {
    connection: Connection,
    ledger: Script,
    prefix: String,
}

impl RealRedis {
    fn new() -> Self {
        let client = redis::Client::open(servers().redis_url()).unwrap();
        let ledger = LEDGER_SCRIPT.replace(TIME.0, TIME.1);
        // A script that no longer reads the time in this way would compare nothing.
        assert!(ledger != LEDGER_SCRIPT);
        Self {
            connection: client.get_connection().unwrap(),
            ledger: Script::new(&ledger),
            prefix: uuid::Uuid::now_v7().simple().to_string(),
        }
    }

    fn key(&self, budget: usize) -> String {
        format!("{{sim:{}:{budget}}}", self.prefix)
    }
}

impl Redis for RealRedis {
    fn ledger(&mut self, budget: usize, arguments: &[Vec<u8>], now: u64) -> RawLedgerReply {
        let mut call = self.ledger.key(self.key(budget));
        for argument in arguments {
            call.arg(argument.as_slice());
        }
        call.arg(now / 1_000).arg(now % 1_000 * 1_000);
        call.invoke(&mut self.connection).unwrap()
    }

    fn flush(&mut self) {
        let keys: Vec<String> = redis::cmd("KEYS")
            .arg(format!("{{sim:{}:*", self.prefix))
            .query(&mut self.connection)
            .unwrap();
        assert!(!keys.is_empty());
        redis::cmd("DEL")
            .arg(keys)
            .query::<()>(&mut self.connection)
            .unwrap();
    }
}

#[test]
fn the_embedded_redis_decides_as_the_real_one_does() {
    let scenes = [
        Scene {
            kill_every: Some(20),
            lost: 10,
            redis_lost: 10,
            foreign: 0.2,
            ..Scene::default()
        },
        Scene {
            redis_away: Some((30, 60)),
            fresh_every: Some(500),
            ..Scene::default()
        },
        Scene {
            silent: Some((30, 60)),
            date_ahead: 2_000,
            ..Scene::default()
        },
        Scene {
            redis_clock: Some((60, 5_000)),
            ..Scene::default()
        },
        Scene {
            workspaces: 4,
            scope: RateLimitScope::App,
            one_bucket: true,
            ..Scene::default()
        },
    ];
    for (i, scene) in scenes.iter().enumerate() {
        // The same scene, seed and clock on both.
        let embedded = run_on(scene, 1, true, &mut EmbeddedRedis::new(None));
        let real = run_on(scene, 1, true, &mut RealRedis::new());
        assert!(
            embedded.calls > 1_000,
            "scene {i}: {} calls",
            embedded.calls
        );
        assert_eq!(embedded.sent, real.sent, "scene {i}");
        assert_eq!(embedded.contradictions, real.contradictions, "scene {i}");
        assert_eq!(embedded.throttled, real.throttled, "scene {i}");
        assert_eq!(embedded.redis_calls, real.redis_calls, "scene {i}");
    }
}
