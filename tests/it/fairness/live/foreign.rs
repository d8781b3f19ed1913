//! Tickets that are not ours.

use std::time::{Duration, Instant};

use redis::Commands;
use shared::{
    domain::{Stream, Verdict},
    telemetry,
};

use super::worker::{Worker, shared_queue, ticket};
use crate::support::PATIENCE;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_ours_is_refused_and_the_worker_lives() {
    let (queue, mut redis, prefix) = shared_queue();
    telemetry::metrics();
    let refused = |reason: &str| {
        let line = format!("pathbound_tickets_refused_total{{reason=\"{reason}\"}} ");
        let text = telemetry::metrics().render();
        text.lines()
            .find_map(|found| found.strip_prefix(&line)?.parse::<u64>().ok())
            .unwrap_or(0)
    };
    let reasons = ["garbled", "oversized", "version", "foreign"];
    let before = reasons.map(refused);
    let good = ticket(Stream::Contacts);
    let other = ticket(Stream::Contacts);
    let tenant = good.tenant;
    let unreadable = good.to_string().replace("/contacts", "/unknown");
    let first = format!("{prefix}:first:fresh");
    let _: () = redis
        .hset(first, tenant.to_string(), "+rubbish \u{0}\u{7f}")
        .unwrap();
    let rest = format!("{prefix}:rest:fresh:{tenant}");
    for entry in [
        "x".repeat(100_000),
        good.to_string().replacen('1', "2", 1),
        format!("0,0,{other}"),
        other.to_string(),
        format!("0,0,{unreadable}"),
    ] {
        let _: () = redis.rpush(&rest, entry).unwrap();
    }
    let _: () = redis
        .hset(format!("{prefix}:tickets"), &unreadable, "ready")
        .unwrap();
    let _: () = redis.rpush(&rest, b"\xff\xfe\x00").unwrap();
    let _: () = redis
        .zadd(format!("{prefix}:ring:fresh"), tenant.to_string(), 0)
        .unwrap();
    let _: () = redis
        .zadd(format!("{prefix}:ring:fresh"), "nobody", 0)
        .unwrap();
    for member in ["garbage", "2/fresh/later", &"y".repeat(500)] {
        let _: () = redis.zadd(format!("{prefix}:parked"), member, 1).unwrap();
        let _: () = redis.zadd(format!("{prefix}:leases"), member, 1).unwrap();
    }
    // A state of another version of these scripts: swept, and made anew by the next push.
    let odd = ticket(Stream::Threads);
    let _: () = redis
        .hset(
            format!("{prefix}:tickets"),
            odd.to_string(),
            "state/of/another/kind",
        )
        .unwrap();
    queue.push(&[good, odd]).await.unwrap();
    let worker = Worker::start(&queue, 4, |_| std::future::ready(Verdict::Done));
    worker
        .until("the good one is worked", |worker| worker.slices() == 1)
        .await;
    let begun = Instant::now();
    while queue.push(&[odd]).await.unwrap() == 0 {
        assert!(begun.elapsed() < PATIENCE, "the odd one is never swept");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    worker
        .until("the odd one is worked", |worker| worker.slices() == 2)
        .await;
    let count = || -> Vec<u64> {
        reasons
            .into_iter()
            .zip(before)
            .map(|(reason, before)| refused(reason) - before)
            .collect()
    };
    worker
        .until("all are refused", |_| count().iter().sum::<u64>() >= 10)
        .await;
    let seen = worker.stop().await;
    assert_eq!(
        seen.iter().map(|lease| lease.ticket).collect::<Vec<_>>(),
        [good, odd]
    );
    let counted = count();
    // In the turn there are rubbish, bytes, one that only Rust can tell, and two copies of another tenant's. One of each is parked.
    assert_eq!(counted, [4, 2, 2, 2], "{reasons:?}");
    let stats = queue.stats().await.unwrap();
    assert_eq!(
        (stats.live, stats.leased, stats.parked, stats.fresh_tenants),
        (0, 0, 0, 0)
    );
}
