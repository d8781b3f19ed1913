//! This program as a `pathbound` process: the real roles, started, signalled and killed from outside.

use std::{
    fs::File,
    io::Read,
    path::Path,
    process::{Child, ChildStdin, Command, ExitCode, Stdio},
    sync::mpsc::{Sender, channel},
};

use clap::Parser;
use tokio::sync::oneshot;

use crate::Failure;

const PATHBOUND: &str = "chaos-pathbound";

/// A process of the fleet. It ends with this value, and with this program however that ends.
pub(crate) struct Role {
    pub(crate) child: Child,
    _stdin: ChildStdin,
}

impl Drop for Role {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts processes from a thread of its own: Linux ends a child with the *thread* that made it (see
/// [`run_pathbound`]), and a runtime's threads come and go.
#[derive(Clone)]
pub(crate) struct Nursery {
    orders: Sender<(Command, oneshot::Sender<std::io::Result<Child>>)>,
}

impl Nursery {
    pub(crate) fn open() -> Self {
        let (orders, ordered) = channel::<(Command, oneshot::Sender<_>)>();
        std::thread::spawn(move || {
            while let Ok((mut command, answer)) = ordered.recv() {
                let _ = answer.send(command.spawn());
            }
        });
        Self { orders }
    }

    /// Starts `pathbound ROLE`. Its output goes to `log`.
    pub(crate) async fn start(
        &self,
        role: &str,
        environment: &[(String, String)],
        log: &Path,
    ) -> Result<Role, Failure> {
        let log = File::create(log)?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args([PATHBOUND, role])
            .envs(environment.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log);
        let (answer, answered) = oneshot::channel();
        self.orders
            .send((command, answer))
            .map_err(|_| "the nursery is closed")?;
        let mut child = answered.await??;
        let stdin = child.stdin.take().ok_or("no stdin")?;
        Ok(Role {
            child,
            _stdin: stdin,
        })
    }
}

/// When this process was started as a role: runs it, and says how it ended.
pub(crate) fn dispatch() -> Option<ExitCode> {
    (std::env::args().nth(1)? == PATHBOUND).then(run_pathbound)
}

fn run_pathbound() -> ExitCode {
    end_with_parent();
    // The first argument is the role's name, which stands where the program's would.
    let cli = pathbound::cli::Cli::parse_from(std::env::args_os().skip(1));
    let ran = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map(|runtime| runtime.block_on(pathbound::commands::run(cli, std::time::Instant::now())));
    match ran {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(failure)) => {
            eprintln!("pathbound: {}", failure.line());
            ExitCode::from(failure.code())
        }
        Err(error) => {
            eprintln!("pathbound: no runtime: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Twice, because the end of standard input works everywhere, and the kernel's signal also reaches a process that
/// is suspended and cannot see its input end.
fn end_with_parent() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    std::thread::spawn(|| {
        let mut nothing = Vec::new();
        let _ = std::io::stdin().read_to_end(&mut nothing);
        std::process::exit(0);
    });
}
