//! The processes that a measurement starts: this program again, under another name.

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use clap::Parser;
use intercom_simulator::{Latency, Options, Simulator, WorkspaceSpec};
use serde::{Deserialize, Serialize};

use crate::{
    memory::{tenants, unscraped},
    queue,
    report::Failure,
};

const SIMULATOR: &str = "bench-simulator";
const PATHBOUND: &str = "bench-pathbound";
const QUEUE_WORKER: &str = "bench-queue-worker";
const READER: &str = "bench-reader";
const RECORDER: &str = "bench-recorder";

/// Calls in ten seconds that never run out. A worker holds a header that says more than ten million for absurd.
pub(crate) const NO_LIMIT: u32 = 10_000_000;

/// What the simulator process is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Scene {
    pub(crate) spec: WorkspaceSpec,
    pub(crate) latency: Latency,
}

/// A child that ends when this is dropped, however that happens: it watches its standard input.
pub(crate) struct Role {
    pub(crate) child: Child,
    _stdin: ChildStdin,
}

impl Role {
    fn start(command: &mut Command) -> Result<Self, Failure> {
        let mut child = command.stdin(Stdio::piped()).spawn()?;
        let stdin = child.stdin.take().ok_or("no stdin")?;
        Ok(Self {
            child,
            _stdin: stdin,
        })
    }

    /// Sends SIGTERM, and returns whether the process has ended well within this time.
    pub(crate) async fn terminate(&mut self, within: Duration) -> Result<bool, Failure> {
        let begun = Instant::now();
        let told = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()?;
        if !told.success() {
            return Ok(false);
        }
        while begun.elapsed() < within {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.success());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(false)
    }

    /// Kills the process, if it still runs.
    pub(crate) fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        self.end();
    }
}

/// A child that says on its standard output how far it is.
pub(crate) struct Talking {
    pub(crate) role: Role,
    stdout: BufReader<ChildStdout>,
}

impl Talking {
    fn start(command: &mut Command) -> Result<Self, Failure> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = child.stdin.take().ok_or("no stdin")?;
        let stdout = BufReader::new(child.stdout.take().ok_or("no stdout")?);
        Ok(Self {
            role: Role {
                child,
                _stdin: stdin,
            },
            stdout,
        })
    }

    /// The next line, once there is one.
    pub(crate) fn line(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        if self.stdout.read_line(&mut line)? == 0 {
            return Err("the process ended".into());
        }
        Ok(line.trim().to_owned())
    }
}

/// Starts the simulator. Returns its URL.
pub(crate) fn simulator(scene: &Scene) -> Result<(Role, String), Failure> {
    let mut simulator = Talking::start(
        Command::new(std::env::current_exe()?).args([SIMULATOR, &serde_json::to_string(scene)?]),
    )?;
    let url = simulator.line()?;
    Ok((simulator.role, url))
}

/// Starts a process that calls many workspaces with this token.
pub(crate) fn reader(environment: &[(String, String)], token: &str) -> Result<Talking, Failure> {
    let environment = environment.iter().cloned();
    Talking::start(
        Command::new(std::env::current_exe()?)
            .args([READER, token])
            .envs(environment),
    )
}

/// Starts a process that records metrics, and keeps them small or not.
pub(crate) fn recorder(kept: bool) -> Result<Talking, Failure> {
    Talking::start(Command::new(std::env::current_exe()?).args([RECORDER, &kept.to_string()]))
}

/// Starts `pathbound` with these arguments and variables.
pub(crate) fn pathbound(
    arguments: &[&str],
    environment: &[(String, String)],
) -> Result<Role, Failure> {
    Role::start(
        Command::new(std::env::current_exe()?)
            .arg(PATHBOUND)
            .args(arguments)
            .envs(environment.iter().cloned()),
    )
}

/// Starts a role of another build. The kernel ends it with this program.
pub(crate) fn other_build(
    program: &Path,
    role: &str,
    environment: &[(String, String)],
) -> Result<Role, Failure> {
    Role::start(
        Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(program)
            .arg(role)
            .envs(environment.iter().cloned()),
    )
}

/// Starts a worker that takes tickets and keeps them.
pub(crate) fn queue_worker(redis_url: &str) -> Result<Role, Failure> {
    Role::start(Command::new(std::env::current_exe()?).args([QUEUE_WORKER, redis_url]))
}

/// When this process was started as one of the roles: runs it, and says how it ended.
pub(crate) fn dispatch() -> Option<ExitCode> {
    let role = std::env::args().nth(1)?;
    match role.as_str() {
        SIMULATOR => Some(run_simulator()),
        PATHBOUND => {
            end_with_parent();
            Some(run_pathbound())
        }
        QUEUE_WORKER => {
            end_with_parent();
            if let Err(error) = queue::run_worker_role(&std::env::args().nth(2).unwrap_or_default())
            {
                eprintln!("bench: the worker ended: {error}");
            }
            Some(ExitCode::FAILURE)
        }
        READER => {
            end_with_parent();
            Some(run_reader())
        }
        RECORDER => {
            end_with_parent();
            unscraped::run_recorder(std::env::args().nth(2).as_deref() == Some("true"))
        }
        _ => None,
    }
}

fn run_pathbound() -> ExitCode {
    // The first argument is the role's name, which stands where the program's would.
    let cli = pathbound::cli::Cli::parse_from(std::env::args_os().skip(1));
    let ran = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::from(error.to_string()))
        .and_then(|runtime| {
            runtime
                .block_on(pathbound::commands::run(cli, std::time::Instant::now()))
                .map_err(|failure| failure.line().into())
        });
    if let Err(error) = ran {
        eprintln!("bench: pathbound ended: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn run_reader() -> ExitCode {
    let token = std::env::args().nth(2).unwrap_or_default();
    let ran = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::from)
        .and_then(|runtime| runtime.block_on(tenants::run_reader(token)));
    if let Err(error) = ran {
        eprintln!("bench: the reader ended: {error}");
    }
    ExitCode::FAILURE
}

fn run_simulator() -> ExitCode {
    let served = (|| -> Result<(), Failure> {
        let scene: Scene = serde_json::from_str(&std::env::args().nth(2).ok_or("no scene")?)?;
        // One thread: the simulator must not take both cores from what is measured.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let options = Options {
                latency: scene.latency,
                ledger_rows: false,
                ..Options::default()
            };
            let simulator = Simulator::start(options).await?;
            simulator.add_workspace(scene.spec);
            println!("{}", simulator.url());
            std::io::stdout().flush()?;
            end_with_parent();
            std::future::pending::<Result<(), Failure>>().await
        })
    })();
    if let Err(error) = served {
        eprintln!("bench: the simulator ended: {error}");
    }
    ExitCode::FAILURE
}

/// Only the parent has the other end of our standard input.
fn end_with_parent() {
    std::thread::spawn(|| {
        let mut nothing = Vec::new();
        let _ = std::io::stdin().read_to_end(&mut nothing);
        std::process::exit(0);
    });
}
