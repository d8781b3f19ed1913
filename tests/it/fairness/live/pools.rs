//! Worker processes that take tickets of one class only.

use shared::{
    domain::{Class, Stream, Verdict, WorkerPool},
    queue::{Slots, Ticket},
};

use super::{
    counters::until_waiting,
    worker::{Worker, open, own_redis, push_until_heard, tickets},
};

async fn done(_: shared::queue::Lease) -> Verdict {
    Verdict::Done
}

#[tokio::test(flavor = "multi_thread")]
async fn each_pool_takes_its_class_and_leaves_the_other() {
    let own = own_redis(&[]);
    let (queue, mut redis, _) = open(&own.url());
    // More than one poll can claim, with both classes for each tenant's turn.
    let both: Vec<Ticket> = tickets(40, Stream::Contacts)
        .into_iter()
        .flat_map(|fresh| {
            let backfill = Ticket::new(fresh.tenant, fresh.connection, Stream::Threads);
            [fresh, backfill]
        })
        .collect();
    let fresh = Worker::start(&queue, Slots::new(3, WorkerPool::Fresh), done);
    push_until_heard(&queue, &both).await;
    fresh
        .until("the fresh tickets are done", |worker| worker.slices() == 40)
        .await;
    fresh.until_asked_again(&queue).await;
    assert_eq!(fresh.slices(), 40, "backfill is left alone");

    let backfill = Worker::start(&queue, Slots::new(3, WorkerPool::Backfill), done);
    backfill
        .until("the threads are done", |worker| worker.slices() == 40)
        .await;
    // Both wait. A wake-up of one class must not end with a worker of the other.
    until_waiting(&mut redis, 2).await;
    push_until_heard(&queue, &tickets(5, Stream::Threads)).await;
    backfill
        .until("more threads are done", |worker| worker.slices() == 45)
        .await;
    push_until_heard(&queue, &tickets(5, Stream::Contacts)).await;
    fresh
        .until("more contacts are done", |worker| worker.slices() == 45)
        .await;

    let is_of = |seen: &[shared::queue::Lease], class| {
        seen.iter().all(|lease| lease.ticket.class() == class)
    };
    let seen = fresh.stop().await;
    assert!(is_of(&seen, Class::Fresh), "{seen:?}");
    let seen = backfill.stop().await;
    assert!(is_of(&seen, Class::Backfill), "{seen:?}");
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
    let report = crate::support::wait_for("the worker reports its pool", async || {
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
