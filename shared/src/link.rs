//! Connections to Redis: to one server, or to a cluster, where the hash slot of a key decides its node.
//!
//! The braces in a key's name decide its slot. The queue's keys share one slot and each rate budget has a slot of
//! its own, so that every script finds its keys on one node and the budgets spread over all nodes.

use std::{sync::Arc, time::Duration};

use futures::FutureExt;
use redis::{
    AsyncConnectionConfig, Client, Cmd, Pipeline, RedisError, RedisFuture, Value,
    aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig, MultiplexedConnection},
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
};
use tokio::sync::OnceCell;

use crate::{config::Config, domain::Secret};

/// Where Redis is.
#[derive(Clone)]
pub(crate) struct RedisServer {
    url: Secret,
    /// Whether the URL names one node of a cluster.
    cluster: bool,
}

impl RedisServer {
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            url: config.redis_url.clone(),
            cluster: config.redis_cluster,
        }
    }

    /// A server that is no cluster.
    pub(crate) const fn at(url: Secret) -> Self {
        Self {
            url,
            cluster: false,
        }
    }
}

/// A connection that is made at the first call, and again after it was lost. Cheap to clone.
#[derive(Clone)]
pub(crate) enum RedisConnection {
    Shared(ConnectionManager),
    SharedCluster(Arc<Cluster>),
    /// For commands that block their connection.
    Dedicated(MultiplexedConnection),
    DedicatedCluster(ClusterConnection),
}

pub(crate) struct Cluster {
    client: ClusterClient,
    connection: OnceCell<ClusterConnection>,
}

impl RedisConnection {
    /// One try to connect may take as long as `timeout`, and so may one answer. The first call connects, so Redis
    /// may be away now.
    ///
    /// # Errors
    /// If the URL cannot be used.
    pub(crate) fn shared(
        server: &RedisServer,
        timeout: Duration,
        retries: usize,
    ) -> Result<Self, RedisError> {
        // Callers retry by themselves, so one call must not wait for long between its own retries.
        let max_retry_delay = timeout / 10;
        if server.cluster {
            let client = ClusterClient::builder([server.url.expose()])
                .connection_timeout(timeout)
                .response_timeout(timeout)
                .retries(u32::try_from(retries).unwrap_or(1))
                .max_retry_wait(u64::try_from(max_retry_delay.as_millis()).unwrap_or(u64::MAX))
                .build()?;
            return Ok(Self::SharedCluster(Arc::new(Cluster {
                client,
                connection: OnceCell::new(),
            })));
        }
        // The manager connects again by itself after a failover.
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(timeout))
            .set_connection_timeout(Some(timeout))
            .set_number_of_retries(retries)
            .set_max_delay(max_retry_delay);
        Ok(Self::Shared(ConnectionManager::new_lazy_with_config(
            Client::open(server.url.expose())?,
            config,
        )?))
    }

    /// A connection for commands that block. An answer may take as long as the command does.
    ///
    /// # Errors
    /// If Redis cannot be reached.
    pub(crate) async fn dedicated(
        server: &RedisServer,
        timeout: Duration,
    ) -> Result<Self, RedisError> {
        if server.cluster {
            let client = ClusterClient::builder([server.url.expose()])
                .connection_timeout(timeout)
                // Longer than any command blocks. The cluster client cannot wait without a limit.
                .response_timeout(Duration::from_secs(60))
                .retries(0)
                .build()?;
            return Ok(Self::DedicatedCluster(client.get_async_connection().await?));
        }
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_connection_timeout(Some(timeout));
        let client = Client::open(server.url.expose())?;
        Ok(Self::Dedicated(
            client
                .get_multiplexed_async_connection_with_config(&config)
                .await?,
        ))
    }
}

impl Cluster {
    async fn connection(&self) -> Result<ClusterConnection, RedisError> {
        self.connection
            .get_or_try_init(|| self.client.get_async_connection())
            .await
            .cloned()
    }
}

impl ConnectionLike for RedisConnection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Shared(server) => server.req_packed_command(command),
            Self::SharedCluster(cluster) => async move {
                cluster
                    .connection()
                    .await?
                    .req_packed_command(command)
                    .await
            }
            .boxed(),
            Self::Dedicated(own) => own.req_packed_command(command),
            Self::DedicatedCluster(own) => own.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Shared(server) => server.req_packed_commands(pipeline, offset, count),
            Self::SharedCluster(cluster) => async move {
                cluster
                    .connection()
                    .await?
                    .req_packed_commands(pipeline, offset, count)
                    .await
            }
            .boxed(),
            Self::Dedicated(own) => own.req_packed_commands(pipeline, offset, count),
            Self::DedicatedCluster(own) => own.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Shared(server) => server.get_db(),
            Self::Dedicated(own) => own.get_db(),
            // A cluster has only database 0.
            Self::SharedCluster(_) | Self::DedicatedCluster(_) => 0,
        }
    }
}
