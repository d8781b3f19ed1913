//! The scripts, loaded once.

use redis::Script;

/// Every script begins with `lib.lua`.
macro_rules! script {
    ($file:literal) => {
        Script::new(concat!(
            include_str!("scripts/lib.lua"),
            include_str!(concat!("scripts/", $file))
        ))
    };
}

pub(super) struct Scripts {
    pub push: Script,
    pub exchange: Script,
    pub renew: Script,
    pub pause: Script,
    pub look: Script,
    pub raise_fence: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            push: script!("push.lua"),
            exchange: script!("exchange.lua"),
            renew: script!("renew.lua"),
            pause: script!("pause.lua"),
            look: script!("look.lua"),
            raise_fence: Script::new(include_str!("scripts/raise_fence.lua")),
        }
    }
}
