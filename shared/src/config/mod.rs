//! Configuration: `default.toml` is the manual and the defaults, a file overrides it, the
//! environment overrides both. All of it is checked at once, and every fault is named.

pub mod dsn;
mod egress;
mod fleet;
mod layers;
mod mcp;
mod redis_url;
mod rest;
mod retention;
mod role;
mod secrets;
mod traces;
mod url_text;
mod values;

use std::{net::SocketAddr, path::Path, time::Duration};

pub use egress::{Egress, RedisTls};
pub use fleet::FleetConfig;
pub use layers::Environment;
use layers::{Findings, Layers};
pub use mcp::{McpConfig, SignIn};
pub(crate) use redis_url::{RedisHost, RedisLogin, RedisTarget, RedisUrl};
pub use rest::RestConfig;
pub use retention::Retention;
pub use role::{ProcessRole, UnknownRole};
pub use traces::TracesConfig;
use values::Reader;

use crate::domain::{OperatorName, Secret, WorkerPool, thread_fate::ThreadPatience};

/// The defaults with their comments. The loader reads the values, and `make reference` the comments.
pub const DEFAULTS: &str = include_str!("../default.toml");

/// Shorter waits would ask Intercom without a pause.
const SHORTEST_DOUBT: Duration = Duration::from_millis(100);

/// How strict start-up is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    Production,
    /// Accepts loopback `http` URLs, a superuser DSN and built-in keys.
    Development,
}

/// Every option, validated. See `default.toml` for what each is for.
#[derive(Clone, Debug)]
pub struct Config {
    pub profile: Profile,
    pub database: DatabaseConfig,
    pub migrate_url: Secret,
    pub redis_url: Secret,
    pub redis_tls: RedisTls,
    pub redis_prefix: String,
    /// The URL names a node of a Redis Cluster.
    pub redis_cluster: bool,
    pub listen: SocketAddr,
    pub ops_listen: SocketAddr,
    /// Without a trailing slash.
    pub public_url: String,
    pub return_url: String,
    pub rest: RestConfig,
    pub mcp: McpConfig,
    pub service_key: Secret,
    pub operator_key: Option<Secret>,
    /// What the command line calls its operator.
    pub operator_name: Option<OperatorName>,
    /// It opens the ops listener for reading only.
    pub viewer_key: Option<Secret>,
    pub encryption_keys: Secret,
    pub intercom: IntercomConfig,
    pub intervals: Intervals,
    pub doubt: DoubtConfig,
    pub retention: Retention,
    pub fleet: FleetConfig,
    /// How long a process may finish its work in hand after SIGTERM.
    pub drain_limit: Duration,
    /// How long an API process serves on after SIGTERM while it says that it is not ready.
    pub shutdown_delay: Duration,
    pub worker_slots: usize,
    pub worker_pool: WorkerPool,
    /// Conversations that one slice of threads fetches.
    pub conversations_per_slice: usize,
    /// How many of them it fetches at once.
    pub conversation_concurrency: usize,
    /// Bytes of response bodies that a process holds at once.
    pub response_memory: usize,
    /// Objects from which on a first walk has Postgres analyze the tables that it filled.
    pub analyze_threshold: u32,
    pub log: String,
    pub log_json: bool,
    pub traces: TracesConfig,
    /// Settings that have no effect or an old name. The process starts all the same.
    pub warnings: Vec<String>,
}

/// How the sessions with Postgres are opened and used.
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    pub url: Secret,
    /// What the names of the roles begin with.
    pub role_prefix: String,
    /// Sessions that one process opens at most, for all that it does.
    pub connections: u32,
    /// The longest statement.
    pub statement_timeout: Duration,
    /// False if a pooler is in between that does not keep prepared statements.
    pub prepared_statements: bool,
    /// Into how many partitions the first migration splits the big tables.
    pub partitions: u32,
}

impl DatabaseConfig {
    /// The defaults for another server.
    #[must_use]
    pub fn of_url(url: Secret) -> Self {
        Self {
            url,
            role_prefix: "pathbound".to_owned(),
            connections: 16,
            statement_timeout: Duration::from_secs(30),
            prepared_statements: true,
            partitions: 16,
        }
    }
}

/// Which calls Intercom counts against one rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateLimitScope {
    /// The calls to one workspace.
    Workspace,
    /// The calls to all workspaces of the app in one region.
    App,
}

