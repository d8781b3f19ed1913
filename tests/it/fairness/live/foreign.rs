//! Tickets that are not ours.

use redis::{Commands, Connection};
use shared::{
    domain::{Stream, Verdict},
    queue::Ticket,
    telemetry,
};

use super::worker::{Worker, heard, push_once, push_until_heard, shared_queue, ticket};
use crate::support::wait_for;

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
    // Other tests of this process count into the same metrics.
    let before = reasons.map(refused);
    let good = ticket(Stream::Contacts);
    litter(&mut redis, &prefix, good);
    // A state of another version of these scripts: swept, and made anew by the next push.
    let odd = ticket(Stream::Threads);
    let _: () = redis
        .hset(
            format!("{prefix}:tickets"),
            odd.to_string(),
            "state/of/another/kind",
        )
        .unwrap();
    push_until_heard(&queue, &[good, odd]).await;
    let worker = Worker::start(&queue, 4, |_| std::future::ready(Verdict::Done));
    worker
        .until("the good one is worked", |worker| worker.slices() == 1)
        .await;
    wait_for("the odd one is reaped", async || {
        let pushed = push_once(&mut redis, &prefix, &[odd]);
        (pushed > 0)
            .then_some(())
            .ok_or_else(|| "it is there".to_owned())
    })
    .await;
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
    // In the turn there are rubbish, bytes, one that only Rust can tell, and two copies of another tenant's. One of each
    // is parked.
    assert_eq!(counted, [4, 2, 2, 2], "{reasons:?}");
    let stats = heard(|| queue.stats()).await;
    assert_eq!(
        (stats.live, stats.leased, stats.parked, stats.fresh_tenants),
        (0, 0, 0, 0)
    );
}

/// Puts what no fleet writes into the turn of a ticket's tenant, and among the parked and the leased tickets.
fn litter(redis: &mut Connection, prefix: &str, good: Ticket) {
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
}
