//! Small tenants beside giants that would take every slot.
//!
//! 50 slots, slices of 300 ms on average. 9,999 small tenants come one after the other over two minutes, as in
//! an ordinary hour of a large fleet (they alone would keep half of the slots busy). Each giant has work for
//! all slots at any moment, in the small ones' own class.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use shared::{
    domain::{ConnectionId, Stream, TenantId, Verdict},
    queue::{Fleet, Lease, SliceEnd, Ticket},
};

use super::{
    fleets::{Starts, Worker, quantile, tickets},
    redis_server::Server,
};
use crate::report::{Failure, Report, SEED};

const SLOTS: usize = 50;
const SMALL: usize = 9_999;
const OVER: Duration = Duration::from_secs(120);
const SLICE_MS: std::ops::Range<u64> = 150..450;

/// Tickets of large tenants always have more work. All others are done after one slice.
struct Mixed {
    giants: Vec<TenantId>,
    starts: Starts,
}

impl Fleet for Mixed {
    async fn work(&self, lease: Lease) -> SliceEnd {
        let giant = self.giants.contains(&lease.ticket.tenant);
        if !giant {
            self.starts.note(lease.ticket);
        }
        tokio::time::sleep(Duration::from_millis(rand::random_range(SLICE_MS))).await;
        let verdict = if giant {
            Verdict::Requeue
        } else {
            Verdict::Done
        };
        verdict.into()
    }
}

pub(super) async fn measure(report: &mut Report, redis: &Server) -> Result<(), Failure> {
    for giants in [1, 20] {
        let name = format!("queue.small_tenant_first_slice_p99_ms.{giants}_giants");
        if !report.wants(&name) {
            continue;
        }
        let mut waits = one_fleet(redis, giants).await?;
        report.add(&name, quantile(&mut waits, 0.99), "ms", None);
        report.add(
            &name.replace("p99", "p50"),
            quantile(&mut waits, 0.5),
            "ms",
            None,
        );
    }
    Ok(())
}

async fn one_fleet(redis: &Server, giants: usize) -> Result<Vec<f64>, Failure> {
    let queue = redis.fresh().await?;
    let giants: Vec<TenantId> = (0..giants).map(|_| TenantId::new()).collect();
    for giant in &giants {
        let work: Vec<Ticket> = (0..2 * SLOTS)
            .map(|_| Ticket::new(*giant, ConnectionId::new(), Stream::Contacts))
            .collect();
        queue.push(&work).await?;
    }
    let fleet = Arc::new(Mixed {
        giants,
        starts: Starts::default(),
    });
    let worker = Worker::start(&queue, SLOTS, &fleet);
    tokio::time::sleep(Duration::from_secs(2)).await;

    let mut rng = StdRng::seed_from_u64(SEED);
    let mut times: Vec<Duration> = (0..SMALL).map(|_| OVER.mul_f64(rng.random())).collect();
    times.sort_unstable();
    let begun = Instant::now();
    let mut pushed = Vec::with_capacity(SMALL);
    for (ticket, at) in tickets(SMALL).into_iter().zip(times) {
        tokio::time::sleep_until((begun + at).into()).await;
        pushed.push((ticket, Instant::now()));
        queue.push(&[ticket]).await?;
    }
    fleet.starts.until(SMALL, Duration::from_secs(60)).await?;
    worker.stop().await;
    let wait = |(ticket, pushed): &(Ticket, Instant)| {
        Some(
            fleet
                .starts
                .of(ticket)?
                .saturating_duration_since(*pushed)
                .as_secs_f64()
                * 1e3,
        )
    };
    Ok(pushed.iter().filter_map(wait).collect())
}
