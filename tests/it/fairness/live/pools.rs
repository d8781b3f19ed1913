//! Worker processes that take tickets of one class only.

use shared::{
    domain::{Class, Stream, Verdict, WorkerPool},
    queue::{Lease, Slots, Ticket},
};

use super::{
    counters::until_waiting,
    worker::{Worker, open, own_redis, push_until_heard, tickets},
};
use crate::support::wait_for;

async fn done(_: Lease) -> Verdict {
    Verdict::Done
}

#[tokio::test(flavor = "multi_thread")]
async fn each_pool_takes_its_class_and_leaves_the_other() {
    let own = own_redis(&[]);
    for (pool, class) in [
        (WorkerPool::Fresh, Class::Fresh),
        (WorkerPool::Backfill, Class::Backfill),
    ] {
        let (queue, _, _) = open(&own.url());
        // More than one poll can claim, with both classes for each tenant's turn.
        let fresh = tickets(40, Stream::Contacts);
        let both = fresh.into_iter().flat_map(|fresh| {
            let backfill = Ticket::new(fresh.tenant, fresh.connection, Stream::Threads);
            [fresh, backfill]
        });
        push_until_heard(&queue, &both.collect::<Vec<_>>()).await;
        let worker = Worker::start(&queue, Slots::new(3, pool), done);
        worker
            .until("its tickets are done", |worker| worker.slices() >= 40)
            .await;
        worker.until_asked_again(&queue).await;
        let seen = worker.stop().await;
        let of_class = |lease: &&Lease| lease.ticket.class() == class;
        assert_eq!(
            (seen.iter().filter(of_class).count(), seen.len()),
            (40, 40),
            "{pool}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wake_up_goes_to_a_worker_that_can_use_it() {
    let own = own_redis(&[]);
    let (queue, mut redis, _) = open(&own.url());
    let fresh = Worker::start(&queue, Slots::new(3, WorkerPool::Fresh), done);
    let backfill = Worker::start(&queue, Slots::new(3, WorkerPool::Backfill), done);
    until_waiting(&mut redis, 2).await;
    push_until_heard(&queue, &tickets(5, Stream::Threads)).await;
    backfill
        .until("the threads are done", |worker| worker.slices() == 5)
        .await;
    push_until_heard(&queue, &tickets(5, Stream::Contacts)).await;
    fresh
        .until("the contacts are done", |worker| worker.slices() == 5)
        .await;
    assert_eq!(
        (fresh.stop().await.len(), backfill.stop().await.len()),
        (5, 5)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_of_backfill_uses_all_its_slots() {
    let own = own_redis(&[]);
    let (queue, _, _) = open(&own.url());
    let worker = Worker::start(&queue, Slots::new(5, WorkerPool::Backfill), |_| {
        std::future::pending::<Verdict>()
    });
    push_until_heard(&queue, &tickets(6, Stream::Threads)).await;
    worker
        .until("five slices run", |worker| worker.seen().len() == 5)
        .await;
    worker.until_asked_again(&queue).await;
    assert_eq!(worker.seen().len(), 5);
    let report = wait_for("the worker reports its pool", async || {
        let workers = queue.workers().await.map_err(|error| error.to_string())?;
        let report = workers.into_iter().map(|worker| worker.report).next();
        report
            .filter(|report| report.busy == 5)
            .ok_or_else(|| "no report of five busy slots".to_owned())
    })
    .await;
    assert_eq!((report.pool, report.slots), (WorkerPool::Backfill, 5));
    // The slices never end by themselves.
    worker.running.abort();
}
