//! Makes one connection, within a time limit.

use std::time::{Duration, Instant};

use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind,
    IntoConnectionInfo, Pipeline, RedisConnectionInfo, RedisError, RedisFuture, TlsCertificates,
    Value,
    aio::{ConnectionLike, MultiplexedConnection},
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};

use super::RedisServer;
use crate::{
    config::{RedisHost, RedisLogin, RedisTarget, RedisTls, RedisUrl},
    tls::use_ring,
};

/// The longest that connecting may take, with the look-up of the name, TLS, the login and the Sentinels.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Longer than any command blocks. The cluster client cannot wait without a limit.
const BLOCKED_LIMIT: Duration = Duration::from_secs(60);
/// A silent connection is probed after this time, then twice more. A router that forgot the connection is noticed
/// although no command is under way.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// What was sent must be acknowledged by the other machine within this time.
const UNACKNOWLEDGED: Duration = Duration::from_secs(15);

/// Makes connections to one Redis. It reads certificates for each, so that renewed ones are used.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    url: RedisUrl,
    tls: RedisTls,
    cluster: bool,
    /// Of one command. `None` for commands that block.
    response_limit: Option<Duration>,
}

/// A connection that was made.
#[derive(Clone)]
pub(crate) enum OpenConnection {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Connector {
    pub(super) fn new(
        server: &RedisServer,
        response_limit: Option<Duration>,
    ) -> Result<Self, RedisError> {
        let url = RedisUrl::parse(server.url.expose()).map_err(|error| {
            RedisError::from((
                ErrorKind::InvalidClientConfig,
                "the url of redis cannot be used",
                error.to_string(),
            ))
        })?;
        Ok(Self {
            url,
            tls: server.tls.clone(),
            cluster: server.cluster,
            response_limit,
        })
    }

    /// # Errors
    /// If Redis cannot be reached within [`CONNECT_LIMIT`], or if it refuses the login.
    pub(super) async fn connect(&self) -> Result<OpenConnection, RedisError> {
        let began = Instant::now();
        let connected = tokio::time::timeout(CONNECT_LIMIT, self.open()).await;
        let connected = connected.unwrap_or_else(|_| Err(timed_out()));
        tracing::debug!(
            seconds = began.elapsed().as_secs_f64(),
            connected = connected.is_ok(),
            "connected to redis"
        );
        connected
    }

    async fn open(&self) -> Result<OpenConnection, RedisError> {
        if self.url.tls {
            use_ring();
        }
        match &self.url.target {
            RedisTarget::Server(host) if self.cluster => {
                let client = self.cluster_client(host)?;
                Ok(OpenConnection::Cluster(
                    client.get_async_connection().await?,
                ))
            }
            RedisTarget::Server(host) => {
                let info = self.info(self.address(host))?;
                let client = match self.certificates()? {
                    Some(certificates) => Client::build_with_tls(info, certificates)?,
                    None => Client::open(info)?,
                };
                self.connect_to(&client).await
            }
            RedisTarget::Socket(path) => {
                let info = self.info(ConnectionAddr::Unix(path.clone()))?;
                self.connect_to(&Client::open(info)?).await
            }
            RedisTarget::Sentinels { hosts, master } => {
                // Asked for each connection, because they name another master after a fail-over.
                let mut sentinels = self.sentinels(hosts, master)?;
                let client = sentinels.async_get_client().await?;
                self.connect_to(&client).await
            }
        }
    }

    async fn connect_to(&self, client: &Client) -> Result<OpenConnection, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(self.response_limit)
            .set_connection_timeout(Some(CONNECT_LIMIT));
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        Ok(OpenConnection::Server(connecting.await?))
    }

