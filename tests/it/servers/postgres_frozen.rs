//! What callers and operators are told while Postgres does not answer.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use servers::Relay;
use shared::store::ApiStore;

use crate::support::{Caller, World, servers, wait_for};

fn relay() -> Relay {
    Relay::start(&format!("127.0.0.1:{}", servers().postgres().port())).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_to_a_frozen_server_is_told_so_and_served_later() {
    let world = World::new().await;
    let relay = relay();
    let base = world.through(&relay).api().await;
    let caller = Caller::service(&world, &base, Some(world.new_tenant().await));
    let contacts = async || caller.call(Method::GET, "/v1/contacts", None).await;
    assert_eq!(contacts().await.0, StatusCode::OK);

    relay.freeze();
    let (status, problem) = contacts().await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{problem}");
    assert_eq!(problem["code"], "unavailable");

    // New sessions are served. The old ones are silent for ever.
    relay.abandon();
    wait_for("the api serves again", async || {
        let (status, body) = contacts().await;
        let is_served = status == StatusCode::OK;
        is_served.then_some(()).ok_or_else(|| body.to_string())
    })
    .await;
    // A session that fell silent while it was idle costs its caller no error.
    relay.abandon();
    assert_eq!(contacts().await.0, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_leaves_no_transaction_behind() {
    const NAME: &str = "goes_away";
    let world = World::new().await;
    let tenant = world.new_tenant().await;
    let relay = relay();
    let through = world.through(&relay);
    let url = through.config.database.url.expose();
    let named = through.otherwise(&[("DATABASE_URL", &format!("{url}?application_name={NAME}"))]);
    let store = ApiStore::connect(&named.config.database, 1).await.unwrap();

    relay.freeze();
    let begun = tokio::time::timeout(Duration::from_millis(300), store.begin(tenant));
    assert!(begun.await.is_err(), "the server is frozen");
    relay.forward();
    // The server begins a transaction for a caller that is gone.
    wait_for("a transaction is open", async || {
        let (open, _) = world.open_transactions(NAME).await;
        (open.len() == 1)
            .then_some(())
            .ok_or_else(|| format!("{open:?}"))
    })
    .await;
    let (_, then) = world.open_transactions(NAME).await;
    let transaction = store.begin(tenant).await.unwrap();
    wait_for(
        "only the transaction of the new caller is open",
        async || {
            let (open, _) = world.open_transactions(NAME).await;
            let is_new = open.len() == 1 && open.iter().all(|began| *began >= then);
            is_new.then_some(()).ok_or_else(|| format!("{open:?}"))
        },
    )
    .await;
    drop(transaction);
}

#[tokio::test(flavor = "multi_thread")]
async fn migrate_on_a_frozen_server_ends_with_an_error() {
    let world = World::new().await;
    let relay = relay();
    let world = world.through(&relay);
    relay.freeze();
    for arguments in [&["migrate"][..], &["migrate", "--check"]] {
        let ended = world.command(arguments);
        let told = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(3), "{told}");
        assert!(told.contains("could not reach postgres"), "{told}");
        assert!(told.contains("did not answer within"), "{told}");
    }
    relay.forward();
    // By itself a command gives a server four seconds, which is too short on a busy machine.
    let url = world.config.database.url.expose();
    let patient = world.otherwise(&[("DATABASE_URL", &format!("{url}?connect_timeout=60"))]);
    let migrated = patient.command(&["migrate"]);
    assert!(migrated.status.success(), "{migrated:?}");
}
