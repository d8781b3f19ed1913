//! What each verdict does, and what it leaves.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use redis::Commands;
use shared::{
    domain::{Stream, Verdict},
    queue::{Minute, Ticket},
};

use super::worker::{Worker, heard, push_once, shared_queue, tickets};

#[tokio::test(flavor = "multi_thread")]
async fn every_verdict_does_what_it_says_and_nothing_is_left() {
    let (queue, mut redis, prefix) = shared_queue();
    let tickets = tickets(300, Stream::Contacts);
    assert_eq!(push_once(&mut redis, &prefix, &tickets), 300);
    assert_eq!(
        heard(|| queue.push(&tickets)).await,
        0,
        "one live ticket per connection and stream"
    );
    let times: Arc<Mutex<HashMap<Ticket, u32>>> = Arc::default();
    let worker = Worker::start(&queue, 8, move |lease| {
        let mut times = times.lock().unwrap();
        let time = times.entry(lease.ticket).or_default();
        *time += 1;
        let verdict = match *time {
            1 => Verdict::Requeue,
            2 => Verdict::Snooze(Duration::from_millis(300)),
            _ => Verdict::Done,
        };
        std::future::ready(verdict)
    });
    worker
        .until("all is done", |worker| worker.slices() == 900)
        .await;
    let seen = worker.stop().await;
    assert_eq!(seen.len(), 900);
    let mut fences: HashMap<Ticket, i64> = HashMap::new();
    for lease in seen {
        assert!(
            fences
                .insert(lease.ticket, lease.fence)
                .is_none_or(|before| before < lease.fence)
        );
        assert_eq!(lease.crashes, 0);
    }
    let stats = heard(|| queue.stats()).await;
    assert_eq!(
        (stats.live, stats.leased, stats.parked, stats.oldest_fresh),
        (0, 0, 0, None)
    );
    let mut left: Vec<String> = redis
        .keys(format!("\\{prefix}:*").replace('}', "\\}"))
        .unwrap();
    // A slice is counted once, whatever its verdict was.
    let minutes = heard(|| queue.minutes(2)).await;
    let count = |of: fn(&Minute) -> u64| minutes.iter().map(of).sum::<u64>();
    assert_eq!(
        (
            count(|minute| minute.slices),
            count(|minute| minute.failures),
            count(|minute| minute.calls)
        ),
        (900, 0, 0)
    );
    left.retain(|key| !key.contains(":minute:"));
    left.retain(|key| {
        !["clock", "counts", "fence", "vtime:fresh", "wake:fresh"]
            .iter()
            .any(|name| key.ends_with(name))
    });
    assert_eq!(left, Vec::<String>::new(), "no key for an idle tenant");
}
