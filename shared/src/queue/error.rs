//! What can go wrong with Redis.

/// Redis failed or was out of reach. Nothing is lost by it: Postgres knows what is owed.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    #[error("redis failed: {0}")]
    Redis(redis::RedisError),
}

impl From<redis::RedisError> for QueueError {
    fn from(error: redis::RedisError) -> Self {
        Self::Redis(error)
    }
}
