//! What can go wrong with Redis.

/// Redis failed or could not be reached. No work is lost by it, because Postgres knows which streams are due.
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
