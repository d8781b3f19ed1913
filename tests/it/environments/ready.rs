//! Ready means able to work: each role says why it cannot.

use serde_json::Value;
use servers::Redis;

use crate::support::{Process, World, own_redis, tell, wait_for};

/// A process of each role beside a Redis of its own.
struct Roles {
    world: World,
    redis: Redis,
    roles: Vec<(&'static str, Process, String)>,
}

impl Roles {
    async fn start() -> Self {
        // So that the test can make a server that cannot save to its disk.
        let redis = own_redis(&["--enable-protected-configs", "yes"]);
        let world = World::with(&[("REDIS_URL", &redis.url())]).await;
        let roles = ["api", "scheduler", "worker"].map(|role| {
            let (process, address) = world.listening_with(role, &[]);
            (role, process, address)
        });
        Self {
            world,
            redis,
            roles: roles.into(),
        }
    }

    fn tell(&self, command: &[&str]) {
        let _: redis::Value = tell(&self.redis.url(), command);
    }

    /// Waits until `/readyz` of every role says this of Redis.
    async fn until(&self, what: &str) {
        self.until_said("redis", what).await;
    }

    /// Waits until `/readyz` of every role says this of a server.
    async fn until_said(&self, server: &str, what: &str) {
        for (role, _, address) in &self.roles {
            wait_for("readyz changes", async || {
                let (status, said) = readyz(address, server).await;
                let is_expected = (status == 200) == (what == "ok") && said.contains(what);
                is_expected
                    .then_some(())
                    .ok_or_else(|| format!("{role}: {status} {said}, not {what}"))
            })
            .await;
            let live = reqwest::get(format!("http://{address}/livez"))
                .await
                .unwrap();
            assert_eq!(
                live.status(),
                200,
                "a restart of ours does not help a server"
            );
        }
    }
}

/// The status of `/readyz`, and what it says of a server.
async fn readyz(address: &str, server: &str) -> (u16, String) {
    let answer = reqwest::get(format!("http://{address}/readyz"))
        .await
        .unwrap();
    let (status, body) = (
        answer.status().as_u16(),
        answer.json::<Value>().await.unwrap(),
    );
    (
        status,
        body["checks"][server]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn readyz_of_each_role_says_why_redis_cannot_be_written_to() {
    let roles = Roles::start().await;
    roles.until("ok").await;

    roles.tell(&["CONFIG", "SET", "maxmemory", "1"]);
    roles.until("redis is full").await;
    roles.tell(&["CONFIG", "SET", "maxmemory", "0"]);
    roles.until("ok").await;

    roles.tell(&["REPLICAOF", "127.0.0.1", "1"]);
    roles.until("redis is read-only").await;
    roles.tell(&["REPLICAOF", "NO", "ONE"]);
    roles.until("ok").await;

    roles.tell(&["CONFIG", "SET", "save", "3600 1"]);
    roles.tell(&["CONFIG", "SET", "dir", "/proc"]);
    roles.tell(&["BGSAVE"]);
    roles.until("cannot save to its disk").await;
    roles.tell(&["CONFIG", "SET", "save", ""]);
    roles.until("ok").await;

    roles.tell(&["ACL", "SETUSER", "default", "-set"]);
    roles.until("compare its ACL with the README").await;
    roles.tell(&["ACL", "SETUSER", "default", "+set"]);
    roles.until("ok").await;

    roles.redis.suspend().unwrap();
    roles.until("did not answer in time").await;
    roles.redis.resume().unwrap();
    roles.until("ok").await;
    // Each reason is logged once, however many probes have met it.
    for (role, process, _) in &roles.roles {
        let written = process.written();
        let full = written
            .lines()
            .filter(|line| line.contains("not ready") && line.contains("is full"));
        assert_eq!(full.count(), 1, "{role}: {written}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readyz_of_each_role_says_that_the_schema_is_older_than_the_build() {
    let roles = Roles::start().await;
    roles.until_said("postgres", "ok").await;
    roles.world.forget_migration(20).await;
    roles
        .until_said("postgres", "run `pathbound migrate`")
        .await;
}
