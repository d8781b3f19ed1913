//! What is asked of the whole fleet: how fresh copies should be, and how many workers there may be.

use std::time::Duration;

use super::values::Reader;

/// More workers are a slip of the pen.
const LARGEST: u32 = 100_000;

/// Targets of the fleet, and the limits of its pools of workers.
#[derive(Clone, Copy, Debug)]
pub struct FleetConfig {
    /// A tenant whose lag is longer is behind.
    pub freshness_target: Duration,
    /// Between two measurements.
    pub interval: Duration,
    /// Slots of each worker of a pool that is scaled.
    pub slots: u32,
    pub min_workers: u32,
    pub max_workers: u32,
    pub fresh_drain: Duration,
    pub backfill_drain: Duration,
}

impl FleetConfig {
    pub(super) fn read(read: &mut Reader<'_>) -> Self {
        let second = Duration::from_secs(1);
        Self {
            freshness_target: read.duration("freshness_target", second),
            interval: read.duration("fleet_interval", Duration::from_millis(100)),
            slots: read.number("autoscale_slots", 1, 10_000),
            min_workers: read.number("autoscale_min_workers", 0, LARGEST),
            max_workers: read.number("autoscale_max_workers", 1, LARGEST),
            fresh_drain: read.duration("autoscale_fresh_drain", second),
            backfill_drain: read.duration("autoscale_backfill_drain", second),
        }
    }
}