impl RateLimitScope {
    const NAMED: [(&str, Self); 2] = [("workspace", Self::Workspace), ("app", Self::App)];

    /// The option's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Workspace => "workspace",
            Self::App => "app",
        }
    }
}

/// The OAuth app and how we talk to Intercom.
#[derive(Clone, Debug)]
pub struct IntercomConfig {
    pub client_id: String,
    pub client_secret: Secret,
    /// Development only: the host of every region.
    pub api_url: Option<String>,
    pub app_url: Option<String>,
    pub version: String,
    pub max_share: f64,
    pub rate_limit_scope: RateLimitScope,
    pub request_timeout: Duration,
    pub egress: Egress,
}

/// How often each kind of work is due.
#[derive(Clone, Copy, Debug)]
pub struct Intervals {
    pub sync: Duration,
    pub reconcile: Duration,
    pub company_walk: Duration,
    pub reference: Duration,
    pub audit: Duration,
    pub search_index_lag: Duration,
    pub record_retry: Duration,
    pub company_lists: Duration,
}

/// How long bad news is doubted, and how soon it is asked about again.
#[derive(Clone, Copy, Debug)]
pub struct DoubtConfig {
    /// A refusal of a whole stream is believed after this time.
    pub refusal: Duration,
    /// The first check of a blocked stream.
    pub block_check: Duration,
    /// Threads, each on its own.
    pub thread: ThreadPatience,
}

impl Config {
    /// Reads the defaults, then the file (if any), then `PATHBOUND_*` of the environment.
    ///
    /// # Errors
    /// [`ConfigError`] with every fault found, not only the first.
    pub fn load(
        file: Option<&Path>,
        environment: &Environment,
        role: ProcessRole,
    ) -> Result<Self, ConfigError> {
        let mut findings = Findings::default();
        let layers = Layers::read(DEFAULTS, file, environment, &mut findings);
        let Findings {
            mut faults,
            warnings,
        } = findings;
        let mut config = Self::from_layers(&layers, role, &mut faults);
        if faults.is_empty() {
            config.warnings = warnings;
            Ok(config)
        } else {
            Err(ConfigError { faults, warnings })
        }
    }

    fn from_layers(layers: &Layers, role: ProcessRole, faults: &mut Vec<String>) -> Self {
        let mut read = Reader { layers, faults };
        let profile = read.choice(
            "profile",
            &[
                ("production", Profile::Production),
                ("development", Profile::Development),
            ],
        );
        let development = profile == Profile::Development;

        let database_url = read.dsn("database_url", true);
        let migrate_url = read.text("migrate_url");
        // One role that owns the schema and works with it is enough for development.
        let migrate_url = if migrate_url.is_empty() {
            database_url.clone()
        } else {
            read.dsn("migrate_url", true)
        };
        let redis_cluster = read.choice("redis_cluster", &[("false", false), ("true", true)]);
        let (redis_url, redis_tls) = read.redis(redis_cluster, role.uses_redis());
        // Only the role that uses a value needs it, so a worker's pod has no client secret.
        let public_url = read.web_url("public_url", development, role.runs_api());

        Self {
            profile,
            database: DatabaseConfig {
                url: Secret::new(database_url),
                role_prefix: read.role_prefix("role_prefix"),
                connections: read.sessions("database_connections", role),
                statement_timeout: read
                    .duration("database_statement_timeout", Duration::from_millis(100)),
                prepared_statements: read.choice(
                    "database_prepared_statements",
                    &[("true", true), ("false", false)],
                ),
                partitions: read.number("database_partitions", 1, 1024),
            },
            migrate_url: Secret::new(migrate_url),
            redis_url: Secret::new(redis_url),
            redis_tls,
            redis_prefix: read.name("redis_prefix"),
            redis_cluster,
            listen: read.address("listen"),
            ops_listen: read.address("ops_listen"),
            return_url: read.return_url("return_url", development),
            rest: RestConfig::read(&mut read, development),
            mcp: McpConfig::read(&mut read, development),
            service_key: read.key("service_key", role.runs_api(), development),
            operator_key: read.optional_key("operator_key"),
            operator_name: read.operator_name("operator_name"),
            viewer_key: read.viewer_key("viewer_key", "operator_key"),
            encryption_keys: read.encryption_keys(
                "encryption_keys",
                role.uses_tokens(),
                development,
            ),
            intercom: IntercomConfig::read(&mut read, role, development),
            intervals: Intervals::read(&mut read),
            doubt: DoubtConfig::read(&mut read),
            retention: Retention::read(&mut read),
            fleet: FleetConfig::read(&mut read),
            drain_limit: read.duration("drain_limit", Duration::ZERO),
            shutdown_delay: read.duration("shutdown_delay", Duration::ZERO),
            // The limits are wide. They refuse slips of the pen and not unusual deployments.
            worker_slots: read.number("worker_slots", 1, 10_000) as usize,
            worker_pool: read.choice(
                "worker_pool",
                &WorkerPool::ALL
                    .iter()
                    .map(|pool| (pool.as_str(), *pool))
                    .collect::<Vec<_>>(),
            ),
            conversations_per_slice: read.number("conversations_per_slice", 1, 1_000) as usize,
            conversation_concurrency: read.number("conversation_concurrency", 1, 256) as usize,
            response_memory: (read.number("response_memory", 64, 65_536) as usize) << 20,
            analyze_threshold: read.number("analyze_threshold", 1, u32::MAX),
            log: read.text("log"),
            log_json: read.choice("log_format", &[("text", false), ("json", true)]),
            traces: TracesConfig::read(&mut read),
            public_url,
            warnings: Vec::new(),
        }
    }

