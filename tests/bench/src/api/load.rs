//! Clients that send one request after the other, as fast as they are answered.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use crate::{
    fleet::Fleet,
    process,
    report::{Failure, percentile},
};

/// One client.
pub(super) trait Caller: Send + 'static {
    /// Sends the request of this number, and returns how long the answer took.
    fn call(&mut self, request: usize) -> impl Future<Output = Result<Duration, Failure>> + Send;
}

/// What some calls took.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// The number of the request, and how long its answer took.
    pub(super) times: Vec<(usize, Duration)>,
    pub(super) seconds: f64,
    pub(super) cpu: CpuSeconds,
}

/// CPU seconds of each side.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CpuSeconds {
    pub(super) api: f64,
    pub(super) postgres: f64,
    pub(super) client: f64,
}

impl CpuSeconds {
    fn now(fleet: &Fleet) -> Self {
        Self {
            api: fleet.api_cpu_seconds(),
            postgres: fleet.postgres_cpu_seconds(),
            client: process::usage(std::process::id()).cpu_seconds,
        }
    }
}

impl Load {
    /// Makes so many calls by all callers together. The requests come in turn, each as often as the others.
    pub(super) async fn of<C: Caller>(
        fleet: &Fleet,
        callers: Vec<C>,
        requests: usize,
        calls: usize,
    ) -> Result<Self, Failure> {
        let before = CpuSeconds::now(fleet);
        let begun = Instant::now();
        let next = Arc::new(AtomicUsize::new(0));
        let mut running = JoinSet::new();
        for mut caller in callers {
            let next = Arc::clone(&next);
            running.spawn(async move {
                let mut times = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= calls {
                        return Ok::<_, Failure>(times);
                    }
                    let request = number % requests;
                    times.push((request, caller.call(request).await?));
                }
            });
        }
        let mut times = Vec::with_capacity(calls);
        while let Some(ended) = running.join_next().await {
            times.extend(ended??);
        }
        let seconds = begun.elapsed().as_secs_f64();
        let after = CpuSeconds::now(fleet);
        Ok(Self {
            times,
            seconds,
            cpu: CpuSeconds {
                api: after.api - before.api,
                postgres: after.postgres - before.postgres,
                client: after.client - before.client,
            },
        })
    }

    /// Adds calls that were made later.
    pub(super) fn add(&mut self, later: Self) {
        self.times.extend(later.times);
        self.seconds += later.seconds;
        self.cpu.api += later.cpu.api;
        self.cpu.postgres += later.cpu.postgres;
        self.cpu.client += later.cpu.client;
    }

    /// The milliseconds that so many of 100 calls did not exceed, of the requests that are meant.
    pub(super) fn percentile_ms(&self, of_hundred: usize, meant: impl Fn(usize) -> bool) -> f64 {
        let times = self.times.iter().filter(|(request, _)| meant(*request));
        percentile(times.map(|(_, time)| time.as_secs_f64() * 1e3), of_hundred)
    }

    pub(super) fn per_second(&self) -> f64 {
        self.times.len() as f64 / self.seconds
    }

    /// Microseconds of CPU per call.
    pub(super) fn cpu_us(&self, whose: fn(&CpuSeconds) -> f64) -> f64 {
        whose(&self.cpu) * 1e6 / self.times.len() as f64
    }
}
