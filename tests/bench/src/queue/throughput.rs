//! Slices a second, beside the raw server at the same batch and beside the rivals; and calls a slice.

use std::time::{Duration, Instant};

use super::{
    bullmq_npm,
    fleets::{Noop, Worker, tickets},
    redis_server::Server,
};
use crate::report::{Failure, Report};

const TENANTS: usize = 1_000;
pub(super) const SLOTS: usize = 64;
const PATIENCE: Duration = Duration::from_secs(120);
const FLOOR: Duration = Duration::from_secs(3);
/// Jobs for a drain: ours and the rivals'.
pub(super) const JOBS: u64 = 20_000;

pub(super) async fn measure(report: &mut Report, redis: &Server) -> Result<(), Failure> {
    for (name, slots, slices) in [("", SLOTS, 300_000), (".1_slot", 1, 30_000)] {
        let floor = floor(redis, slots).await?;
        let ours = rounds(redis, slots, slices).await?;
        report.add(&format!("queue.noop_slices_per_second{name}"), ours, "1/s", Some(floor));
    }
    let drained = drain(redis).await?;
    report.add("queue.noop_slices_per_second.drain", drained, "1/s", None);
    // Ours is the rivals' baseline: a ratio below 1 is a slower rival.
    #[cfg(feature = "rivals")]
    for (name, rate) in super::rivals::rates(redis).await {
        match rate {
            Ok(rate) => report.add_rival(&format!("queue.noop_slices_per_second.{name}"), rate, drained),
            Err(error) => eprintln!("bench: SKIPPED {name}: {error}"),
        }
    }
    #[cfg(not(feature = "rivals"))]
    eprintln!(
        "bench: SKIPPED apalis-redis and bullmq-official: built without the feature `rivals` (make bench has it)"
    );
    match bullmq_npm::rate(redis).await {
        Ok(rate) => report.add_rival("queue.noop_slices_per_second.bullmq_npm", rate, drained),
        Err(error) => eprintln!("bench: SKIPPED BullMQ (npm): {error}"),
    }
    Ok(())
}

/// Calls of clients for each slice, counted by the server.
pub(super) async fn calls(report: &mut Report, redis: &Server) -> Result<(), Failure> {
    for (name, slots, slices) in [(".1_slot", 1, 3_000_u64), (".64_slots", SLOTS, 30_000)] {
        let queue = redis.fresh().await?;
        queue.push(&tickets(TENANTS)).await?;
        let calls = redis.count_calls().await?;
        let fleet = Noop::rounds(slices);
        let worker = Worker::start(&queue, slots, &fleet);
        fleet.rate(PATIENCE).await?;
        worker.stop().await;
        // The last lines of MONITOR are still on their way; a stopped worker adds none.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let counted = calls.so_far() as f64;
        report.add(&format!("queue.redis_calls_per_slice{name}"), counted / slices as f64, "calls", None);
    }
    Ok(())
}

async fn rounds(redis: &Server, slots: usize, slices: u64) -> Result<f64, Failure> {
    let queue = redis.fresh().await?;
    queue.push(&tickets(TENANTS)).await?;
    let fleet = Noop::rounds(slices);
    let worker = Worker::start(&queue, slots, &fleet);
    let rate = fleet.rate(PATIENCE).await;
    worker.stop().await;
    rate
}

/// What the rivals do: so many jobs are there, each is worked once.
async fn drain(redis: &Server) -> Result<f64, Failure> {
    let queue = redis.fresh().await?;
    queue.push(&tickets(JOBS as usize)).await?;
    let fleet = Noop::once(JOBS);
    let worker = Worker::start(&queue, SLOTS, &fleet);
    let rate = fleet.rate(PATIENCE).await;
    worker.stop().await;
    rate
}

/// The least that any queue asks of Redis: a job is popped and pushed back, `batch` of them in one round trip.
async fn floor(redis: &Server, batch: usize) -> Result<f64, Failure> {
    redis.fresh().await?;
    let mut connection = redis.connection.clone();
    let job = tickets(1)[0].to_string();
    let mut fill = redis::pipe();
    (0..TENANTS).for_each(|_| {
        fill.cmd("LPUSH").arg("floor").arg(&job).ignore();
    });
    fill.query_async::<()>(&mut connection).await?;
    let (begun, mut jobs) = (Instant::now(), 0);
    while begun.elapsed() < FLOOR {
        let mut round = redis::pipe();
        for _ in 0..batch {
            round.cmd("RPOP").arg("floor").cmd("LPUSH").arg("floor").arg(&job);
        }
        let answers: Vec<redis::Value> = round.query_async(&mut connection).await?;
        jobs += answers.len() / 2;
    }
    Ok(jobs as f64 / begun.elapsed().as_secs_f64())
}
