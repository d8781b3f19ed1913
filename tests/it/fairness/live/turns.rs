//! Which tenant is served when, and how soon.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use redis::Commands;
use shared::{
    domain::{Class, ConnectionId, Stream, TenantId, Verdict},
    queue::{Lease, PauseScope, Ticket},
};
use tokio::sync::watch;

use super::{
    counters::{all_commands, info, times, until_waiting},
    worker::{
        Worker, done_when, heard, open, own_redis, push_once, push_until_heard, shared_queue,
        ticket, tickets,
    },
};
use crate::support::wait_for;

fn percentile(values: &mut [usize], percent: usize) -> usize {
    values.sort_unstable();
    values[(values.len() * percent / 100).min(values.len() - 1)]
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_idle_workers_are_woken_as_there_is_work_for() {
    let own = own_redis(&[]);
    let (queue, mut redis, _) = open(&own.url());
    // A worker that has one keeps it.
    let workers: Vec<_> = (0..6)
        .map(|_| Worker::start(&queue, 1, |_| std::future::pending::<Verdict>()))
        .collect();
    until_waiting(&mut redis, 6).await;
    push_until_heard(&queue, &tickets(6, Stream::Threads)).await;
    for worker in &workers {
        worker
            .until("it began", |worker| worker.seen().len() == 1)
            .await;
    }
    // A wake-up is written when none waits to be taken: one wakes the next.
    let wake_ups = times(&mut redis, "lpush");
    assert!(wake_ups >= 5, "{wake_ups} wake-ups for six idle workers");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_tenant_does_not_wait_for_large_ones() {
    let (queue, _, _) = shared_queue();
    let mut overtaken = Vec::new();
    let tickets_of_large: Vec<Ticket> = (0..20)
        .flat_map(|_| {
            let tenant = TenantId::new();
            (0..10).map(move |_| Ticket::new(tenant, ConnectionId::new(), Stream::Threads))
        })
        .collect();
    push_until_heard(&queue, &tickets_of_large).await;
    let large: Vec<TenantId> = tickets_of_large
        .iter()
        .map(|ticket| ticket.tenant)
        .collect();
    let most: Arc<Mutex<HashMap<TenantId, (usize, usize)>>> = Arc::default();
    let counted = most.clone();
    let worker = Worker::start(&queue, 16, move |lease| {
        let is_large = large.contains(&lease.ticket.tenant);
        let counted = counted.clone();
        async move {
            let tenant = lease.ticket.tenant;
            {
                let mut counted = counted.lock().unwrap();
                let (now, most) = counted.entry(tenant).or_default();
                *now += 1;
                *most = (*most).max(*now);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            counted.lock().unwrap().get_mut(&tenant).unwrap().0 -= 1;
            if is_large {
                Verdict::Requeue
            } else {
                Verdict::Done
            }
        }
    });
    worker
        .until("the large ones take turns", |worker| worker.slices() >= 100)
        .await;
    for round in 0..100 {
        // Half of them in the large tenants' own class.
        let stream = if round % 2 == 0 {
            Stream::Threads
        } else {
            Stream::Contacts
        };
        let small = ticket(stream);
        push_until_heard(&queue, &[small]).await;
        // Counted in slices and not in time, because a busy machine is slow for all.
        let before = worker.seen().len();
        let begun =
            |worker: &Worker<_>| worker.seen().iter().position(|lease| lease.ticket == small);
        worker
            .until("it began", |worker| begun(worker).is_some())
            .await;
        overtaken.push(begun(&worker).unwrap().saturating_sub(before));
    }
    worker.stop().await;
    let (p50, p99) = (
        percentile(&mut overtaken, 50),
        percentile(&mut overtaken, 99),
    );
    eprintln!(
        "a small tenant beside 20 large ones: {p50} slices of others come before (median), {p99} (p99)"
    );
    // A turn of each large tenant, and what is under way.
    assert!(p99 <= 20 + 2 * 16, "{p99}");
    let most = most
        .lock()
        .unwrap()
        .values()
        .map(|(_, most)| *most)
        .max()
        .unwrap();
    assert!(most <= 8, "a tenant had {most} slices at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn backfill_leaves_slots_for_fresh_work() {
    let (queue, mut redis, prefix) = shared_queue();
    push_until_heard(&queue, &tickets(20, Stream::Threads)).await;
    let (end, ends) = watch::channel(false);
    let worker = Worker::start(&queue, 10, move |lease: Lease| {
        let ends = ends.clone();
        async move {
            if lease.ticket.class() == Class::Backfill {
                done_when(ends).await
            } else {
                Verdict::Done
            }
        }
    });
    worker
        .until("backfill runs", |worker| worker.seen().len() == 8)
        .await;
    worker.until_asked_again(&queue).await;
    assert_eq!(worker.seen().len(), 8, "four fifths of ten slots");
    wait_for("the oldest ticket has waited", async || {
        let oldest = heard(|| queue.stats()).await.oldest_backfill;
        let has_waited = oldest >= Some(Duration::from_millis(300));
        has_waited
            .then_some(())
            .ok_or_else(|| format!("{oldest:?}"))
    })
    .await;
    push_once(&mut redis, &prefix, &tickets(4, Stream::Contacts));
    worker
        .until("fresh work is done beside it", |worker| {
            worker.slices() == 4
        })
        .await;
    let stats = heard(|| queue.stats()).await;
    assert_eq!(
        (
            stats.backfill.leased,
            stats.backfill.ready,
            stats.fresh.ready
        ),
        (8, 12, 0)
    );
    assert!(
        stats.oldest_backfill.unwrap() >= Duration::from_millis(300)
            && stats.oldest_fresh.is_none()
    );
    end.send_replace(true);
    worker
        .until("backfill goes on", |worker| worker.seen().len() > 12)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_due_tickets_stall_no_worker_and_need_little_memory() {
    let own = own_redis(&[]);
    let (queue, mut redis, prefix) = open(&own.url());
    let before = info(&mut redis, "memory", "used_memory");
    let count = 1_000_000;
    // As many tickets that were parked until now.
    let fill = redis::Script::new(
        "for i = ARGV[1], ARGV[1] + 4999 do
            local id = string.format('%08x-0000-7000-8000-%012x', i, i)
            redis.call('ZADD', KEYS[1], 1, '1/backfill/' .. id .. '/' .. id .. '/threads')
        end",
    );
    for i in (0..count).step_by(5_000) {
        let _: () = fill
            .key(format!("{prefix}:parked"))
            .arg(i)
            .invoke(&mut redis)
            .unwrap();
    }
    let _: () = redis
        .hset(format!("{prefix}:counts"), "parked:backfill", count)
        .unwrap();
    let per_tenant = (info(&mut redis, "memory", "used_memory") - before) / count;
    eprintln!("{per_tenant} bytes per parked tenant");
    assert!(per_tenant <= 300);
    let _: () = redis::cmd("CONFIG")
        .arg("RESETSTAT")
        .query(&mut redis)
        .unwrap();

    let worker = Worker::start(&queue, 32, |_| std::future::ready(Verdict::Done));
    worker
        .until("two thousand slices", |worker| worker.slices() >= 2_000)
        .await;
    heard(async || queue.pause(&[PauseScope::Fleet]).await).await;
    let stats = heard(|| queue.stats()).await;
    let slices = worker.stop().await.len() as u64;
    let scripts = times(&mut redis, "evalsha");
    let commands = all_commands(&mut redis);
    eprintln!("{commands} commands in {scripts} scripts");
    // However many are due, a call takes a bounded bite of them, in a bounded number of commands.
    assert!(
        stats.parked > 0 && stats.backfill.parked == stats.parked,
        "{stats:?}"
    );
    assert!(
        count - stats.parked <= 64 * scripts,
        "{stats:?} after {scripts} scripts"
    );
    assert!(
        commands <= 40 * scripts,
        "{commands} commands in {scripts} scripts"
    );
    // And each finds work at once. The pause may come late, so the slices are counted.
    assert!(
        scripts <= slices / 2,
        "{scripts} scripts for {slices} slices"
    );
}
