//! A year of traffic leaves a database that does not grow any more.

use std::collections::BTreeMap;

use shared::{domain::Stream, store::EndedKind};

use super::{DAY, another, kept_for};
use crate::support::{Case, World, tiny};

const DAYS_OF_A_MONTH: u32 = 30;

/// What a busy tenant ends in a day.
fn per_day(kind: EndedKind) -> i64 {
    match kind {
        EndedKind::Runs => 24,
        EndedKind::DeadLetters => 5,
        EndedKind::Quarantine => 20,
        EndedKind::ApiKeys => 2,
        EndedKind::OauthFlows => 10,
        EndedKind::IdempotencyKeys => 50,
        EndedKind::OperatorEvents => 1,
        EndedKind::AuditEvents => 10,
        EndedKind::BrowserSessions => 6,
        EndedKind::OperatorActions => 3,
        EndedKind::BulkActions => 2,
    }
}

/// A month of traffic that ends now.
async fn live_for_a_month(case: &Case) {
    for kind in EndedKind::ALL {
        let count = per_day(kind) * i64::from(DAYS_OF_A_MONTH);
        case.add_ended(kind, count, DAY / 1_000, DAY * DAYS_OF_A_MONTH)
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_year_of_traffic_leaves_a_bounded_database() {
    // The year is longer than anything is kept.
    let world = World::with(&[("AUDIT_EVENT_RETENTION", "120d")]).await;
    let busy = world.connect(tiny()).await;
    let idle = world.connect(another()).await;
    let fleet = world.fleet(1);
    busy.until_complete().await;
    idle.until_complete().await;
    busy.until_not_due(Stream::ALL).await;
    idle.until_not_due(Stream::ALL).await;
    drop(fleet);
    for case in [&busy, &idle] {
        case.until_slices(0).await;
    }
    let first = (busy.row_counts().await, idle.row_counts().await);
    let janitor = world.janitor().await;

    let mut counts: Vec<BTreeMap<String, i64>> = Vec::new();
    for _ in 0..12 {
        world.pass_for_all(DAY * DAYS_OF_A_MONTH).await;
        live_for_a_month(&busy).await;
        assert!(janitor.round().await.is_complete);
        counts.push(busy.row_counts().await);
    }

    // After the longest time for which anything is kept, nothing grows.
    assert_eq!(counts[11], counts[5]);
    let mut bounded = first.0;
    for kind in EndedKind::ALL {
        let table = match kind {
            EndedKind::Runs => "sync_runs",
            kind => kind.as_str(),
        };
        let days = kept_for(&world.config.retention, kind).as_secs() / DAY.as_secs();
        let kept = per_day(kind) * i64::try_from(days).unwrap();
        // The first run was superseded, the first flow has expired, the trail is too old, and nothing else has an end.
        bounded.insert(table.to_owned(), kept);
    }
    assert_eq!(counts[11], bounded);
    // A tenant that does nothing has lost its flow and its trail and nothing else.
    let mut quiet = first.1;
    for ended in ["oauth_flows", "audit_events"] {
        quiet.insert(ended.to_owned(), 0);
    }
    assert_eq!(idle.row_counts().await, quiet);
    // What is left is a copy that goes on.
    let _fleet = world.fleet(1);
    for case in [&busy, &idle] {
        case.poll().await;
        case.assert_exact().await;
    }
}
