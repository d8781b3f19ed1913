//! Connections to Redis: to one server, to the master that Sentinels name, or to a cluster, where the hash slot of a key
//! decides its node.
//!
//! The braces in a key's name decide its slot. The queue's keys share one slot and each rate budget has a slot of
//! its own, so that every script finds its keys on one node and the budgets spread over all nodes. Every key begins with
//! the prefix, so that the login may be restricted to it.
//!
//! - `connector.rs` makes one connection.
//! - `shared.rs` keeps one that many callers use, and makes it anew when it is of no use any more.
//! - `fault.rs` decides when that is.

mod connector;
mod fault;
mod shared;

use std::{sync::Arc, time::Duration};

use futures::FutureExt;
use redis::{Cmd, Pipeline, RedisError, RedisFuture, Value, aio::ConnectionLike};

use crate::{
    config::{Config, RedisTls},
    domain::Secret,
};
pub(crate) use connector::timed_out;
use connector::{Connector, OpenConnection};
use shared::SharedConnection;

/// Where Redis is.
#[derive(Clone, Debug)]
pub(crate) struct RedisServer {
    url: Secret,
    tls: RedisTls,
    /// Whether the URL names one node of a cluster.
    cluster: bool,
}

impl RedisServer {
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            url: config.redis_url.clone(),
            tls: config.redis_tls.clone(),
            cluster: config.redis_cluster,
        }
    }

    /// A server that is no cluster, without certificates of its own.
    pub(crate) fn at(url: Secret) -> Self {
        Self {
            url,
            tls: RedisTls::default(),
            cluster: false,
        }
    }
}

/// A connection to Redis. Cheap to clone.
#[derive(Clone)]
pub(crate) enum RedisConnection {
    /// Made at the first call, and again after it was lost.
    Shared(Arc<SharedConnection>),
    /// For commands that block their connection.
    Dedicated(OpenConnection),
}

impl RedisConnection {
    /// A command without an answer for `timeout` fails. The first call connects, so Redis may be away now.
    ///
    /// # Errors
    /// If the URL cannot be used.
    pub(crate) fn shared(server: &RedisServer, timeout: Duration) -> Result<Self, RedisError> {
        let connector = Connector::new(server, Some(timeout))?;
        Ok(Self::Shared(Arc::new(SharedConnection::new(connector))))
    }

    /// A connection for commands that block. An answer may take as long as the command does.
    ///
    /// # Errors
    /// If Redis cannot be reached.
    pub(crate) async fn dedicated(server: &RedisServer) -> Result<Self, RedisError> {
        Ok(Self::Dedicated(
            Connector::new(server, None)?.connect().await?,
        ))
    }
}

impl ConnectionLike for RedisConnection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Shared(shared) => {
                shared
                    .call(move |mut connection| async move {
                        connection.req_packed_command(command).await
                    })
                    .boxed()
            }
            Self::Dedicated(own) => own.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Shared(shared) => shared
                .call(move |mut connection| async move {
                    connection
                        .req_packed_commands(pipeline, offset, count)
                        .await
                })
                .boxed(),
            Self::Dedicated(own) => own.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            // Only a transaction that is sent again asks for it, and no call here is one.
            Self::Shared(_) => 0,
            Self::Dedicated(own) => own.get_db(),
        }
    }
}
