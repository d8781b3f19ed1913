//! `servers run`: the command's life between the servers' start and stop.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitCode, ExitStatus};

use rustix::process::{Pid, Signal, kill_process};
use servers::{Options, Servers};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::{Failure, migrate};

pub(crate) fn run(migrations: Option<&Path>, command: &[&str]) -> Result<ExitCode, Failure> {
    let [program, arguments @ ..] = command else {
        return Err("no command to run; see `servers help`".into());
    };
    let servers = Servers::start(Options::default())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        if let Some(directory) = migrations {
            migrate::apply(directory, &servers.database_url()).await?;
        }
        // Before the command starts: a signal may follow at once.
        let signals = Signals::catch()?;
        let child = Command::new(program)
            .args(arguments)
            .env("DATABASE_URL", servers.database_url())
            .env("PATHBOUND_DATABASE_URL", servers.database_url())
            .env("PATHBOUND_REDIS_URL", servers.redis_url())
            .spawn()
            .map_err(|error| format!("could not run {program}: {error}"))?;
        Ok(exit_code(signals.pass_on_until_end(child).await?))
    })
}

/// What may end the command early.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
    /// Ctrl-C reaches the command by itself. It is only caught here so that the
    /// servers stay until the command has finished.
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn catch() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn pass_on_until_end(mut self, mut child: Child) -> std::io::Result<ExitStatus> {
        loop {
            tokio::select! {
                status = child.wait() => return status,
                _ = self.terminate.recv() => pass_on(&child, Signal::TERM),
                _ = self.hangup.recv() => pass_on(&child, Signal::HUP),
                _ = self.interrupt.recv() => {}
            }
        }
    }
}

fn pass_on(child: &Child, signal: Signal) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(pid) = pid.and_then(Pid::from_raw) {
        // It may have ended in between.
        let _ = kill_process(pid, signal);
    }
}

/// As a shell would report it.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
