//! Slices a second, beside the raw server at the same batch size and beside rival queues, and calls per slice.

use std::time::{Duration, Instant};

use super::{
    bullmq_npm,
    fleets::{Noop, Worker, quantile, tickets},
    redis_server::Server,
};
use crate::report::{Failure, Report};

const TENANTS: usize = 1_000;
/// A worker has two calls under way, so that with as many slots each of them carries a whole batch: ours, the
/// floor's and the rivals'.
pub(super) const SLOTS: usize = 2 * BATCH;
pub(super) const BATCH: usize = 64;
const PATIENCE: Duration = Duration::from_secs(120);
const FLOOR: Duration = Duration::from_millis(800);
const TURNS: usize = 5;
/// Jobs for a drain: ours and the rivals'.
pub(super) const JOBS: u64 = 20_000;

pub(super) async fn measure(report: &mut Report, redis: &Server) -> Result<(), Failure> {
    for (name, slots, batch, slices) in [("", SLOTS, BATCH, 80_000), (".1_slot", 1, 1, 5_000)] {
        // In turns, and the middle of each: a machine's speed drifts.
        let (mut bare, mut floor, mut ours) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..TURNS {
            bare.push(pop_and_push(redis, batch).await?);
            floor.push(lease_and_settle(redis, batch).await?);
            ours.push(rounds(redis, slots, slices).await?);
        }
        let [bare, floor, ours] = [bare, floor, ours].map(|mut rates| quantile(&mut rates, 0.5));
        report.add(
            &format!("queue.noop_slices_per_second{name}"),
            ours,
            "1/s",
            Some(floor),
        );
        report.add(
            &format!("queue.noop_slices_per_second{name}.of_pop_and_push"),
            ours,
            "1/s",
            Some(bare),
        );
    }
    let mut drains = Vec::new();
    for _ in 0..TURNS {
        drains.push(drain(redis).await?);
    }
    let drained = quantile(&mut drains, 0.5);
    report.add("queue.noop_slices_per_second.drain", drained, "1/s", None);
    // Ours is the rivals' baseline: a ratio below 1 is a slower rival.
    #[cfg(feature = "rivals")]
    for (name, rate) in super::rivals::rates(redis).await {
        match rate {
            Ok(rate) => report.add_rival(
                &format!("queue.noop_slices_per_second.{name}"),
                rate,
                drained,
            ),
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
    for (name, slots, slices) in [(".1_slot", 1, 3_000_u64), (".64_slots", 64, 30_000)] {
        let queue = redis.fresh().await?;
        queue.push(&tickets(TENANTS)).await?;
        let calls = redis.count_calls().await?;
        let fleet = Noop::rounds(slices);
        let worker = Worker::start(&queue, slots, &fleet);
        fleet.rate(PATIENCE).await?;
        worker.stop().await;
        // MONITOR sends its last lines with a delay. A stopped worker adds none.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let counted = calls.so_far() as f64;
        report.add(
            &format!("queue.redis_calls_per_slice{name}"),
            counted / slices as f64,
            "calls",
            None,
        );
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

/// The least that any queue asks of Redis: a job is popped and pushed back.
async fn pop_and_push(redis: &Server, batch: usize) -> Result<f64, Failure> {
    floor(redis, batch, |round, job, _| {
        round
            .cmd("RPOP")
            .arg("floor")
            .ignore()
            .cmd("LPUSH")
            .arg("floor")
            .arg(job);
    })
    .await
}

/// The fewest commands of a queue that leases its tickets as ours does: pop, lease under a fence,
/// compare the fence, end the lease, push back. It has no turns, caps or counts, and lets one ticket run twice.
async fn lease_and_settle(redis: &Server, batch: usize) -> Result<f64, Failure> {
    floor(redis, batch, |round, job, number| {
        round.cmd("RPOP").arg("floor").ignore();
        round
            .cmd("ZADD")
            .arg("leases")
            .arg(1_800_000_000_000_u64)
            .arg(job)
            .ignore();
        round
            .cmd("HSET")
            .arg("tickets")
            .arg(job)
            .arg(number)
            .ignore();
        round.cmd("HGET").arg("tickets").arg(job).ignore();
        round.cmd("ZREM").arg("leases").arg(job).ignore();
        round.cmd("HDEL").arg("tickets").arg(job).ignore();
        round.cmd("LPUSH").arg("floor").arg(job);
    })
    .await
}

/// Jobs a second by plain commands, `batch` jobs in one round trip. The last command of each job says that it ran.
async fn floor(
    redis: &Server,
    batch: usize,
    each: impl Fn(&mut redis::Pipeline, &str, u64),
) -> Result<f64, Failure> {
    redis.fresh().await?;
    let mut connection = redis.connection.clone();
    let jobs: Vec<String> = tickets(TENANTS).iter().map(ToString::to_string).collect();
    let mut fill = redis::pipe();
    for job in &jobs {
        fill.cmd("LPUSH").arg("floor").arg(job).ignore();
    }
    fill.query_async::<()>(&mut connection).await?;
    let (begun, mut done, mut next) = (Instant::now(), 0, jobs.iter().cycle());
    while begun.elapsed() < FLOOR {
        let mut round = redis::pipe();
        for job in next.by_ref().take(batch) {
            done += 1;
            each(&mut round, job, done);
        }
        let answers: Vec<i64> = round.query_async(&mut connection).await?;
        if answers.len() != batch {
            return Err(format!("{} of {batch} jobs were answered", answers.len()).into());
        }
    }
    Ok(done as f64 / begun.elapsed().as_secs_f64())
}
