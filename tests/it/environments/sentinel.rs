//! Sentinels that name the master, over TCP and TLS, before and after a fail-over.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use intercom_simulator::WorkspaceSpec;
use servers::{Redis, RedisBinary};

use super::redis::{add_login, tls_redis, works};
use crate::support::{Certificates, World, own_redis, tell, tiny, wait_for};

/// A Sentinel that watches a master. It is killed when dropped.
struct Sentinel {
    child: Child,
    port: u16,
}

impl Sentinel {
    fn watch(master: &Redis) -> Self {
        let port = servers::free_port().unwrap();
        Self::start(port, master.port(), &format!("port {port}\n"))
    }

    /// Over TLS alone, to clients and to the master.
    fn watch_over_tls(master_port: u16, files: &Certificates) -> Self {
        let port = servers::free_port().unwrap();
        let listen = format!(
            "port 0\ntls-port {port}\ntls-replication yes\ntls-auth-clients optional\n\
             tls-cert-file {}\ntls-key-file {}\ntls-ca-cert-file {}\n",
            files.path("server.pem"),
            files.path("server.key"),
            files.path("ca.pem"),
        );
        Self::start(port, master_port, &listen)
    }

    fn start(port: u16, master: u16, listen: &str) -> Self {
        let config = std::env::temp_dir().join(format!("pathbound-sentinel-{port}.conf"));
        std::fs::write(
            &config,
            format!(
                "{listen}bind 127.0.0.1\nsentinel monitor main 127.0.0.1 {master} 1\n\
                 sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 5000\n"
            ),
        )
        .unwrap();
        let binary = RedisBinary::find(None).unwrap();
        let child = Command::new(binary.path)
            .arg(&config)
            .arg("--sentinel")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, port }
    }

    fn url(&self) -> String {
        // The first one is not there. Sentinels may be away one at a time.
        format!("redis+sentinel://127.0.0.1:1,127.0.0.1:{}/main", self.port)
    }

    /// Waits until the Sentinel knows this many replicas, because it promotes none that it does not know.
    async fn knows(&self, replicas: usize) {
        let url = format!("redis://127.0.0.1:{}", self.port);
        wait_for("the sentinel knows the replica", async || {
            let known = || -> redis::RedisResult<Vec<redis::Value>> {
                let mut redis = redis::Client::open(url.as_str())?.get_connection()?;
                redis::cmd("SENTINEL")
                    .arg("REPLICAS")
                    .arg("main")
                    .query(&mut redis)
            };
            match known() {
                Ok(known) if known.len() >= replicas => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(
            std::env::temp_dir().join(format!("pathbound-sentinel-{}.conf", self.port)),
        );
    }
}

fn another() -> WorkspaceSpec {
    WorkspaceSpec { seed: 2, ..tiny() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_follows_the_sentinels_to_another_master() {
    let master = own_redis(&[]);
    let port = master.port().to_string();
    let replica = own_redis(&["--replicaof", &format!("127.0.0.1 {port}")]);
    let sentinel = Sentinel::watch(&master);
    let world = World::with(&[("REDIS_URL", &sentinel.url())]).await;
    sentinel.knows(1).await;
    works(&world.queue, "through the sentinel").await;
    let _fleet = world.fleet(1);
    let first = world.connect(tiny()).await;
    first.until_complete().await;

    master.kill9().unwrap();
    let second = world.connect(another()).await;
    second.until_complete().await;
    first.assert_exact().await;
    second.assert_exact().await;
    // By the new master, because the old one never came back.
    let role: Vec<redis::Value> = tell(&replica.url(), &["ROLE"]);
    assert_eq!(role[0], redis::Value::BulkString(b"master".to_vec()));
    tokio::time::timeout(
        Duration::from_secs(60),
        works(&world.queue, "after the fail-over"),
    )
    .await
    .expect("within a minute");
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_are_asked_over_tls_and_with_a_login() {
    let files = Certificates::new();
    let (master, tls_port) = tls_redis(&files, &["--tls-auth-clients", "optional"]);
    let sentinel = Sentinel::watch_over_tls(tls_port, &files);
    let world = World::new().await;
    let prefix = world.config.redis_prefix.clone();
    add_login(&master.url(), &prefix);
    let address = format!("localhost:{}", sentinel.port);
    let ca = files.path("ca.pem");
    for url in [
        format!("rediss+sentinel://{address}/main"),
        format!("valkeys+sentinel://pathbound:a%20secret@{address}/main?db=1"),
    ] {
        let variables = [
            ("REDIS_URL", &*url),
            ("REDIS_PREFIX", &prefix),
            ("REDIS_CA_FILE", &ca),
        ];
        let beside = world.beside(&variables).await;
        wait_for("the sentinel knows its master", async || {
            let proved = beside.queue.check_writable().await;
            proved.map_err(|error| error.to_string())
        })
        .await;
        works(&beside.queue, &url).await;
    }
}
