//! Workers that stop or die, and servers that go away.

use std::time::{Duration, Instant};

use shared::{
    domain::{Stream, Verdict},
    queue::Lease,
};
use tokio::sync::watch;

use super::worker::{
    Worker, done_when, heard, open, own_redis, push_until_heard, shared_queue, ticket, tickets,
};
use crate::support::PATIENCE;

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_worker_finishes_what_it_began_and_returns_the_rest() {
    let (queue, _, _) = shared_queue();
    push_until_heard(&queue, &tickets(12, Stream::Contacts)).await;
    let (end, ends) = watch::channel(false);
    let worker = Worker::start(&queue, 4, move |_| done_when(ends.clone()));
    worker
        .until("four have begun", |worker| worker.seen().len() == 4)
        .await;
    let shutdown = worker.shutdown.clone();
    shutdown.cancel();
    let heir = Worker::start(&queue, 12, |_| std::future::ready(Verdict::Done));
    heir.until("the others are worked by the heir", |heir| {
        heir.slices() == 8
    })
    .await;
    assert_eq!(
        worker.slices(),
        0,
        "they came back before a slice had ended"
    );
    // Longer than a lease: it has to be renewed during the drain.
    tokio::time::sleep(Duration::from_secs(8)).await;
    end.send_replace(true);
    let finished = worker.stop().await;
    assert_eq!(finished.len(), 4, "nothing was begun after the stop");
    heir.until_asked_again(&queue).await;
    assert_eq!(heir.stop().await.len(), 8, "nothing ran twice");
    assert_eq!(heard(|| queue.stats()).await.live, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_of_a_dead_worker_come_back_within_ten_seconds() {
    let (queue, ..) = shared_queue();
    push_until_heard(&queue, &tickets(1, Stream::Contacts)).await;
    let deaths = 3;
    let mut died: Option<Instant> = None;
    let mut away = Vec::new();
    for death in 0..deaths {
        // Dropped in the middle of its slice, as kill -9 does it.
        let victim = Worker::start(&queue, 2, |_| std::future::pending::<Verdict>());
        victim
            .until("it began", |victim| victim.seen().len() == 1)
            .await;
        away.extend(died.map(|died| died.elapsed()));
        assert_eq!(victim.seen()[0].crashes, death);
        victim.running.abort();
        let _ = victim.running.await;
        died = Some(Instant::now());
    }
    let heir = Worker::start(&queue, 2, |_| std::future::ready(Verdict::Requeue));
    heir.until("it came back, and once more", |heir| heir.slices() >= 2)
        .await;
    away.extend(died.map(|died| died.elapsed()));
    // A busy machine delays some.
    assert!(
        away.iter().any(|away| *away < Duration::from_secs(10)),
        "{away:?}"
    );
    let seen = heir.stop().await;
    assert_eq!(
        (seen[0].crashes, seen[1].crashes),
        (deaths, 0),
        "a settled slice clears the count"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_outlives_every_outage_of_redis() {
    let own = own_redis(&[]);
    let (queue, _, _) = open(&own.url());
    let worker = Worker::start(&queue, 4, |lease: Lease| async move {
        assert_ne!(
            lease.ticket.stream,
            Stream::Reference,
            "a slice that panics"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
        Verdict::Done
    });
    for outage in ["killed", "stopped for 4 s", "frozen for 5 s"] {
        let before = ticket(Stream::Contacts);
        push_until_heard(&queue, &[before]).await;
        worker
            .until("it works", |worker| worker.has_begun(before))
            .await;
        let redis = &own;
        match outage {
            "killed" => {
                redis.kill9().unwrap();
                redis.start().unwrap();
            }
            "stopped for 4 s" => {
                redis.stop().unwrap();
                tokio::time::sleep(Duration::from_secs(4)).await;
                let heartbeat = queue.heartbeat();
                let lately = || heartbeat.last_round().unwrap() < Duration::from_secs(2);
                worker
                    .until("it goes round, alive without redis", |_| lately())
                    .await;
                assert!(
                    heartbeat.last_answer().unwrap() > Duration::from_secs(2),
                    "and knows that it is away"
                );
                redis.start().unwrap();
            }
            _ => {
                redis.suspend().unwrap();
                tokio::time::sleep(Duration::from_secs(5)).await;
                redis.resume().unwrap();
            }
        }
        let (begun, after) = (Instant::now(), ticket(Stream::Contacts));
        push_until_heard(&queue, &[after]).await;
        worker
            .until("it works again", |worker| worker.has_begun(after))
            .await;
        eprintln!("{outage}: flows again after {:?}", begun.elapsed());
        // No client waits for longer than a second between two tries. The remaining time is left to a busy machine.
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{outage}: {:?}",
            begun.elapsed()
        );
    }
    // A slice that panics is one slice, not the worker.
    let (panics, after) = (ticket(Stream::Reference), ticket(Stream::Contacts));
    push_until_heard(&queue, &[panics, after]).await;
    worker
        .until("it works after a panic", |worker| {
            worker.has_begun(panics) && worker.has_begun(after)
        })
        .await;
    let begun = Instant::now();
    while !queue.stats().await.is_ok_and(|stats| stats.parked == 1) {
        assert!(
            begun.elapsed() < PATIENCE,
            "what panicked is tried again later"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The leases run out while no worker can renew them. That is no death of their workers.
#[tokio::test(flavor = "multi_thread")]
async fn leases_survive_a_redis_outage_longer_than_a_lease() {
    let own = own_redis(&[]);
    let (queue, _, _) = open(&own.url());
    push_until_heard(&queue, &tickets(4, Stream::Contacts)).await;
    let worker = Worker::start(&queue, 8, |_| async {
        tokio::time::sleep(Duration::from_secs(16)).await;
        Verdict::Done
    });
    worker
        .until("all are in hand", |worker| worker.seen().len() == 4)
        .await;
    own.suspend().unwrap();
    tokio::time::sleep(Duration::from_secs(9)).await;
    own.resume().unwrap();
    worker
        .until("all are done", |worker| worker.slices() == 4)
        .await;
    let seen = worker.stop().await;
    assert_eq!(seen.len(), 4, "nothing was worked twice: {seen:?}");
}
