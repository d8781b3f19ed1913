//! The link to Redis: one server, or a cluster, where each key's hash slot says which node has it.
//!
//! The queue's keys are in one slot and each rate budget's in one of its own, by the braces in their names, so
//! that every script finds its keys together on some node, and the budgets spread over all of them.

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
pub(crate) struct Server {
    url: Secret,
    /// The URL names one node of a cluster, which knows the others.
    cluster: bool,
}

impl Server {
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            url: config.redis_url.clone(),
            cluster: config.redis_cluster,
        }
    }

    /// A server that stands alone.
    pub(crate) const fn at(url: Secret) -> Self {
        Self {
            url,
            cluster: false,
        }
    }
}

/// Connects when it is used, and again when it was lost. Cheap to clone.
#[derive(Clone)]
pub(crate) enum Link {
    Server(ConnectionManager),
    Cluster(Arc<Cluster>),
    /// A connection of its own, for commands that block it.
    Own(MultiplexedConnection),
    OwnInCluster(ClusterConnection),
}

pub(crate) struct Cluster {
    client: ClusterClient,
    connection: OnceCell<ClusterConnection>,
}

impl Link {
    /// `patience`: how long one try to connect and one answer may take.
    ///
    /// # Errors
    /// When the URL cannot be used. The first connection is made at the first call: Redis may be away.
    pub(crate) fn open(
        server: &Server,
        patience: Duration,
        retries: usize,
    ) -> Result<Self, RedisError> {
        // Callers try again by themselves, and a round of theirs must not be a long one.
        let longest_pause = patience / 10;
        if server.cluster {
            let client = ClusterClient::builder([server.url.expose()])
                .connection_timeout(patience)
                .response_timeout(patience)
                .retries(u32::try_from(retries).unwrap_or(1))
                .max_retry_wait(u64::try_from(longest_pause.as_millis()).unwrap_or(u64::MAX))
                .build()?;
            return Ok(Self::Cluster(Arc::new(Cluster {
                client,
                connection: OnceCell::new(),
            })));
        }
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(patience))
            .set_connection_timeout(Some(patience))
            .set_number_of_retries(retries)
            .set_max_delay(longest_pause);
        Ok(Self::Server(ConnectionManager::new_lazy_with_config(
            Client::open(server.url.expose())?,
            config,
        )?))
    }

    /// A connection of its own, on which an answer may take as long as it takes.
    ///
    /// # Errors
    /// When Redis cannot be reached.
    pub(crate) async fn own(server: &Server, patience: Duration) -> Result<Self, RedisError> {
        if server.cluster {
            let client = ClusterClient::builder([server.url.expose()])
                .connection_timeout(patience)
                .response_timeout(Duration::from_secs(60))
                .retries(0)
                .build()?;
            return Ok(Self::OwnInCluster(client.get_async_connection().await?));
        }
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_connection_timeout(Some(patience));
        let client = Client::open(server.url.expose())?;
        Ok(Self::Own(
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

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Server(server) => server.req_packed_command(command),
            Self::Cluster(cluster) => async move {
                cluster
                    .connection()
                    .await?
                    .req_packed_command(command)
                    .await
            }
            .boxed(),
            Self::Own(own) => own.req_packed_command(command),
            Self::OwnInCluster(own) => own.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Server(server) => server.req_packed_commands(pipeline, offset, count),
            Self::Cluster(cluster) => async move {
                cluster
                    .connection()
                    .await?
                    .req_packed_commands(pipeline, offset, count)
                    .await
            }
            .boxed(),
            Self::Own(own) => own.req_packed_commands(pipeline, offset, count),
            Self::OwnInCluster(own) => own.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Server(server) => server.get_db(),
            Self::Own(own) => own.get_db(),
            // A cluster has one.
            Self::Cluster(_) | Self::OwnInCluster(_) => 0,
        }
    }
}
