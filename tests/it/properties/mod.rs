//! What holds whatever happens, in whatever order: drawn from seeds instead of told as cases.
//!
//! `PROPERTY_SEEDS=500` runs more seeds, `PROPERTY_SEEDS=41..42` one again.

mod disconnects;
mod due;
mod faults;
mod found;
mod giants;
mod interleavings;
mod machine;
mod order;
mod plan;
mod resync;
mod time_outs;

use tokio::sync::OnceCell;

use crate::world::World;

/// Postgres and Redis for all lives; each has an Intercom of its own. Nobody may start a fleet in it: it would take up
/// the streams of the others.
async fn servers() -> &'static World {
    static SERVERS: OnceCell<World> = OnceCell::const_new();
    SERVERS.get_or_init(World::new).await
}
