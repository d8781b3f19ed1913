//! A large first sync has Postgres analyze what it has filled.

use intercom_simulator::WorkspaceSpec;
use shared::domain::{Mode, Stream};

use crate::support::{Case, ExplainedServer, tiny};

/// Tables of contacts and conversations are split, and those of companies are not.
const FILLED: &[&str] = &[
    "contact_sources",
    "contact_companies",
    "company_sources",
    "conversations",
    "conversation_contacts",
    "threads",
];

fn workspace() -> WorkspaceSpec {
    WorkspaceSpec {
        contacts: 40,
        companies: 30,
        conversations: 35,
        ..tiny()
    }
}

/// What is analyzed of the tables that a first sync fills.
async fn analyzed(case: &Case) -> Vec<(String, f32)> {
    let mut found = Vec::new();
    for table in FILLED {
        found.extend(case.analyzed(table).await);
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tables_of_a_large_first_sync_are_analyzed() {
    // Its autovacuum is off, so nothing else analyzes a table.
    let Some(server) = ExplainedServer::start().await else {
        return;
    };
    let world = server.world().await;
    let below = world.otherwise(&[("ANALYZE_THRESHOLD", "41")]);
    let above = world.otherwise(&[("ANALYZE_THRESHOLD", "30")]);

    let case = below.connect(workspace()).await;
    let fleet = below.fleet(1);
    case.until_complete().await;
    // A later full walk is not a first one, however much it shows.
    case.until_run_ends().await;
    case.until_slices(0).await;
    drop(fleet);
    assert_eq!(analyzed(&case).await, []);
    let fleet = above.fleet(1);
    case.sync(Mode::Full, Stream::ALL).await;
    case.until_slices(0).await;
    assert_eq!(analyzed(&case).await, []);

    // Another tenant, whose first walks have so many.
    let another = WorkspaceSpec {
        seed: 2,
        ..workspace()
    };
    let case = above.connect(another).await;
    case.until_complete().await;
    case.until_run_ends().await;
    case.until_slices(0).await;
    drop(fleet);
    let analyzed = analyzed(&case).await;
    let mut partitions = Vec::new();
    for table in FILLED {
        partitions.extend(case.partition_of(table).await);
    }
    let names: Vec<&String> = analyzed.iter().map(|(name, _)| name).collect();
    assert_eq!(names, partitions.iter().collect::<Vec<_>>());
    for (table, rows) in analyzed {
        assert!(rows >= 30.0, "postgres believes in {rows} rows of {table}");
    }
    case.assert_exact().await;
}
