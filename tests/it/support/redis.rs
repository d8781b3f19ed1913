//! The Redis of a world.

use servers::Redis;
use shared::domain::Stream;

use super::{Case, PATIENCE, World};

/// A Redis of a test's own, with these arguments.
pub(crate) fn own_redis(arguments: &[&str]) -> Redis {
    let arguments = arguments.iter().map(|&argument| argument.to_owned());
    Redis::alone(arguments.collect()).expect("redis starts")
}

/// Sends a command to a Redis at a URL, and returns the answer.
pub(crate) fn tell<T: redis::FromRedisValue>(url: &str, command: &[&str]) -> T {
    let mut redis = redis::Client::open(url)
        .expect("a redis url")
        .get_connection()
        .expect("redis answers");
    let mut call = redis::cmd(command[0]);
    call.arg(&command[1..]);
    call.query(&mut redis).expect("redis does it")
}

impl World {
    /// A connection that waits for its answers. By itself the client gives up after half a second, which is too soon
    /// on a busy machine.
    pub(crate) async fn redis(&self) -> redis::aio::MultiplexedConnection {
        let patient = redis::AsyncConnectionConfig::new()
            .set_response_timeout(Some(PATIENCE))
            .set_connection_timeout(Some(PATIENCE));
        let client = redis::Client::open(self.config.redis_url.expose()).expect("a redis url");
        client
            .get_multiplexed_async_connection_with_config(&patient)
            .await
            .expect("redis answers")
    }

    /// Deletes every key of this world, as a flush of a Redis of its own would.
    pub(crate) async fn empty_redis(&self) {
        let mut redis = self.redis().await;
        let keys: Vec<String> = redis::cmd("KEYS")
            .arg(format!("{}:*", self.config.redis_prefix))
            .query_async(&mut redis)
            .await
            .expect("redis answers");
        if !keys.is_empty() {
            redis::cmd("DEL")
                .arg(keys)
                .query_async::<()>(&mut redis)
                .await
                .expect("redis answers");
        }
    }

    /// Tickets that are ready or leased. Parked tickets are elsewhere.
    pub(super) async fn live_tickets(&self) -> Vec<String> {
        redis::cmd("HKEYS")
            .arg(format!("{0}:{{{0}}}:tickets", self.config.redis_prefix))
            .query_async(&mut self.redis().await)
            .await
            .expect("redis answers")
    }
}

impl Case {
    /// How many leases in a row ended with their worker, of a stream whose ticket is ready. `None` if it is not ready.
    pub(crate) async fn crashes_of(&self, stream: Stream) -> Option<u32> {
        let prefix = &self.world.config.redis_prefix;
        let key = |name| format!("{prefix}:{{{prefix}}}:{name}:{}", stream.class());
        let mut redis = self.world.redis().await;
        let first: Option<String> = redis::cmd("HGET")
            .arg(key("first"))
            .arg(self.tenant.to_string())
            .query_async(&mut redis)
            .await
            .expect("redis answers");
        let mut ready: Vec<String> = redis::cmd("LRANGE")
            .arg(format!("{}:{}", key("rest"), self.tenant))
            .arg(0)
            .arg(-1)
            .query_async(&mut redis)
            .await
            .expect("redis answers");
        ready.extend(first);
        // Each is `since,crashes,ticket`, and the first one has a sign before it.
        let ours = ready
            .iter()
            .find(|ticket| ticket.ends_with(stream.as_str()))?;
        ours.split(',').nth(1)?.parse().ok()
    }
}
