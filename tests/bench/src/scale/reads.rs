//! The API's hot reads over a thousand tenants with ten million parts, in partitions and in one heap.
//!
//! `SCALE_TENANTS=50` takes fewer tenants, for a quick look. Each has about ten thousand parts.

use std::time::{Duration, Instant};

use intercom_simulator::WorkspaceSpec;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use super::{first_id, p99_ms, read};
use crate::{
    clones::Original,
    fleet::FleetOptions,
    report::{Failure, Report, SEED, size},
};

const TENANTS: u32 = 1_000;
/// Of each list and object.
const READS: usize = 1_000;
/// The partitions of an installation by default.
const PARTITIONS: u32 = 16;

/// What one layout took.
struct Layout {
    /// The read, and its p99 in milliseconds.
    reads: Vec<(&'static str, f64)>,
    parts: i64,
    filled_in: Duration,
}

pub(super) async fn measure(report: &mut Report) -> Result<(), Failure> {
    let tenants = size("SCALE_TENANTS", TENANTS)?;
    println!("reads of {tenants} tenants, in {PARTITIONS} partitions and in one heap");
    let heap = layout(tenants, 1).await?;
    let split = layout(tenants, PARTITIONS).await?;
    report.add(
        "scale.parts_copied_per_second",
        split.parts as f64 / split.filled_in.as_secs_f64(),
        "1/s",
        Some(heap.parts as f64 / heap.filled_in.as_secs_f64()),
    );
    for ((name, split), (_, heap)) in split.reads.into_iter().zip(heap.reads) {
        let name = format!("scale.hot_read_p99_ms.{name}");
        report.add(&name, split, "ms", Some(heap));
    }
    Ok(())
}

async fn layout(tenants: u32, partitions: u32) -> Result<Layout, Failure> {
    let spec = WorkspaceSpec {
        contacts: 500,
        companies: 30,
        conversations: 1_140,
        parts: 8.0,
        ..WorkspaceSpec::default()
    };
    let mut original = Original::sync(spec, options(partitions)).await?;
    let begun = Instant::now();
    let mut all = original.multiply(tenants - 1).await?;
    all.push(original.fleet.tenant);
    let filled_in = begun.elapsed();
    original.verify(&all).await?;
    let Original { fleet, admin, .. } = &mut original;
    // Nothing but the reads runs.
    sqlx::raw_sql("UPDATE streams SET due_at = now() + interval '1 day'; ANALYZE")
        .execute(&mut *admin)
        .await?;
    let parts: i64 = sqlx::query_scalar("SELECT count(*) FROM parts")
        .fetch_one(admin)
        .await?;
    println!(
        "{parts} parts in {partitions} partitions after {:.0} s",
        filled_in.as_secs_f64()
    );
    let contact = first_id(fleet, fleet.tenant, "/v1/contacts?limit=1").await?;
    let conversation = first_id(fleet, fleet.tenant, "/v1/conversations?limit=1").await?;
    let paths = [
        ("contact", format!("/v1/contacts/{contact}")),
        ("contacts", "/v1/contacts?limit=50".to_owned()),
        ("conversations", "/v1/conversations?limit=50".to_owned()),
        (
            "parts",
            format!("/v1/conversations/{conversation}/parts?limit=50"),
        ),
    ];
    let mut reads = Vec::new();
    for (name, path) in paths {
        // The same tenants in the same order for every read and both layouts.
        let mut random = StdRng::seed_from_u64(SEED);
        let mut times = Vec::with_capacity(READS);
        for _ in 0..READS {
            let tenant = all[random.random_range(0..all.len())];
            times.push(read(fleet, tenant, &path).await?);
        }
        reads.push((name, p99_ms(&times)));
    }
    Ok(Layout {
        reads,
        parts,
        filled_in,
    })
}

fn options(partitions: u32) -> FleetOptions {
    FleetOptions {
        servers: servers::Options {
            shared_buffers_mib: 2_048,
            postgres_settings: vec!["max_wal_size=8GB".to_owned()],
            ..servers::Options::default()
        },
        partitions: Some(partitions),
        ..FleetOptions::default()
    }
}
