//! What can go wrong with Redis.

use redis::{ErrorKind, RedisError};

/// Redis failed or could not be reached. No work is lost by it, because Postgres knows which streams are due.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    #[error("redis failed: {0}{hint}", hint = hint(.0))]
    Redis(RedisError),
}

/// What an operator can do about it, for the refusals that a restart of ours does not heal.
fn hint(error: &RedisError) -> &'static str {
    match error.code() {
        Some("OOM") => " (redis is full, so raise its maxmemory)",
        Some("READONLY") => " (redis is read-only, so point redis_url at the primary)",
        Some("MISCONF") => " (redis cannot save to its disk)",
        Some("NOPERM") => " (the login may not do this, so compare its ACL with the README)",
        Some("NOAUTH" | "WRONGPASS") => " (the login is wrong, so check redis_url)",
        _ if error.kind() == ErrorKind::AuthenticationFailed => {
            " (the login is wrong, so check redis_url)"
        }
        _ if error.is_timeout() => " (redis did not answer in time)",
        _ if is_denied_in_script(error) => {
            " (the login may not do this, so compare its ACL with the README)"
        }
        _ => "",
    }
}

/// A command that the login may not use fails the script with a text of its own, and with no code.
fn is_denied_in_script(error: &RedisError) -> bool {
    let text = error.to_string();
    text.contains("ACL failure") || text.contains("can't run this command")
}

impl From<redis::RedisError> for QueueError {
    fn from(error: redis::RedisError) -> Self {
        Self::Redis(error)
    }
}
