//! PgBouncer in front of the worlds' Postgres.

use std::{
    os::unix::{fs::PermissionsExt, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use servers::{Account, free_port};

use super::{PATIENCE, servers};

/// A PgBouncer in transaction mode. It is killed when dropped.
pub(crate) struct Pooler {
    process: Child,
    folder: PathBuf,
    port: u16,
    /// From 1.21 on, it keeps prepared statements.
    pub(crate) keeps_prepared: bool,
}

impl Pooler {
    /// Starts the one of `PATH` or of Debian's package. `None` if there is none.
    pub(crate) fn start() -> Option<Self> {
        let program = ["pgbouncer", "/usr/sbin/pgbouncer"]
            .into_iter()
            .find(|program| Command::new(program).arg("--version").output().is_ok())?;
        let version = Command::new(program).arg("--version").output().ok()?;
        let keeps_prepared = keeps_prepared(&String::from_utf8_lossy(&version.stdout));
        let port = free_port().expect("a port");
        let folder = std::env::temp_dir().join(format!("pathbound-pooler-{port}"));
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).expect("a mode");
        // Fewer sessions than the fleet has, so that transactions of several clients share one.
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={} user=pathbound\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 4\nmax_client_conn = 200\n{}",
            servers().postgres().port(),
            if keeps_prepared {
                "max_prepared_statements = 200\n"
            } else {
                ""
            },
        );
        let file = folder.join("pgbouncer.ini");
        std::fs::write(&file, settings).expect("a file");
        let process = spawn(program, &file);
        let mut pooler = Self {
            process,
            folder,
            port,
            keeps_prepared,
        };
        pooler.wait();
        Some(pooler)
    }

    /// The same database through the pooler.
    pub(crate) fn of_url(&self, url: &str) -> String {
        let port = servers().postgres().port().to_string();
        url.replace(&port, &self.port.to_string())
    }

    fn wait(&mut self) {
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = self.process.try_wait().expect("it can be asked");
            assert_eq!(ended, None, "pgbouncer ended");
            assert!(begun.elapsed() < PATIENCE, "pgbouncer does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// It refuses to run as root.
fn spawn(program: &str, file: &Path) -> Child {
    let mut command = Command::new(program);
    command
        .arg("--quiet")
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    if let Some(account) = Account::for_servers().expect("an account") {
        command.uid(account.uid).gid(account.gid);
    }
    command.spawn().expect("pgbouncer starts")
}

/// Of `PgBouncer 1.25.2`.
fn keeps_prepared(version: &str) -> bool {
    let number = version.split_whitespace().nth(1).unwrap_or_default();
    let mut parts = number
        .split('.')
        .filter_map(|part| part.parse::<u32>().ok());
    (parts.next(), parts.next()) >= (Some(1), Some(21))
}
