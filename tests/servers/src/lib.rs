//! Private, throw-away Postgres and Redis for tests, the demo and the benchmarks.
//!
//! [`Servers::start`] finds the binaries, starts one of each on free loopback
//! ports in a temporary directory, and returns when both answer. Dropping the
//! value stops them and removes the directory. So does the end of the process,
//! however it ends, as said below.
//!
//! Everything is synchronous and needs no runtime, so that a test binary can
//! keep its servers in a `OnceLock`.
//!
//! # Nothing is left running
//!
//! A `static` is never dropped and `kill -9` runs no destructor, so the servers
//! belong to a small shell process (the reaper) that waits for the end of a pipe
//! held by the owner. The kernel closes that pipe whatever ends the owner.

mod account;
mod daemon;
mod error;
mod launcher;
mod locate;
mod port;
mod postgres;
mod reaper;
mod redis;
mod relay;
mod scratch;
mod template;

use std::sync::Arc;

pub use account::Account;
pub use error::{Error, INSTALL_HINT};
pub use locate::{Binaries, PostgresBinaries, RedisBinary};
pub use port::free_port;
pub use postgres::Postgres;
pub use redis::Redis;
pub use relay::Relay;

use launcher::Launcher;

/// How to start the two servers. `Options::default()` suits tests and the demo.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whether Postgres pays for surviving a power cut.
    pub durability: Durability,
    /// Postgres `max_connections`.
    pub max_connections: u16,
    /// Postgres `shared_buffers`, in MiB.
    pub shared_buffers_mib: u32,
    /// More Postgres settings as `name=value`. They override those above.
    pub postgres_settings: Vec<String>,
    /// More arguments for `redis-server`, such as `["--maxmemory", "64mb"]`.
    pub redis_arguments: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            durability: Durability::Fast,
            max_connections: 200,
            shared_buffers_mib: 256,
            postgres_settings: Vec::new(),
            redis_arguments: Vec::new(),
        }
    }
}

/// What Postgres does at each commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// No `fsync`: a crash of the *machine* may lose everything, a crash of the
    /// *server process* loses nothing. For tests and the demo.
    Fast,
    /// Postgres' own defaults, as in production. For benchmarks.
    Real,
}

/// A running Postgres and a running Redis or Valkey. Dropping it stops both.
#[derive(Debug)]
pub struct Servers {
    postgres: Postgres,
    redis: Redis,
}

impl Servers {
    /// Starts both servers at the same time and waits until both answer.
    ///
    /// # Errors
    /// A missing binary ([`Error::PostgresMissing`], [`Error::RedisMissing`]) says
    /// what to type. A server that does not start returns the end of its log.
    pub fn start(options: Options) -> Result<Servers, Error> {
        let account = Account::for_servers()?;
        let binaries = Binaries::find(account.as_ref())?;
        let launcher = Arc::new(Launcher::new(account)?);
        let settings = postgres::settings(&options);
        let arguments = options.redis_arguments;
        std::thread::scope(|scope| {
            let redis = scope.spawn(|| Redis::start_new(&launcher, binaries.redis, arguments));
            let postgres = Postgres::start_new(&launcher, binaries.postgres, settings);
            let redis = redis
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Ok(Servers {
                postgres: postgres?,
                redis: redis?,
            })
        })
    }

    /// `postgres://pathbound@127.0.0.1:PORT/postgres`: a superuser, no password,
    /// loopback only.
    #[must_use]
    pub fn database_url(&self) -> String {
        self.postgres.url()
    }

    /// `redis://127.0.0.1:PORT`.
    #[must_use]
    pub fn redis_url(&self) -> String {
        self.redis.url()
    }

    /// The Postgres server, to stop, kill, suspend or start it again.
    #[must_use]
    pub fn postgres(&self) -> &Postgres {
        &self.postgres
    }

    /// The Redis or Valkey server, to stop, kill, suspend or start it again.
    #[must_use]
    pub fn redis(&self) -> &Redis {
        &self.redis
    }
}
