//! Every form of a URL of Redis, each with a connection, and a login that an ACL restricts.

use servers::Redis;
use shared::{
    domain::{ConnectionId, Stream, TenantId},
    queue::{Queue, Ticket},
};

use crate::support::{Certificates, World, own_redis, tell, tiny, wait_for};

/// The line that README gives to operators, for one prefix.
pub(super) fn acl(prefix: &str) -> String {
    let readme = include_str!("../../../README.md");
    let line = readme
        .lines()
        .find_map(|line| line.trim().strip_prefix("ACL SETUSER pathbound "))
        .expect("README has the line");
    line.replace("~pathbound:", &format!("~{prefix}:"))
}

/// Gives a server the login of README, restricted to a prefix.
pub(super) fn add_login(url: &str, prefix: &str) {
    let rules = acl(prefix);
    let mut command = vec!["ACL", "SETUSER", "pathbound"];
    command.extend(rules.split(' ').map(|rule| match rule {
        ">PASSWORD" => ">a secret",
        rule => rule,
    }));
    tell::<()>(url, &command);
}

/// A socket's path that the servers' account can make.
fn socket() -> String {
    format!("/tmp/pathbound-{}.sock", uuid::Uuid::now_v7().simple())
}

/// A Redis that also listens with TLS, and the port of that.
pub(super) fn tls_redis(files: &Certificates, arguments: &[&str]) -> (Redis, u16) {
    let port = servers::free_port().unwrap();
    let (certificate, key, ca) = (
        files.path("server.pem"),
        files.path("server.key"),
        files.path("ca.pem"),
    );
    let port_text = port.to_string();
    let mut all = vec![
        "--tls-port",
        &port_text,
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &ca,
    ];
    all.extend(arguments);
    (own_redis(&all), port)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_of_a_redis_url_connects() {
    let (files, socket) = (Certificates::new(), socket());
    let (redis, tls_port) = tls_redis(
        &files,
        &[
            "--unixsocket",
            &socket,
            "--unixsocketperm",
            "777",
            "--tls-auth-clients",
            "yes",
        ],
    );
    let port = redis.port();
    let world = World::new().await;
    let prefix = world.config.redis_prefix.clone();
    add_login(&redis.url(), &prefix);
    let (ca, certificate, key) = (
        files.path("ca.pem"),
        files.path("client.pem"),
        files.path("client.key"),
    );
    let own = [
        ("REDIS_CA_FILE", ca.as_str()),
        ("REDIS_CERT_FILE", certificate.as_str()),
        ("REDIS_KEY_FILE", key.as_str()),
    ];
    for (url, tls) in [
        (format!("redis://127.0.0.1:{port}"), false),
        (format!("redis://localhost:{port}/3"), false),
        (
            format!("redis://pathbound:a%20secret@127.0.0.1:{port}"),
            false,
        ),
        (format!("valkey://127.0.0.1:{port}/"), false),
        (format!("unix://{socket}"), false),
        (
            format!("unix://{socket}?db=2&user=pathbound&pass=a%20secret"),
            false,
        ),
        (format!("unix://pathbound:a%20secret@{socket}"), false),
        (format!("rediss://127.0.0.1:{tls_port}"), true),
        (
            format!("rediss://pathbound:a%20secret@localhost:{tls_port}/1"),
            true,
        ),
        (format!("valkeys://localhost:{tls_port}"), true),
    ] {
        let mut variables = vec![("REDIS_URL", url.as_str()), ("REDIS_PREFIX", &prefix)];
        variables.extend(own.iter().filter(|_| tls));
        let beside = world.beside(&variables).await;
        works(&beside.queue, &url).await;
        let checked = beside.command(&["config", "check"]);
        assert!(checked.status.success(), "{url}: {checked:?}");
    }
    // An authority that did not sign is refused, and so is a client without a certificate.
    let url = format!("rediss://127.0.0.1:{tls_port}");
    let other = files.path("other-ca.pem");
    for wrong in [
        vec![("REDIS_CA_FILE", ca.as_str())],
        vec![("REDIS_CA_FILE", &other), own[1], own[2]],
    ] {
        let mut variables = vec![("REDIS_URL", url.as_str())];
        variables.extend(wrong);
        let beside = world.beside(&variables).await;
        assert!(
            beside.queue.check_writable().await.is_err(),
            "{variables:?}"
        );
    }
}

/// A call of each kind: a script, a plain command, and one that blocks. They are repeated, because each of them is
/// given up after seconds, which is too soon now and then on a busy machine.
pub(super) async fn works(queue: &Queue, url: &str) {
    let ticket = Ticket::new(TenantId::new(), ConnectionId::new(), Stream::Contacts);
    wait_for("every call is answered", async || {
        let called = async {
            queue.check_writable().await?;
            queue.push(&[ticket]).await?;
            queue.mark_filled().await?;
            queue.stats().await?;
            queue.is_filled().await
        };
        match called.await {
            Ok(true) => Ok(()),
            other => Err(format!("{url}: {other:?}")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_restricted_to_the_prefix_syncs_a_workspace() {
    let redis = own_redis(&[]);
    let world = World::new().await;
    let prefix = world.config.redis_prefix.clone();
    add_login(&redis.url(), &prefix);
    let url = format!("redis://pathbound:a%20secret@127.0.0.1:{}", redis.port());
    // Nothing else may read or write there.
    let world = world
        .beside(&[("REDIS_URL", &url), ("REDIS_PREFIX", &prefix)])
        .await;
    let other = world.beside(&[("REDIS_URL", &url)]).await;
    wait_for("the login is refused", async || {
        let refused = other.queue.check_writable().await.unwrap_err().to_string();
        let is_told = refused.contains("compare its ACL with the README");
        is_told.then_some(()).ok_or(refused)
    })
    .await;

    tell::<()>(&redis.url(), &["ACL", "LOG", "RESET"]);

    let case = world.connect(tiny()).await;
    let _fleet = world.fleet(1);
    case.until_complete().await;
    case.assert_exact().await;
    let denied: Vec<redis::Value> = tell(&redis.url(), &["ACL", "LOG"]);
    assert_eq!(denied, [], "every command is allowed");
}

#[test]
fn a_form_that_cannot_work_is_bad_configuration() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::new());
    for url in [
        "http://127.0.0.1",
        "redis://h:p:w",
        "rediss://h#insecure",
        "redis+sentinel://h",
    ] {
        let variables = [("PATHBOUND_REDIS_URL".as_ref(), url.as_ref())];
        for arguments in [&["config", "check"][..], &["scheduler"]] {
            let said = world.command_with(arguments, &variables);
            let text = String::from_utf8_lossy(&said.stderr).into_owned()
                + &String::from_utf8_lossy(&said.stdout);
            assert_eq!(said.status.code(), Some(78), "{url}: {text}");
            assert!(text.contains("PATHBOUND_REDIS_URL"), "{url}: {text}");
        }
    }
}
