//! The server's own account of what was asked of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use redis::aio::MultiplexedConnection;
use servers::Servers;
use shared::{domain::Secret, queue::Queue};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    task::JoinHandle,
};

use crate::report::Failure;

/// A connection to the private Redis for measuring.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) connection: MultiplexedConnection,
    pub(super) url: String,
}

impl Server {
    pub(super) async fn connect(servers: &Servers) -> Result<Self, Failure> {
        let url = servers.redis_url();
        let config =
            redis::AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(60)));
        let client = redis::Client::open(url.as_str())?;
        Ok(Self {
            connection: client
                .get_multiplexed_async_connection_with_config(&config)
                .await?,
            url,
        })
    }

    /// Empties the server, resets its statistics, and returns our queue on it.
    pub(super) async fn fresh(&self) -> Result<Queue, Failure> {
        self.ask::<()>(&["FLUSHALL"]).await?;
        self.ask::<()>(&["CONFIG", "RESETSTAT"]).await?;
        Ok(Queue::open(&Secret::new(self.url.clone()), "bench")?)
    }

    pub(super) async fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> Result<T, Failure> {
        let mut command = redis::Cmd::new();
        words.iter().for_each(|word| {
            command.arg(*word);
        });
        Ok(command.query_async(&mut self.connection.clone()).await?)
    }

    /// A number of `INFO`.
    pub(super) async fn info(&self, name: &str) -> Result<f64, Failure> {
        let text: String = self.ask(&["INFO", "everything"]).await?;
        let value = text.lines().find_map(|line| {
            line.strip_prefix(name)?
                .strip_prefix(':')?
                .trim()
                .parse()
                .ok()
        });
        value.ok_or_else(|| format!("INFO has no {name}").into())
    }

    /// Microseconds that the server spent in scripts since [`fresh`](Self::fresh).
    pub(super) async fn script_micros(&self) -> Result<f64, Failure> {
        let text: String = self.ask(&["INFO", "commandstats"]).await?;
        let scripts = ["evalsha", "eval", "fcall"];
        let micros = text.lines().filter_map(|line| {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(':')?;
            scripts.contains(&name).then_some(())?;
            rest.split(',')
                .find_map(|part| part.strip_prefix("usec="))?
                .parse::<f64>()
                .ok()
        });
        Ok(micros.sum())
    }

    /// Counts the calls of clients: what `MONITOR` shows, without what scripts call themselves.
    pub(super) async fn count_calls(&self) -> Result<Calls, Failure> {
        let address = self.url.trim_start_matches("redis://").to_owned();
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"MONITOR\r\n").await?;
        let mut lines = BufReader::new(stream);
        let mut first = String::new();
        lines.read_line(&mut first).await?;
        let count = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&count);
        let task = tokio::spawn(async move {
            let mut line = Vec::new();
            while lines
                .read_until(b'\n', &mut line)
                .await
                .is_ok_and(|read| read > 0)
            {
                // +1763873000.123456 [0 127.0.0.1:50000] "EVALSHA" …, or [0 lua].
                let origin = line.split(|byte| *byte == b']').next().unwrap_or_default();
                if !origin.ends_with(b"lua") {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
                line.clear();
            }
        });
        Ok(Calls { count, task })
    }
}

/// Calls being counted.
pub(super) struct Calls {
    count: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Calls {
    pub(super) fn so_far(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        self.task.abort();
    }
}