    fn cluster_client(&self, host: &RedisHost) -> Result<ClusterClient, RedisError> {
        let limit = self.response_limit.unwrap_or(BLOCKED_LIMIT);
        let builder = ClusterClient::builder([self.info(self.address(host))?])
            .connection_timeout(CONNECT_LIMIT / 2)
            .response_timeout(limit)
            // A caller retries by itself, so one call must not wait for long between its own retries.
            .retries(u32::from(self.response_limit.is_some()) * 2)
            .max_retry_wait(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX) / 10)
            .tcp_settings(tcp());
        match self.certificates()? {
            Some(certificates) => builder.certs(certificates).build(),
            None => builder.build(),
        }
    }

    fn sentinels(&self, hosts: &[RedisHost], master: &str) -> Result<SentinelClient, RedisError> {
        let addresses = hosts.iter().map(|host| self.address(host));
        let mut builder =
            SentinelClientBuilder::new(addresses, master, SentinelServerType::Master)?
                .set_client_to_redis_db(self.url.db)
                .set_client_to_redis_tcp_settings(tcp())
                .set_client_to_sentinel_tcp_settings(tcp());
        let RedisLogin { user, password } = &self.url.login;
        if let Some(user) = user {
            builder = builder.set_client_to_redis_username(user);
        }
        if let Some(password) = password {
            builder = builder.set_client_to_redis_password(password.expose());
        }
        let RedisLogin { user, password } = &self.url.sentinel_login;
        if let Some(user) = user {
            builder = builder.set_client_to_sentinel_username(user);
        }
        if let Some(password) = password {
            builder = builder.set_client_to_sentinel_password(password.expose());
        }
        if self.url.tls {
            builder = builder.set_client_to_redis_tls_mode(redis::TlsMode::Secure);
        }
        if let Some(certificates) = self.certificates()? {
            builder = builder
                .set_client_to_redis_certificates(certificates.clone())
                .set_client_to_sentinel_certificates(certificates);
        }
        builder.build()
    }

    fn address(&self, RedisHost { name, port }: &RedisHost) -> ConnectionAddr {
        if self.url.tls {
            ConnectionAddr::TcpTls {
                host: name.clone(),
                port: *port,
                insecure: false,
                tls_params: None,
            }
        } else {
            ConnectionAddr::Tcp(name.clone(), *port)
        }
    }

    fn info(&self, address: ConnectionAddr) -> Result<ConnectionInfo, RedisError> {
        let mut redis = RedisConnectionInfo::default().set_db(self.url.db);
        if let Some(user) = &self.url.login.user {
            redis = redis.set_username(user);
        }
        if let Some(password) = &self.url.login.password {
            redis = redis.set_password(password.expose());
        }
        Ok(address
            .into_connection_info()?
            .set_tcp_settings(tcp())
            .set_redis_settings(redis))
    }

    /// `None` if the system's authorities are enough.
    fn certificates(&self) -> Result<Option<TlsCertificates>, RedisError> {
        let RedisTls { ca_file, client } = &self.tls;
        if !self.url.tls || (ca_file.is_none() && client.is_none()) {
            return Ok(None);
        }
        let client_tls = match client {
            Some((certificate, key)) => Some(ClientTlsConfig {
                client_cert: std::fs::read(certificate)?,
                client_key: std::fs::read(key)?,
            }),
            None => None,
        };
        Ok(Some(TlsCertificates {
            client_tls,
            root_cert: ca_file.as_ref().map(std::fs::read).transpose()?,
        }))
    }
}

/// What a call ends with that took too long.
pub(crate) fn timed_out() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}

fn tcp() -> TcpSettings {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE);
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    let keepalive = keepalive.with_interval(KEEPALIVE / 2).with_retries(2);
    // A command is small and waits for its answer, so that nothing is gained by holding it back.
    let settings = TcpSettings::default()
        .set_nodelay(true)
        .set_keepalive(keepalive);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(UNACKNOWLEDGED);
    settings
}

impl ConnectionLike for OpenConnection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Server(server) => server.req_packed_command(command),
            Self::Cluster(cluster) => cluster.req_packed_command(command),
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
            Self::Cluster(cluster) => cluster.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Server(server) => server.get_db(),
            // A cluster has only database 0.
            Self::Cluster(_) => 0,
        }
    }
}
