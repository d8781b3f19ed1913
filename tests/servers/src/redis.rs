//! A private Redis or Valkey server.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::Error;
use crate::account::Account;
use crate::daemon::Daemon;
use crate::launcher::Launcher;
use crate::locate::RedisBinary;
use crate::port::free_port;

const PATIENCE: Duration = Duration::from_secs(30);

/// A running Redis or Valkey. It keeps its port over `stop` and `start`, and
/// comes back empty: nothing is written to disk.
#[derive(Debug)]
pub struct Redis {
    daemon: Daemon,
    binary: RedisBinary,
    directory: PathBuf,
    port: u16,
    arguments: Vec<String>,
}

impl Redis {
    /// Starts a Redis without a Postgres beside it, with these arguments for `redis-server`.
    ///
    /// # Errors
    /// As [`Servers::start`](crate::Servers::start).
    pub fn alone(arguments: Vec<String>) -> Result<Redis, Error> {
        let account = Account::for_servers()?;
        let binary = RedisBinary::find(account.as_ref())?;
        Redis::start_new(&Arc::new(Launcher::new(account)?), binary, arguments)
    }

    pub(crate) fn start_new(
        launcher: &Arc<Launcher>,
        binary: RedisBinary,
        arguments: Vec<String>,
    ) -> Result<Redis, Error> {
        let mut redis = Redis {
            daemon: Daemon::new("redis", launcher),
            binary,
            directory: launcher.make_directory("redis")?,
            port: 0,
            arguments,
        };
        for _ in 0..4 {
            redis.port = free_port()?;
            match redis.launch() {
                Err(Error::Ended { log, .. }) if log.contains("in use") => {}
                other => return other.map(|()| redis),
            }
        }
        redis.port = free_port()?;
        redis.launch().map(|()| redis)
    }

    /// `redis://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The port on 127.0.0.1. It never changes.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.daemon.pid()
    }

    /// What the binary calls itself, such as `Redis 7.0.15` or `Valkey 8.1.1`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.binary.version
    }

    /// The end of the server's log.
    #[must_use]
    pub fn log(&self) -> String {
        self.daemon.log()
    }

    /// Starts it again after [`stop`](Self::stop) or [`kill9`](Self::kill9): same
    /// port, empty.
    ///
    /// # Errors
    /// If it runs already or does not come up.
    pub fn start(&self) -> Result<(), Error> {
        let begin = Instant::now();
        loop {
            match self.launch() {
                Err(Error::Ended { .. }) if begin.elapsed() < Duration::from_secs(15) => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                other => return other,
            }
        }
    }

    /// Orderly shutdown. Does nothing if it is not running.
    ///
    /// # Errors
    /// If it had to be killed.
    pub fn stop(&self) -> Result<(), Error> {
        self.daemon.end(Signal::TERM, Duration::from_secs(10))
    }

    /// SIGKILL.
    ///
    /// # Errors
    /// If it is not running.
    pub fn kill9(&self) -> Result<(), Error> {
        self.daemon.kill9()
    }

    /// SIGSTOP: open connections hang, new ones are accepted and hang.
    ///
    /// # Errors
    /// If it is not running.
    pub fn suspend(&self) -> Result<(), Error> {
        self.daemon.suspend()
    }

    /// Undoes [`suspend`](Self::suspend).
    ///
    /// # Errors
    /// If it is not running.
    pub fn resume(&self) -> Result<(), Error> {
        self.daemon.resume()
    }

    /// Deletes everything that it holds (`FLUSHALL`). Returns how many keys that were.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn flush_all(&self) -> std::io::Result<u64> {
        let answer = self.ask(b"DBSIZE\r\nFLUSHALL\r\nQUIT\r\n")?;
        let mut lines = answer.lines();
        let keys = lines.next().and_then(|line| line.strip_prefix(':'));
        match (keys.and_then(|keys| keys.parse().ok()), lines.next()) {
            (Some(keys), Some("+OK")) => Ok(keys),
            _ => Err(std::io::Error::other(format!(
                "redis answered {answer:?} to FLUSHALL"
            ))),
        }
    }

    fn launch(&self) -> Result<(), Error> {
        let mut command = Command::new(&self.binary.path);
        command
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
            .arg("--dir")
            .arg(&self.directory)
            .args(&self.arguments);
        self.daemon
            .start(&mut command, PATIENCE, |pid| self.answers(pid))
    }

    /// Whether the server on our port says that it is the process we started.
    fn answers(&self, pid: u32) -> bool {
        let expected = format!("process_id:{pid}\r\n");
        self.ask(b"INFO server\r\nQUIT\r\n")
            .is_ok_and(|answer| answer.contains(&expected))
    }

    /// Sends commands, of which the last is `QUIT`, and returns all answers.
    fn ask(&self, commands: &[u8]) -> std::io::Result<String> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let wait = Duration::from_millis(500);
        let mut stream = TcpStream::connect_timeout(&address, wait)?;
        stream.set_read_timeout(Some(wait))?;
        stream.write_all(commands)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.daemon.end(Signal::KILL, Duration::from_secs(10));
    }
}
