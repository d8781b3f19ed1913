//! A removal reads what it removes, however much is kept.

use std::time::Duration;

use shared::store::EndedKind;

use super::plans::fault;
use crate::support::{ExplainedServer, tiny};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Rows of each kind that are kept, and rows that go.
const KEPT: i64 = 10_000;
const OLD: i64 = 50;

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_reads_what_it_removes() {
    let Some(server) = ExplainedServer::start().await else {
        return;
    };
    let world = server.world().await;
    let case = world.connect(tiny()).await;
    let janitor = world.janitor().await;
    for is_analyzed in [false, true] {
        for kind in EndedKind::ALL {
            // Every kind is kept for a day at least, and none for two years.
            case.add_ended(kind, KEPT, Duration::ZERO, DAY / 2).await;
            case.add_ended(kind, OLD, DAY * 730, DAY).await;
        }
        if is_analyzed {
            server.analyze().await;
        }
        server.forget().await;

        let round = janitor.round().await;

        assert!(round.is_complete);
        assert!(round.removed >= OLD * EndedKind::ALL.len() as i64);
        let mut ran = server.plans().await;
        // The statements inside the functions, which say how many rows they had.
        ran.retain(|ran| ran.statement.contains("DELETE FROM"));
        assert_eq!(ran.len(), EndedKind::ALL.len());
        let bad: Vec<String> = ran.iter().filter_map(fault).collect();
        assert!(bad.is_empty(), "{is_analyzed}: {}", bad.join("\n"));
    }
}
