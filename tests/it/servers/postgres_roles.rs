//! Logins and roles as other installations have them.

use servers::{Options, Servers};

use crate::support::{World, migrated, servers, tiny};

#[tokio::test(flavor = "multi_thread")]
async fn a_second_installation_on_one_server_has_roles_of_its_own() {
    let url = migrated(servers(), "eu_west").await;
    let world = World::with(&[("DATABASE_URL", &url), ("ROLE_PREFIX", "eu_west")]).await;
    let case = world.connect(tiny()).await;
    let _fleet = world.fleet(1);
    case.until_complete().await;
    case.assert_exact().await;

    // The first installation's roles see nothing of it.
    let stranger = world.otherwise(&[("ROLE_PREFIX", "pathbound")]);
    let refused = stranger.worker_store(1).await.readiness().await;
    assert!(refused.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn migrate_gives_the_roles_to_another_login() {
    let own = Servers::start(Options::default()).unwrap();
    let world = World::with(&[("DATABASE_URL", &own.database_url())]).await;
    let (owner, login) = world.owner_and_login().await;
    let world = world.otherwise(&[("MIGRATE_URL", &owner), ("DATABASE_URL", &login)]);
    for _ in 0..2 {
        let migrated = world.command(&["migrate"]);
        assert!(migrated.status.success(), "{migrated:?}");
    }
    world.worker_store(1).await.readiness().await.unwrap();

    // A login that the owner cannot grant to: it is not there yet.
    let missing = login.replace("app@", "later@");
    let world = world.otherwise(&[("DATABASE_URL", &missing)]);
    let migrated = world.command(&["migrate"]);
    let told = String::from_utf8_lossy(&migrated.stderr).into_owned();
    assert_eq!(migrated.status.code(), Some(5), "{told}");
    assert!(told.contains("GRANT \"pathbound_api\""), "{told}");
}
