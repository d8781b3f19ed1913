//! Strict surroundings of a process, and what it must not print.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

use intercom_simulator::WorkspaceSpec;

use super::redis::add_login;
use crate::support::{Certificates, Process, TlsFront, World, own_redis, tiny};

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_of_somebody_else_may_hold_any_bytes() {
    let world = World::new().await;
    let bytes = OsStr::from_bytes(&[0xff, 0xfe]);
    for arguments in [&["config", "check"][..], &["queues"]] {
        let said = world.command_with(arguments, &[("SOMEBODY_ELSES".as_ref(), bytes)]);
        let text = String::from_utf8_lossy(&said.stderr).into_owned();
        // No operator key is set, which is the only thing that `queues` may say.
        assert!(!text.contains("panicked"), "{arguments:?}: {text}");
        assert_ne!(said.status.code(), Some(101), "{arguments:?}: {text}");
    }
    let said = world.command_with(
        &["config", "check"],
        &[("PATHBOUND_REDIS_PREFIX".as_ref(), bytes)],
    );
    assert_eq!(said.status.code(), Some(78));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_listens_on_ipv6_alone_and_writes_no_file() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        eprintln!("SKIPPED: this machine has no IPv6");
        return;
    }
    let world = World::new().await;
    let nowhere = "/nonexistent";
    let (_api, address) = world.listening_with(
        "all",
        &[
            ("PATHBOUND_LISTEN", "[::1]:0"),
            ("PATHBOUND_OPS_LISTEN", "[::1]:0"),
            ("HOME", nowhere),
            ("TMPDIR", nowhere),
            ("XDG_CACHE_HOME", nowhere),
        ],
    );
    assert!(address.starts_with("[::1]:"), "{address}");
    Process::until_ready(&address).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nameless_user_on_a_read_only_root_serves_and_syncs() {
    let world = World::new().await;
    let Some((_all, address)) = world.listening_as_a_stranger("all") else {
        eprintln!("SKIPPED: this machine lets no test change its user and its mounts");
        return;
    };
    Process::until_ready(&address).await;
    let case = world.connect(tiny()).await;
    case.until_complete().await;
    case.assert_exact().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_to_intercom_trust_an_authority_of_the_operator() {
    let files = Certificates::new();
    let front = TlsFront::open(&files).await;
    let (url, ca) = (
        format!("https://localhost:{}", front.port),
        files.path("ca.pem"),
    );
    let world = World::with(&[("INTERCOM_API_URL", &url), ("CA_FILE", &ca)]).await;
    front.put_before(&world.simulator.url());
    let case = world.connect(tiny()).await;
    let _fleet = world.fleet(1);
    case.until_complete().await;
    case.assert_exact().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_without_authorities_is_told_at_the_start() {
    let world = World::new().await;
    let said = world.command_with(
        &["worker"],
        &[
            ("PATHBOUND_INTERCOM_API_URL".as_ref(), "".as_ref()),
            ("SSL_CERT_FILE".as_ref(), "/dev/null".as_ref()),
            ("SSL_CERT_DIR".as_ref(), "/nonexistent".as_ref()),
        ],
    );
    let text = String::from_utf8_lossy(&said.stderr).into_owned();
    assert_eq!(said.status.code(), Some(78), "{text}");
    assert!(
        text.contains("no certificate authorities") && text.contains("PATHBOUND_CA_FILE"),
        "{text}"
    );
}

/// Values that stand in every place where a secret or a customer's text can be.
const CANARIES: [&str; 6] = [
    "canary-password",
    "canary-parameter",
    "canary-service-key-of-thirty-two-characters",
    "canary-operator-key-of-thirty-two-characters",
    "canary-client-secret",
    "Q0FOQVJZLUNBTkFSWS1DQU5BUlktQ0FOQVJZLTEyMzQ=",
];

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_and_no_customer_value_is_printed_at_any_level() {
    let redis = own_redis(&[]);
    let world = World::new().await;
    let prefix = world.config.redis_prefix.clone();
    add_login(&redis.url(), &prefix);
    crate::support::tell::<()>(
        &redis.url(),
        &["ACL", "SETUSER", "pathbound", ">canary-password"],
    );
    let redis = format!(
        "redis://pathbound:canary-password@127.0.0.1:{}",
        redis.port()
    );
    // The server trusts loopback, so it takes any password.
    let url = world.config.database.url.expose();
    let database = url.replacen("pathbound@", "pathbound:canary-parameter@", 1);
    assert_ne!(database, url);
    let [_, _, service, operator, secret, key] = CANARIES;
    let world = world
        .beside(&[
            ("REDIS_URL", &redis),
            ("REDIS_PREFIX", &prefix),
            ("SERVICE_KEY", service),
            ("OPERATOR_KEY", operator),
            ("ENCRYPTION_KEYS", &format!("k:{key},{}", development_key())),
        ])
        .await;
    let (process, address) = world.listening_with(
        "all",
        &[
            ("PATHBOUND_LOG", "trace,hyper=trace,rustls=trace"),
            ("PATHBOUND_DATABASE_URL", &database),
            ("PATHBOUND_INTERCOM_CLIENT_SECRET", secret),
        ],
    );
    let case = world
        .connect(WorkspaceSpec {
            contacts: 3,
            ..tiny()
        })
        .await;
    case.until_complete().await;
    case.assert_exact().await;
    for path in ["readyz", "metrics", "ops/dead"] {
        let call = reqwest::Client::new().get(format!("http://{address}/{path}"));
        call.bearer_auth(operator).send().await.unwrap();
    }
    let written = process.written();
    assert!(
        written.contains("TRACE") || written.contains("DEBUG"),
        "it logs"
    );
    let customers: Vec<String> = case.customer_texts();
    assert!(!customers.is_empty());
    let printed: Vec<&str> = CANARIES
        .into_iter()
        .chain(customers.iter().map(String::as_str))
        .filter(|canary| written.contains(canary))
        .collect();
    assert_eq!(printed, [""; 0]);
}

/// The key with which the test itself seals tokens.
fn development_key() -> &'static str {
    "development:cGF0aGJvdW5kLWRldmVsb3BtZW50LWtleS0wMDAwMDE="
}
