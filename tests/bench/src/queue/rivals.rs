//! The rivals that are crates: as many no-op jobs, as many at once, on the same server.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use apalis_core::{
    backend::TaskSink, error::BoxDynError, task::data::Data, worker::builder::WorkerBuilder,
};
use apalis_redis::{Config, RedisStorage};
use bullmq::{
    Job, QueueOptions, WorkerOptions, options::RedisConnectionOptions, types::RemoveOnFinish,
    worker::CancellationToken,
};

use super::{
    redis_server::Server,
    throughput::{BATCH, JOBS, SLOTS},
};
use crate::report::Failure;

const PATIENCE: Duration = Duration::from_secs(120);
/// apalis-redis slows down with the depth of its queue, and wedges with 8,000 due: it gets its jobs in bites.
const BITE: u64 = 5_000;

/// Jobs a second of each.
pub(super) async fn rates(redis: &Server) -> Vec<(&'static str, Result<f64, Failure>)> {
    vec![
        ("apalis_redis", apalis(redis, true).await),
        // Without locks on tasks. This is its fastest setting, but then it does not know the holder of a task.
        ("apalis_redis_unlocked", apalis(redis, false).await),
        ("bullmq_official", bullmq(redis).await),
    ]
}

async fn apalis(redis: &Server, lock: bool) -> Result<f64, Failure> {
    let mut seconds = 0.0;
    for _ in 0..JOBS / BITE {
        redis.fresh().await?;
        let connection = apalis_redis::connect(redis.url.as_str()).await?;
        let config = Config {
            lock_tasks: lock,
            ..Config::default().queue("bench").batch_size(BATCH)
        };
        let mut storage = RedisStorage::<u64>::new(connection).with_config(config);
        storage
            .push_bulk((0..BITE).collect())
            .await
            .map_err(|error| error.to_string())?;
        let count = Arc::new(Count::default());
        let worker = WorkerBuilder::new("bench")
            .backend(storage)
            .data(Arc::clone(&count))
            .build(apalis_job);
        let running =
            tokio::spawn(async move { worker.run().await.map_err(|error| error.to_string()) });
        let taken = count.seconds(BITE, PATIENCE).await;
        if running.is_finished() {
            return Err(format!("its worker ended: {:?}", running.await).into());
        }
        running.abort();
        seconds += taken?;
    }
    Ok(JOBS as f64 / seconds)
}

async fn apalis_job(_: u64, count: Data<Arc<Count>>) -> Result<(), BoxDynError> {
    count.one();
    Ok(())
}

async fn bullmq(redis: &Server) -> Result<f64, Failure> {
    redis.fresh().await?;
    let connection = RedisConnectionOptions::new().url(redis.url.as_str());
    let queue = bullmq::Queue::with_options(
        "bench",
        QueueOptions {
            connection: connection.clone(),
            ..QueueOptions::default()
        },
    )
    .await?;
    for first in (0..JOBS).step_by(1_000) {
        let bulk = (first..first + 1_000)
            .map(|number| bullmq::BulkJob::new("slice", serde_json::json!({"tenant": number})));
        queue.add_bulk(bulk.collect()).await?;
    }
    let count = Arc::new(Count::default());
    let counted = Arc::clone(&count);
    let options = WorkerOptions {
        connection,
        concurrency: SLOTS,
        ..WorkerOptions::default()
    }
    .remove_on_complete(RemoveOnFinish::Bool(true));
    let worker = bullmq::Worker::with_options(
        "bench",
        move |_: Job, _: CancellationToken| {
            let counted = Arc::clone(&counted);
            async move {
                counted.one();
                Ok(serde_json::Value::Null)
            }
        },
        options,
    )
    .await?;
    let taken = count.seconds(JOBS, PATIENCE).await;
    worker.close(2_000).await?;
    Ok(JOBS as f64 / taken?)
}

/// Jobs worked, and when the first and the last were.
#[derive(Debug, Default)]
struct Count {
    jobs: AtomicU64,
    begun: std::sync::OnceLock<Instant>,
}

impl Count {
    fn one(&self) {
        self.begun.get_or_init(Instant::now);
        self.jobs.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits for this many and returns the seconds since the first.
    async fn seconds(&self, wanted: u64, patience: Duration) -> Result<f64, Failure> {
        let asked = Instant::now();
        while self.jobs.load(Ordering::Relaxed) < wanted {
            if asked.elapsed() > patience {
                return Err(format!(
                    "only {} of {wanted} jobs in {patience:?}",
                    self.jobs.load(Ordering::Relaxed)
                )
                .into());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(self
            .begun
            .get()
            .map_or(0.0, |begun| begun.elapsed().as_secs_f64()))
    }
}
