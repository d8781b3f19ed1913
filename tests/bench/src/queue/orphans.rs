//! How long the work of a killed worker waits: a real process, `kill -9`.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use shared::{
    domain::{Secret, Verdict},
    queue::{Fleet, Lease, Queue, SliceEnd},
    shutdown::Shutdown,
};

use super::{
    fleets::{Starts, Worker, quantile, tickets},
    redis_server::Server,
};
use crate::{
    report::{Failure, Report},
    roles,
};

const ROUNDS: usize = 8;
const SLOTS: usize = 64;

pub(super) async fn measure(report: &mut Report, redis: &Server) -> Result<(), Failure> {
    let mut waits = Vec::new();
    for _ in 0..ROUNDS {
        let queue = redis.fresh().await?;
        let mut hostage = roles::queue_worker(&redis.url)?;
        let held = tickets(SLOTS);
        queue.push(&held).await?;
        let begun = Instant::now();
        while queue.stats().await?.leased < SLOTS as u64 {
            if begun.elapsed() > Duration::from_secs(10) {
                return Err("the worker to be killed took nothing".into());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let heir = Arc::new(Starts::default());
        let worker = Worker::start(&queue, SLOTS, &heir);
        // At any point between two renewals.
        tokio::time::sleep(Duration::from_millis(rand::random_range(500..3_500))).await;
        if heir.len() > 0 {
            return Err("work was taken from a living worker".into());
        }
        hostage.child.kill()?;
        let killed = Instant::now();
        heir.until(SLOTS, Duration::from_secs(40)).await?;
        worker.stop().await;
        waits.extend(
            held.iter()
                .filter_map(|ticket| Some((heir.of(ticket)? - killed).as_secs_f64())),
        );
    }
    report.add(
        "queue.orphan_recovery_p99_seconds",
        quantile(&mut waits, 0.99),
        "s",
        None,
    );
    report.add(
        "queue.orphan_recovery_p50_seconds",
        quantile(&mut waits, 0.5),
        "s",
        None,
    );
    Ok(())
}

/// Never done.
struct Hold;

impl Fleet for Hold {
    async fn work(&self, _: Lease) -> SliceEnd {
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        Verdict::Release.into()
    }
}

/// The process that is killed: takes what it can, and keeps it.
pub(crate) fn run_hostage(url: &str) -> Result<(), Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let queue = Queue::open(&Secret::new(url), "bench")?;
            Ok(shared::queue::run(queue, SLOTS, Arc::new(Hold), Shutdown::new()).await?)
        })
}
