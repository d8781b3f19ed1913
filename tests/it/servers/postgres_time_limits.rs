//! Statements that run into a time limit, and waits that are not failures.

use intercom_simulator::WorkspaceSpec;
use shared::domain::Stream;

use crate::support::World;

fn workspace() -> WorkspaceSpec {
    WorkspaceSpec {
        contacts: 8,
        companies: 2,
        conversations: 3,
        limit_per_window: 100_000,
        ..WorkspaceSpec::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_is_always_cancelled_is_a_failure() {
    let world = World::new().await;
    let case = world.connect(workspace()).await;
    world.slow_inserts("contact_sources", 0.2).await;
    // The fleet's sessions alone have the limit, because the test looks at the database as well.
    let url = world.config.database.url.expose();
    let url = format!("{url}?options=-c%20statement_timeout%3D400ms");
    let limited = world.otherwise(&[("DATABASE_URL", &url)]).fleet(1);

    let error = case.until_error(Stream::Contacts).await;
    assert!(error.contains("time limit"), "{error}");
    assert!(case.failed_attempts_of(Stream::Contacts).await >= 1);
    assert!(!case.status().await.complete);

    world.fast_inserts("contact_sources").await;
    // On a busy machine other statements take as long, so the fleet that goes on has no such limit.
    drop(limited);
    let _fleet = world.fleet(1);
    case.retry_now().await;
    case.assert_exact().await;
}
