//! The Redis of a world.

use super::{PATIENCE, World};

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
            // The queue's hash tag ends after the prefix, and a budget's tag goes on.
            .arg(format!("{{{}*", self.config.redis_prefix))
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
            .arg(format!("{{{}}}:tickets", self.config.redis_prefix))
            .query_async(&mut self.redis().await)
            .await
            .expect("redis answers")
    }
}
