//! A transaction pooler between the fleet and Postgres.

use reqwest::Method;

use crate::support::{Caller, Pooler, World, tiny};

#[tokio::test(flavor = "multi_thread")]
async fn a_first_sync_and_reads_go_through_a_transaction_pooler() {
    let Some(pooler) = Pooler::start() else {
        eprintln!("SKIPPED: pgbouncer is not installed, so nothing is shown about poolers");
        return;
    };
    let world = World::new().await;
    let url = pooler.of_url(world.config.database.url.expose());
    let prepared = if pooler.keeps_prepared {
        "true"
    } else {
        "false"
    };
    let world = world.otherwise(&[
        ("DATABASE_URL", &url),
        ("DATABASE_PREPARED_STATEMENTS", prepared),
    ]);
    let case = world.connect(tiny()).await;
    let _fleet = world.fleet(2);
    case.until_complete().await;
    case.assert_exact().await;

    let base = world.api().await;
    let caller = Caller::service(&world, &base, Some(case.tenant));
    for path in ["contacts", "companies", "conversations", "connections"] {
        let list = caller.get(&format!("/v1/{path}")).await;
        assert!(!list["items"].as_array().unwrap().is_empty(), "{path}");
    }
    // No role, tenant or setting stays behind in the pooler's sessions.
    let other = world.new_tenant().await;
    let stranger = Caller::service(&world, &base, Some(other));
    let list = stranger.get("/v1/contacts").await;
    assert!(list["items"].as_array().unwrap().is_empty(), "{list}");
    let path = format!("/v1/connections/{}", case.connection());
    assert_eq!(stranger.call(Method::GET, &path, None).await.0, 404);
}
