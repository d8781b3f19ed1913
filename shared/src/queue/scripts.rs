//! The Lua scripts: their texts, and the handles that load them once.
//!
//! A script is the concatenation of its parts, so that several scripts share the clock and the cache. The texts
//! are public for the conformance tests, which run the same text against the model.

use redis::Script;

/// Concatenates parts of a script. The parts that every script needs come first.
macro_rules! script {
    ($($part:literal),+) => {
        concat!(
            include_str!("scripts/keys.lua"),
            include_str!("scripts/clock.lua"),
            include_str!("scripts/ticket.lua"),
            include_str!("scripts/cache.lua"),
            include_str!("scripts/ring.lua"),
            $(include_str!(concat!("scripts/", $part))),+
        )
    };
}

pub const PUSH: &str = script!("push.lua");
pub const POLL: &str = script!(
    "lease.lua",
    "settle.lua",
    "reap.lua",
    "promote.lua",
    "claim.lua",
    "poll.lua"
);
pub const RENEW: &str = script!("renew.lua");
pub const PAUSE: &str = script!("pause.lua");
pub const STATS: &str = script!("stats.lua");
pub const JOBS: &str = script!("jobs.lua");
pub const MINUTES: &str = script!("minutes.lua");
pub const WORKERS: &str = script!("workers.lua");
pub const WATCH: &str = include_str!("scripts/watch.lua");
pub const RAISE_FENCE: &str = include_str!("scripts/raise_fence.lua");
pub const PROBE: &str = include_str!("scripts/probe.lua");

pub(super) struct Scripts {
    pub push: Script,
    pub poll: Script,
    pub renew: Script,
    pub pause: Script,
    pub stats: Script,
    pub jobs: Script,
    pub minutes: Script,
    pub workers: Script,
    pub watch: Script,
    pub raise_fence: Script,
    pub probe: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            push: Script::new(PUSH),
            poll: Script::new(POLL),
            renew: Script::new(RENEW),
            pause: Script::new(PAUSE),
            stats: Script::new(STATS),
            jobs: Script::new(JOBS),
            minutes: Script::new(MINUTES),
            workers: Script::new(WORKERS),
            watch: Script::new(WATCH),
            raise_fence: Script::new(RAISE_FENCE),
            probe: Script::new(PROBE),
        }
    }
}
