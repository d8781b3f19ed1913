//! Ready means able to work: Postgres takes a write, and its schema fits the build.

use crate::support::{World, tiny, wait_for};

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_is_too_old_is_told_and_a_newer_one_is_fine() {
    let world = World::new().await;
    let store = world.worker_store(1).await;
    store.readiness().await.unwrap();

    world.add_future_migration().await;
    store.readiness().await.unwrap();

    let newest: i64 = shared::store::schema().parse().unwrap();
    world.forget_migration(newest).await;
    assert_eq!(
        store.readiness().await.unwrap_err().to_string(),
        format!(
            "the schema is older than this build, which needs migration {newest}: run `pathbound migrate`"
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_no_writes_is_not_ready() {
    let world = World::new().await;
    world
        .set_database("default_transaction_read_only", "on")
        .await;
    let store = world.worker_store(1).await;
    assert_eq!(
        store.readiness().await.unwrap_err().to_string(),
        "postgres takes no writes: it is a standby or set to read-only"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_wait_for_their_schema_and_burn_no_attempt() {
    let mut world = World::new().await;
    let case = world.connect(tiny()).await;
    case.reset_calls();
    let newest: i64 = shared::store::schema().parse().unwrap();
    world.forget_migration(newest).await;
    let _scheduler = world.process("scheduler");
    let (_worker, address) = world.listening("worker");

    let said = wait_for("the worker says why it waits", async || {
        let answer = reqwest::get(format!("http://{address}/readyz")).await;
        let answer = answer.map_err(|error| error.to_string())?;
        let text = answer.text().await.map_err(|error| error.to_string())?;
        if text.contains("older than this build") {
            Ok(text)
        } else {
            Err(text)
        }
    })
    .await;
    assert!(said.contains("pathbound migrate"), "{said}");
    assert_eq!(case.all_calls(), 0);
    assert_eq!(case.failed_attempts().await, 0);

    world.remember_migration(newest).await;
    case.until_complete().await;
    case.assert_exact().await;
}
