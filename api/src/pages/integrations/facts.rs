//! What the page of integrations is made from, read in one transaction.

use chrono::{DateTime, Utc};
use shared::{
    completeness::{self, SyncStatus},
    domain::{Stream, TenantId},
    store::{
        Connection,
        reads::{Position, Run},
    },
};

use crate::{
    Api,
    error::ApiError,
    routes::{sync_status::RateView, syncs},
};

/// Runs of a connection that the page shows.
const RUNS: i64 = 10;

/// The page's facts.
#[derive(Clone, Debug)]
pub(super) struct PageFacts {
    /// Oldest first, also those that have ended.
    pub(super) connections: Vec<ConnectionFacts>,
    /// When anything of the tenant was last stored or changed. `None` if nothing ever was.
    pub(super) last_change_at: Option<DateTime<Utc>>,
}

/// One connection.
#[derive(Clone, Debug)]
pub(super) struct ConnectionFacts {
    pub(super) connection: Connection,
    pub(super) status: SyncStatus,
    /// The walks under way of polled streams, and when they began.
    pub(super) walks: Vec<(Stream, DateTime<Utc>)>,
    /// The newest runs, newest first.
    pub(super) runs: Vec<Run>,
    /// Its data is being deleted.
    pub(super) is_being_purged: bool,
    /// Seconds until the pending threads are here. `None` if that cannot be foreseen.
    pub(super) eta_seconds: Option<u64>,
    /// The workspace's rate budget. `None` if it is not known at the moment.
    pub(super) rate: Option<RateView>,
}

pub(super) async fn read(api: &Api, tenant: TenantId) -> Result<PageFacts, ApiError> {
    let mut tx = api.store.begin(tenant).await?;
    let mut connections = Vec::new();
    for connection in tx.connections().await? {
        let Some(facts) = tx.sync_facts(connection.id).await? else {
            continue;
        };
        connections.push(ConnectionFacts {
            status: completeness::judge(&facts),
            walks: tx.walks(connection.id).await?,
            runs: tx.runs(connection.id, Position::newest(), RUNS).await?,
            is_being_purged: tx.is_purge_pending(connection.id).await?,
            connection,
            eta_seconds: None,
            rate: None,
        });
    }
    let last_change_at = tx.last_change_at().await?;
    // Redis may be slow, and it must not keep a session of Postgres from other requests.
    drop(tx);
    for facts in &mut connections {
        let foreseen = syncs::foresee(api, &facts.connection, &facts.status).await;
        (facts.eta_seconds, facts.rate) = foreseen;
    }
    Ok(PageFacts {
        connections,
        last_change_at,
    })
}
