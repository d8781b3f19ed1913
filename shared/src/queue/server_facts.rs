//! What a check of the installation asks Redis about itself.

use std::{collections::HashMap, time::Duration};

use super::{Queue, QueueError};

/// Facts about a Redis server. What the server does not tell is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedisFacts {
    /// `redis` or `valkey`.
    pub product: String,
    pub version: Option<String>,
    /// What it does when its memory is full.
    pub eviction: Option<String>,
    /// It logs each write to a file.
    pub logs_writes: Option<bool>,
    /// The server's clock, since 1970.
    pub now: Duration,
}

impl Queue {
    /// Asks the configured server.
    ///
    /// # Errors
    /// If Redis fails, or does not allow the question.
    pub async fn server_facts(&self) -> Result<RedisFacts, QueueError> {
        let (seconds, micros): (u64, u32) = self
            .timed("time", |mut redis| async move {
                redis::cmd("TIME").query_async(&mut redis).await
            })
            .await?;
        let info: String = self
            .timed("info", |mut redis| async move {
                redis::cmd("INFO").query_async(&mut redis).await
            })
            .await?;
        let now = Duration::new(seconds, micros.saturating_mul(1_000));
        Ok(RedisFacts::read(&info, now))
    }
}

impl RedisFacts {
    fn read(info: &str, now: Duration) -> Self {
        let fields: HashMap<&str, &str> = info
            .lines()
            .filter_map(|line| line.trim().split_once(':'))
            .collect();
        let field = |name: &str| fields.get(name).map(|value| (*value).to_owned());
        let valkey = field("valkey_version");
        Self {
            product: if valkey.is_some() { "valkey" } else { "redis" }.to_owned(),
            version: valkey.or_else(|| field("redis_version")),
            eviction: field("maxmemory_policy"),
            logs_writes: field("aof_enabled").map(|enabled| enabled == "1"),
            now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_read_from_both_products() {
        let redis =
            "# Server\r\nredis_version:7.2.4\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\n";
        let read = RedisFacts::read(redis, Duration::ZERO);
        assert_eq!(
            (read.product.as_str(), read.version.as_deref()),
            ("redis", Some("7.2.4"))
        );
        assert_eq!(
            (read.eviction.as_deref(), read.logs_writes),
            (Some("noeviction"), Some(true))
        );
        let valkey = "redis_version:7.2.4\r\nvalkey_version:8.0.1\r\n";
        let read = RedisFacts::read(valkey, Duration::ZERO);
        assert_eq!(
            (read.product.as_str(), read.version.as_deref()),
            ("valkey", Some("8.0.1"))
        );
        assert_eq!((read.eviction, read.logs_writes), (None, None));
    }
}
