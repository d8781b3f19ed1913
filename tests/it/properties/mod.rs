//! What holds whatever happens, in whatever order: drawn from seeds instead of told as cases.
//!
//! `PROPERTY_SEEDS=500` runs more seeds, `PROPERTY_SEEDS=41..42` one again.

mod deliveries;
mod disconnects;
mod faults;
mod found;
mod identities;
mod interleavings;
mod machine;
mod order;
mod people;
mod plan;
mod time_outs;
mod verdict;
mod work;

use tokio::sync::OnceCell;

use crate::support::World;

/// Postgres and Redis for all lives. Each life has an Intercom of its own. A fleet in this world would take up the
/// streams of every life, so no test may start one.
async fn servers() -> &'static World {
    static SERVERS: OnceCell<World> = OnceCell::const_new();
    SERVERS.get_or_init(World::new).await
}
