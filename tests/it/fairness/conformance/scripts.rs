//! The real scripts, with changes of a test in their text.

use redis::Script;
use shared::queue::scripts;

/// What a test changes in the scripts' text: (what is there, what to put instead).
pub(in crate::fairness) type Change = (&'static str, &'static str);

/// The one change that every test makes: the time comes from a key.
pub(super) const TIME: Change = (
    "redis.call('TIME')",
    "redis.call('LRANGE', KEYS[1] .. ':time', 0, 1)",
);

pub(in crate::fairness) struct Scripts {
    pub(in crate::fairness) push: Script,
    pub(in crate::fairness) poll: Script,
    pub(super) renew: Script,
    pub(super) pause: Script,
    pub(super) stats: Script,
    pub(super) raise_fence: Script,
}

impl Scripts {
    pub(in crate::fairness) fn new(changes: &[Change]) -> Self {
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
