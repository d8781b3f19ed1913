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
    world.set_database("statement_timeout", "400ms").await;
    world.slow_inserts("contact_sources", 0.2).await;
    let _fleet = world.fleet(1);

    let error = case.until_error(Stream::Contacts).await;
    assert!(error.contains("time limit"), "{error}");
    assert!(case.failed_attempts_of(Stream::Contacts).await >= 1);
    assert!(!case.status().await.complete);

    world.fast_inserts("contact_sources").await;
    case.retry_now().await;
    case.assert_exact().await;
}
