//! Postgres over TLS: whose certificate is believed, and who logs in with one.

use servers::{Options, Servers};
use shared::{config::DatabaseConfig, domain::Secret, store::WorkerStore};

use crate::support::{Certificates, World, migrated, tiny};

/// Every session needs TLS, and the login `client` its certificate.
const RULES: &str = "hostssl all client all cert\nhostssl all all all trust\n";

/// A Postgres that shows `server.pem`, and takes no session without TLS.
struct Place {
    files: Certificates,
    own: Servers,
    database: String,
}

impl Place {
    async fn start() -> Self {
        let files = Certificates::new();
        files.keep_private("server.key");
        files.write("rules", RULES);
        let setting = |name: &str, file: &str| format!("{name}={}", files.path(file));
        let own = Servers::start(Options {
            postgres_settings: vec![
                "ssl=on".to_owned(),
                // The certificate does not name 127.0.0.2.
                "listen_addresses=127.0.0.1,127.0.0.2".to_owned(),
                setting("ssl_cert_file", "server.pem"),
                setting("ssl_key_file", "server.key"),
                setting("ssl_ca_file", "ca.pem"),
                setting("hba_file", "rules"),
            ],
            ..Options::default()
        })
        .unwrap();
        let database = migrated(&own, "pathbound").await;
        Self {
            files,
            own,
            database,
        }
    }

    /// The URL with these parameters, in which `FILES` stands for the folder of the certificates. By itself a command
    /// gives a server four seconds, which is too short on a busy machine.
    fn url(&self, parameters: &str) -> String {
        let parameters = parameters.replace("FILES/", &self.files.path(""));
        format!("{}?{parameters}&connect_timeout=60", self.database)
    }

    /// A world whose database is there.
    async fn world(&self, parameters: &str) -> World {
        World::with(&[("DATABASE_URL", &self.url(parameters))]).await
    }
}

/// Whether a session works, or the whole text of why not.
async fn connect(url: &str) -> Result<(), String> {
    let config = DatabaseConfig::of_url(Secret::new(url));
    let told = |error: &dyn std::error::Error| {
        let cause = std::error::Error::source(error).map(ToString::to_string);
        format!("{error}: {}", cause.unwrap_or_default())
    };
    let store = WorkerStore::connect(&config, 1).await;
    let store = store.map_err(|error| told(&error))?;
    store.readiness().await.map_err(|error| told(&error))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sslmode_of_the_readme_connects() {
    let place = Place::start().await;
    for form in [
        "",
        "sslmode=allow",
        "sslmode=prefer",
        "sslmode=require",
        "sslmode=require&sslrootcert=FILES/ca.pem",
        "sslmode=verify-ca&sslrootcert=FILES/ca.pem",
        "sslmode=verify-full&sslrootcert=FILES/ca.pem",
    ] {
        assert_eq!(connect(&place.url(form)).await, Ok(()), "{form}");
    }
    // The rules of the server let no session in without TLS, so each of those above had it.
    let refused = connect(&place.url("sslmode=disable")).await.unwrap_err();
    assert!(refused.contains("no encryption"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_proves_nothing_is_refused_with_advice() {
    let place = Place::start().await;
    for (form, advice) in [
        (
            "sslmode=verify-full&sslrootcert=FILES/other-ca.pem",
            "name the authority",
        ),
        (
            "sslmode=verify-ca&sslrootcert=FILES/other-ca.pem",
            "name the authority",
        ),
        // The machine's own authorities did not sign it.
        ("sslmode=verify-full", "name the authority"),
        ("sslrootcert=system", "name the authority"),
    ] {
        let refused = connect(&place.url(form)).await.unwrap_err();
        assert!(refused.contains(advice), "{form}: {refused}");
        assert!(refused.contains("sslrootcert"), "{form}: {refused}");
    }
    let elsewhere = |mode: &str| {
        let parameters = format!("sslmode={mode}&sslrootcert=FILES/ca.pem");
        let url = place.url(&parameters);
        url.replace("127.0.0.1", "127.0.0.2")
    };
    assert_eq!(connect(&elsewhere("verify-ca")).await, Ok(()));
    let refused = connect(&elsewhere("verify-full")).await.unwrap_err();
    assert!(
        refused.contains("a host of the server's certificate"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_is_refused_if_tls_is_asked_for() {
    let world = World::new().await;
    let url = world.config.database.url.expose();
    let refused = connect(&format!("{url}?sslmode=require")).await;
    assert!(refused.unwrap_err().contains("turn ssl on at the server"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_machines_authorities_count_and_a_refusal_ends_the_command() {
    let place = Place::start().await;
    let world = place.world("sslmode=require").await;
    let world = world.otherwise(&[("DATABASE_URL", &place.url("sslrootcert=system"))]);
    let check = |authority: &str| {
        let file = place.files.path(authority);
        let variables = [("SSL_CERT_FILE".as_ref(), file.as_ref())];
        world.command_with(&["migrate", "--check"], &variables)
    };
    let trusted = check("ca.pem");
    assert!(trusted.status.success(), "{trusted:?}");
    let refused = check("other-ca.pem");
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(3), "{told}");
    assert!(told.contains("name the authority"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_by_certificate_needs_the_certificate() {
    let place = Place::start().await;
    place
        .world("sslmode=require")
        .await
        .add_login("client")
        .await;
    let url = |parameters: &str| {
        let url = place.url(&format!("sslrootcert=FILES/ca.pem&{parameters}"));
        url.replace("pathbound@", "client@")
    };
    let own = "sslcert=FILES/client.pem&sslkey=FILES/client.key";
    for mode in ["require", "verify-full"] {
        let form = url(&format!("sslmode={mode}&{own}"));
        assert_eq!(connect(&form).await, Ok(()), "{form}");
    }
    let without = connect(&url("sslmode=verify-full")).await.unwrap_err();
    assert!(without.contains("client certificate"), "{without}");
    // Signed by the same authority for another name.
    let of_another = "sslcert=FILES/server.pem&sslkey=FILES/other.key";
    std::fs::copy(
        place.files.path("server.key"),
        place.files.path("other.key"),
    )
    .unwrap();
    let refused = connect(&url(of_another)).await.unwrap_err();
    assert!(refused.contains("authentication failed"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_sync_over_verify_full_is_an_exact_copy() {
    let place = Place::start().await;
    let form = "sslmode=verify-full&sslrootcert=FILES/ca.pem";
    let case = place.world(form).await.connect(tiny()).await;
    let _fleet = case.world.fleet(1);
    case.until_complete().await;
    case.assert_exact().await;
    assert!(place.own.postgres().pid().is_some());
}
