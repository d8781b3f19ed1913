//! An even pace inside one process. It wraps `governor` and takes the time as an argument.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::Clock,
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{InMemoryState, NotKeyed},
};

/// A number of calls per time, some of them at once.
#[derive(Debug)]
pub(super) struct Limiter {
    clock: ManualClock,
    limiter: RateLimiter<NotKeyed, InMemoryState, ManualClock, NoOpMiddleware<Nanos>>,
}

impl Limiter {
    /// `calls` in each `time`, at most `burst` at once. Both counts are at least one.
    pub(super) fn new(calls: u32, time: Duration, burst: u32) -> Self {
        let clock = ManualClock::default();
        let period = (time / calls.max(1)).max(Duration::from_nanos(1));
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(period)
            .unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN))
            .allow_burst(burst);
        Self {
            limiter: RateLimiter::direct_with_clock(quota, clock.clone()),
            clock,
        }
    }

    /// Takes one call, or returns the time until the next one.
    pub(super) fn take(&self, now: Duration) -> Result<(), Duration> {
        self.clock.0.store(
            u64::try_from(now.as_nanos()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
        self.limiter
            .check()
            .map_err(|not_yet| not_yet.wait_time_from(self.clock.now()))
    }
}

/// A clock that shows the time it was last set to.
#[derive(Clone, Debug, Default)]
struct ManualClock(Arc<AtomicU64>);

impl Clock for ManualClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.load(Ordering::Relaxed).into()
    }
}
