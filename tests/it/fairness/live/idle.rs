//! How soon an idle worker is woken, and how little it asks.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use shared::domain::{Stream, Verdict};

use super::{
    counters::{calls, times, until_waiting},
    worker::{Worker, open, own_redis, push_once, push_until_heard, ticket, tickets},
};

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_worker_is_woken_at_once_and_hardly_asks() {
    let own = own_redis(&[]);
    let (queue, mut redis, prefix) = open(&own.url());
    let worker = Worker::start(&queue, 4, |_| std::future::ready(Verdict::Done));
    for round in 0..60 {
        until_waiting(&mut redis, 1).await;
        let stream = if round % 2 == 0 {
            Stream::Threads
        } else {
            Stream::Contacts
        };
        push_once(&mut redis, &prefix, &[ticket(stream)]);
        worker
            .until("it began", |worker| worker.slices() == round + 1)
            .await;
    }
    // Each wake-up ends a wait and begins the next. Without one a wait lasts five seconds.
    let woken = times(&mut redis, "blpop");
    assert!(
        woken >= 60,
        "woken {woken} times by 60 pushes: the others were found by the poll"
    );

    let (before, begun) = (calls(&mut redis), Instant::now());
    tokio::time::sleep(Duration::from_secs(5)).await;
    let per_second = (calls(&mut redis) - before) as f64 / begun.elapsed().as_secs_f64();
    eprintln!("idle: {per_second} calls a second");
    assert!(
        per_second < 2.5,
        "{per_second} calls a second by an idle worker"
    );
    // It goes round all the time, and is answered.
    let heartbeat = queue.heartbeat();
    let lately = |last: Option<Duration>| last.unwrap() < Duration::from_secs(2);
    worker
        .until("it goes round", |_| {
            lately(heartbeat.last_round()) && lately(heartbeat.last_answer())
        })
        .await;

    // A parked ticket's time is kept without asking for it.
    let begins: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let noted = begins.clone();
    worker.stop().await;
    let worker = Worker::start(&queue, 4, move |_| {
        let mut begins = noted.lock().unwrap();
        begins.push(Instant::now());
        std::future::ready(if begins.len() % 2 == 1 {
            Verdict::Snooze(Duration::from_millis(250))
        } else {
            Verdict::Done
        })
    });
    for round in 1..=5 {
        push_once(&mut redis, &prefix, &[ticket(Stream::Contacts)]);
        worker
            .until("it ran twice", |worker| worker.slices() == 2 * round)
            .await;
    }
    let begins = begins.lock().unwrap().clone();
    let waits: Vec<Duration> = begins
        .as_chunks::<2>()
        .0
        .iter()
        .map(|[first, second]| *second - *first)
        .collect();
    assert!(
        waits
            .iter()
            .all(|waited| *waited >= Duration::from_millis(245)),
        "{waits:?}"
    );
    // A poll would find each a second later. A busy machine delays some.
    assert!(
        waits
            .iter()
            .any(|waited| *waited < Duration::from_millis(800)),
        "{waits:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slice_costs_few_calls() {
    let own = own_redis(&[]);
    for (slots, count, most) in [(1, 300, 2.2), (32, 6_000, 0.3)] {
        let (queue, mut redis, _) = open(&own.url());
        push_until_heard(&queue, &tickets(count, Stream::Contacts)).await;
        let before = calls(&mut redis);
        let worker = Worker::start(&queue, slots, |_| std::future::ready(Verdict::Done));
        worker
            .until("all is done", |worker| worker.slices() == count)
            .await;
        worker.stop().await;
        let per_slice = (calls(&mut redis) - before) as f64 / count as f64;
        eprintln!("{slots} slots: {per_slice:.2} calls per slice");
        assert!(
            per_slice <= most,
            "{slots} slots: {per_slice} calls per slice"
        );
    }
}
