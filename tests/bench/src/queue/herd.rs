//! A million tickets that become ready at one moment.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use shared::{
    domain::{ConnectionId, Stream, TenantId, Verdict},
    queue::{Fleet, Lease, SliceEnd, Ticket},
};

use super::{
    fleets::{Noop, Worker},
    redis_server::Server,
};
use crate::report::{Failure, Report};

const TENANTS: usize = 200_000;
const MILLION: u64 = (TENANTS * Stream::ALL.len()) as u64;
/// Time to push and park them all.
const READY: Duration = Duration::from_secs(180);
const PATIENCE: Duration = Duration::from_secs(300);

/// Parks everything until one moment.
struct Park {
    until: Instant,
    parked: AtomicU64,
}

impl Fleet for Park {
    async fn work(&self, _: Lease) -> SliceEnd {
        self.parked.fetch_add(1, Ordering::Relaxed);
        Verdict::Snooze(
            self.until
                .saturating_duration_since(Instant::now())
                .max(Duration::from_millis(1)),
        )
        .into()
    }
}

pub(super) async fn measure(report: &mut Report, redis: &Server) -> Result<(), Failure> {
    let queue = redis.fresh().await?;
    redis
        .ask::<()>(&["CONFIG", "SET", "slowlog-log-slower-than", "500"])
        .await?;
    redis
        .ask::<()>(&["CONFIG", "SET", "slowlog-max-len", "100000"])
        .await?;
    redis.ask::<()>(&["SLOWLOG", "RESET"]).await?;
    let due = Instant::now() + READY;
    let park = Arc::new(Park {
        until: due,
        parked: AtomicU64::new(0),
    });
    let parker = Worker::start(&queue, 256, &park);
    for _ in 0..TENANTS / 1_000 {
        let batch: Vec<Ticket> = (0..1_000)
            .flat_map(|_| {
                let (tenant, connection) = (TenantId::new(), ConnectionId::new());
                Stream::ALL
                    .iter()
                    .map(move |stream| Ticket::new(tenant, connection, *stream))
            })
            .collect();
        queue.push(&batch).await?;
    }
    while park.parked.load(Ordering::Relaxed) < MILLION {
        if Instant::now() >= due {
            return Err("could not park a million tickets in time".into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    parker.stop().await;
    let parked = queue.stats().await?.parked;
    if parked != MILLION {
        return Err(format!("{parked} tickets are parked, not {MILLION}").into());
    }
    report.add(
        "queue.million_due_bytes_per_parked_ticket",
        redis.info("used_memory").await? / MILLION as f64,
        "B",
        None,
    );
    let fleet = Noop::once(MILLION);
    // Idle workers are waiting when the moment comes, as in production.
    tokio::time::sleep_until((due - Duration::from_millis(1_500)).into()).await;
    let worker = Worker::start(&queue, 64, &fleet);
    tokio::time::sleep_until(due.into()).await;
    let rate = fleet.rate(PATIENCE).await?;
    let first = fleet
        .first()
        .ok_or("no slice")?
        .saturating_duration_since(due);
    worker.stop().await;
    let slow = slow(redis).await?;
    // Its entries would count as memory of what is measured next.
    redis
        .ask::<()>(&["CONFIG", "SET", "slowlog-log-slower-than", "-1"])
        .await?;
    redis.ask::<()>(&["SLOWLOG", "RESET"]).await?;
    let slowest = slow.iter().copied().fold(0.0, f64::max);
    let over = slow.iter().filter(|micros| **micros > 20_000.0).count();
    report.add(
        "queue.million_due_first_slice_ms",
        first.as_secs_f64() * 1e3,
        "ms",
        None,
    );
    report.add("queue.million_due_slices_per_second", rate, "1/s", None);
    report.add(
        "queue.million_due_longest_script_ms",
        slowest / 1e3,
        "ms",
        None,
    );
    // The log is in wall time: a single long one on a busy machine may be the machine's.
    report.add(
        "queue.million_due_scripts_over_20ms",
        over as f64,
        "scripts",
        None,
    );
    report.add(
        "queue.million_due_left",
        (MILLION - fleet.count().min(MILLION)) as f64,
        "tickets",
        None,
    );
    Ok(())
}

/// Microseconds of each command that took longer than half a millisecond since the log was emptied.
async fn slow(redis: &Server) -> Result<Vec<f64>, Failure> {
    let log: Vec<Vec<redis::Value>> = redis.ask(&["SLOWLOG", "GET", "-1"]).await?;
    let micros = log.iter().filter_map(|entry| match entry.get(2) {
        Some(redis::Value::Int(micros)) => Some(*micros as f64),
        _ => None,
    });
    Ok(micros.collect())
}
