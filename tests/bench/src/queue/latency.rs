//! From push to start, when nothing else is going on.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    fleets::{Starts, Worker, quantile, tickets},
    redis_server::Server,
};
use crate::report::{Failure, Report};

const SAMPLES: usize = 2_000;

pub(super) async fn measure(report: &mut Report, redis: &Server) -> Result<(), Failure> {
    let queue = redis.fresh().await?;
    let fleet = Arc::new(Starts::default());
    let worker = Worker::start(&queue, 64, &fleet);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut waits = Vec::with_capacity(SAMPLES);
    for (number, ticket) in tickets(SAMPLES).into_iter().enumerate() {
        let pushed = Instant::now();
        queue.push(&[ticket]).await?;
        fleet.until(number + 1, Duration::from_secs(10)).await?;
        let begun = fleet.of(&ticket).ok_or("a ticket that never began")?;
        waits.push(begun.saturating_duration_since(pushed).as_secs_f64() * 1e3);
        // Idle again before the next.
        tokio::time::sleep(Duration::from_millis(4)).await;
    }
    worker.stop().await;
    report.add(
        "queue.start_latency_p50_ms",
        quantile(&mut waits, 0.5),
        "ms",
        None,
    );
    report.add(
        "queue.start_latency_p99_ms",
        quantile(&mut waits, 0.99),
        "ms",
        None,
    );
    Ok(())
}
