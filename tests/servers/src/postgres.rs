//! A private Postgres server.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::daemon::Daemon;
use crate::launcher::Launcher;
use crate::locate::PostgresBinaries;
use crate::port::free_port;
use crate::{Account, Durability, Error, Options, template};

/// The superuser that `initdb` creates. Loopback connections need no password.
pub(crate) const USER: &str = "pathbound";

const PATIENCE: Duration = Duration::from_secs(60);

/// A running Postgres. It keeps its port and its data over `stop` and `start`.
#[derive(Debug)]
pub struct Postgres {
    daemon: Daemon,
    binaries: PostgresBinaries,
    data: PathBuf,
    port: u16,
    settings: Vec<String>,
}

impl Postgres {
    pub(crate) fn start_new(
        launcher: &Arc<Launcher>,
        binaries: PostgresBinaries,
        settings: Vec<String>,
    ) -> Result<Postgres, Error> {
        let mut postgres = Postgres {
            daemon: Daemon::new("postgres", launcher),
            data: template::new_data_directory(launcher, &binaries)?,
            binaries,
            port: 0,
            settings,
        };
        for _ in 0..4 {
            postgres.port = free_port()?;
            match postgres.launch() {
                Err(Error::Ended { log, .. }) if log.contains("in use") => {}
                other => return other.map(|()| postgres),
            }
        }
        postgres.port = free_port()?;
        postgres.launch().map(|()| postgres)
    }

    /// A server with a copy of the data that follows this one and takes no writes until it is promoted. This one needs
    /// `wal_level=replica` and a `max_wal_senders` above 1.
    ///
    /// # Errors
    /// If the data cannot be copied, or the copy does not come up.
    pub fn standby(&self) -> Result<Postgres, Error> {
        // A launcher of its own, because each one stops only one Postgres if its owner is killed.
        let launcher = Arc::new(Launcher::new(Account::for_servers()?)?);
        let data = launcher.make_directory("data")?;
        self.copy_to(&launcher, &data)?;
        let standby = Postgres {
            daemon: Daemon::new("postgres", &launcher),
            binaries: self.binaries.clone(),
            data,
            port: free_port()?,
            settings: self.settings.clone(),
        };
        standby.launch().map(|()| standby)
    }

    fn copy_to(&self, launcher: &Launcher, data: &Path) -> Result<(), Error> {
        let mut command = Command::new(self.binaries.directory.join("pg_basebackup"));
        command
            .args(["-h", "127.0.0.1", "-U", USER, "-p"])
            .arg(self.port.to_string())
            .args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync"])
            .arg("-D")
            .arg(data);
        let log = launcher.directory().join("pg_basebackup.log");
        let copied = launcher.spawn(&mut command, &log)?.wait();
        match copied {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Error::Ended {
                name: "pg_basebackup",
                status: status.to_string(),
                log: std::fs::read_to_string(&log).unwrap_or_default(),
            }),
            Err(source) => Err(Error::Spawn {
                name: "pg_basebackup".to_owned(),
                source,
            }),
        }
    }

    /// `postgres://pathbound@127.0.0.1:PORT/postgres`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/postgres", self.port)
    }

    /// The port on 127.0.0.1. It never changes.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The postmaster's process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.daemon.pid()
    }

    /// The major version, such as 17.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.binaries.major
    }

    /// A program of the same version, such as `pg_dump`, if its package has one.
    #[must_use]
    pub fn program(&self, name: &str) -> Option<PathBuf> {
        let path = self.binaries.directory.join(name);
        path.is_file().then_some(path)
    }

    /// The end of the server's log.
    #[must_use]
    pub fn log(&self) -> String {
        self.daemon.log()
    }

    /// Starts it again after [`stop`](Self::stop) or [`kill9`](Self::kill9): same
    /// port, same data. Returns when it takes connections, crash recovery included.
    ///
    /// # Errors
    /// If it runs already or does not come up.
    pub fn start(&self) -> Result<(), Error> {
        let begin = Instant::now();
        loop {
            match self.launch() {
                // Sessions of the killed server may hold its memory a moment longer.
                Err(Error::Ended { .. }) if begin.elapsed() < Duration::from_secs(15) => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                other => return other,
            }
        }
    }

    /// Fast shutdown: ends all sessions, writes a checkpoint. Does nothing if it
    /// is not running.
    ///
    /// # Errors
    /// If it had to be killed.
    pub fn stop(&self) -> Result<(), Error> {
        self.daemon.end(Signal::INT, Duration::from_secs(30))
    }

    /// Immediate shutdown: ends all sessions at once and writes no checkpoint, so that the next
    /// [`start`](Self::start) has to recover. Does nothing if it is not running.
    ///
    /// # Errors
    /// If it had to be killed.
    pub fn abort(&self) -> Result<(), Error> {
        self.daemon.end(Signal::QUIT, Duration::from_secs(10))
    }

    /// Kills the server and all its sessions with SIGKILL. What was committed is
    /// there after the next [`start`](Self::start), in either [`Durability`].
    ///
    /// # Errors
    /// If it is not running.
    pub fn kill9(&self) -> Result<(), Error> {
        self.daemon.kill9()
    }

    /// SIGSTOP to the server and all its sessions: open connections hang.
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

    fn launch(&self) -> Result<(), Error> {
        let mut command = Command::new(self.binaries.directory.join("postgres"));
        command.arg("-D").arg(&self.data);
        command.args(["-p", &self.port.to_string()]);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        self.daemon
            .start(&mut command, PATIENCE, |pid| self.is_ready(pid))
    }

    /// Reads what `pg_ctl` reads. Another server could answer on
    /// the port.
    fn is_ready(&self, pid: u32) -> bool {
        let Ok(text) = std::fs::read_to_string(self.data.join("postmaster.pid")) else {
            return false;
        };
        let mut lines = text.lines();
        let ours = lines.next().and_then(|line| line.trim().parse().ok()) == Some(pid);
        ours && lines.nth(6).is_some_and(|status| status.trim() == "ready")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Suspended sessions would keep the server waiting for them.
        let _ = self.daemon.resume();
        let _ = self.daemon.end(Signal::QUIT, Duration::from_secs(10));
    }
}

/// What is passed as `-c name=value`.
pub(crate) fn settings(options: &Options) -> Vec<String> {
    let mut settings = vec![
        "listen_addresses=127.0.0.1".to_owned(),
        // A socket's path must be short, a temporary directory's need not be.
        "unix_socket_directories=".to_owned(),
        format!("max_connections={}", options.max_connections),
        format!("shared_buffers={}MB", options.shared_buffers_mib),
        "huge_pages=off".to_owned(),
        // In the data directory, so that nothing stays in /dev/shm after a kill.
        "dynamic_shared_memory_type=mmap".to_owned(),
        "jit=off".to_owned(),
        "autovacuum_vacuum_cost_delay=0".to_owned(),
        "timezone=UTC".to_owned(),
        "log_timezone=UTC".to_owned(),
    ];
    if options.durability == Durability::Fast {
        // `synchronous_commit` stays on: without it, kill -9 of the server loses
        // the commits of the last moments, and without `fsync` it costs little.
        let fast = [
            "fsync=off",
            "full_page_writes=off",
            "wal_level=minimal",
            "max_wal_senders=0",
            "max_wal_size=2GB",
        ];
        settings.extend(fast.map(str::to_owned));
    }
    settings.extend(options.postgres_settings.iter().cloned());
    settings
}
