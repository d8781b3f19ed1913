//! What a dispatch costs the server, with few tenants and with many.

use std::time::Duration;

use super::{
    fleets::{Noop, Worker, tickets},
    redis_server::Server,
};
use crate::report::{Failure, Report};

const SLICES: u64 = 100_000;

/// Microseconds of script time for each slice: settling and claiming.
pub(super) async fn measure(report: &mut Report, redis: &Server) -> Result<(), Failure> {
    let mut few = None;
    for tenants in [100, 100_000] {
        let queue = redis.fresh().await?;
        queue.push(&tickets(tenants)).await?;
        redis.ask::<()>(&["CONFIG", "RESETSTAT"]).await?;
        let fleet = Noop::rounds(SLICES);
        let worker = Worker::start(&queue, 64, &fleet);
        let rate = fleet.rate(Duration::from_secs(120)).await?;
        let cost = redis.script_micros().await? / SLICES as f64;
        worker.stop().await;
        report.add(
            &format!("queue.dispatch_cost_us.{tenants}_tenants"),
            cost,
            "us",
            few,
        );
        report.add(
            &format!("queue.dispatch_cost_rate.{tenants}_tenants"),
            rate,
            "1/s",
            None,
        );
        few.get_or_insert(cost);
    }
    Ok(())
}