    /// Whether the ops listener answers anybody.
    #[must_use]
    pub const fn has_operators(&self) -> bool {
        self.operator_key.is_some() || self.viewer_key.is_some()
    }

    /// Where the tools are, which is also the audience of the tokens that they take.
    #[must_use]
    pub fn mcp_url(&self) -> String {
        format!("{}/mcp", self.public_url)
    }

    /// The redirect URI to register with Intercom.
    #[must_use]
    pub fn redirect_uri(&self) -> String {
        format!("{}/oauth/intercom/callback", self.public_url)
    }
}

impl IntercomConfig {
    fn read(read: &mut Reader<'_>, role: ProcessRole, development: bool) -> Self {
        Self {
            client_id: read.required_text("intercom_client_id", role.runs_api()),
            client_secret: Secret::new(
                read.required_text("intercom_client_secret", role.runs_api()),
            ),
            api_url: read.development_url("intercom_api_url", development),
            app_url: read.development_url("intercom_app_url", development),
            version: read.version("intercom_version"),
            max_share: read.share("max_share"),
            rate_limit_scope: read.choice("rate_limit_scope", &RateLimitScope::NAMED),
            request_timeout: read.duration("request_timeout", Duration::from_millis(100)),
            egress: read.egress(role.uses_tokens()),
        }
    }
}

impl Intervals {
    fn read(read: &mut Reader<'_>) -> Self {
        Self {
            sync: read.duration("sync_interval", Duration::from_secs(1)),
            reconcile: read.duration("reconcile_interval", Duration::from_secs(1)),
            company_walk: read.duration("company_walk_interval", Duration::from_secs(1)),
            reference: read.duration("reference_interval", Duration::from_secs(1)),
            audit: read.duration("audit_interval", Duration::from_secs(1)),
            search_index_lag: read.duration("search_index_lag", Duration::ZERO),
            record_retry: read.duration("record_retry", Duration::from_millis(100)),
            company_lists: read.duration("company_lists_time", Duration::ZERO),
        }
    }
}

impl DoubtConfig {
    fn read(read: &mut Reader<'_>) -> Self {
        Self {
            refusal: read.duration("refusal_confirmation", SHORTEST_DOUBT),
            block_check: read.duration("block_check_interval", SHORTEST_DOUBT),
            thread: ThreadPatience {
                first_retry: read.duration("thread_retry_interval", SHORTEST_DOUBT),
                refusal: read.duration("thread_refusal_confirmation", SHORTEST_DOUBT),
                deletion: read.duration("deletion_confirmation", SHORTEST_DOUBT),
            },
        }
    }
}

/// Every fault of the configuration, one line each.
#[derive(Debug, thiserror::Error)]
#[error("the configuration has {} {}:\n  {}", faults.len(), if faults.len() == 1 { "fault" } else { "faults" }, faults.join("\n  "))]
pub struct ConfigError {
    pub faults: Vec<String>,
    pub warnings: Vec<String>,
}

#[cfg(test)]
mod tests;
