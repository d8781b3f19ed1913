//! A worker of the demo in a process of its own, so that it can be killed.

use std::{io::Read as _, process::Stdio, time::Instant};

use shared::{
    config::{Config, Environment, ProcessRole},
    shutdown::Shutdown,
};
use tokio::process::{Child, Command};

use crate::{demo::world::World, failure::Failure, roles};

/// The worker's process. It is killed with this value, and ends by itself if the demo ends in any other way.
#[derive(Debug)]
pub(super) struct Victim {
    child: Child,
    pub(super) process: u32,
}

impl Victim {
    pub(super) fn start(world: &World) -> Result<Self, Failure> {
        let failed = |error| Failure::failed("could not start a worker", error);
        let child = Command::new(std::env::current_exe().map_err(failed)?)
            .args(["demo", "worker"])
            // Nothing of this process' own settings.
            .env_clear()
            .envs(world.environment.iter().cloned())
            .env("PATHBOUND_OPS_LISTEN", "127.0.0.1:0")
            // It holds the other end, so that the worker notices its death.
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let process = child.id().unwrap_or_default();
        Ok(Self { child, process })
    }

    /// SIGKILL. Returns when the process is gone, and at which moment it was killed.
    pub(super) async fn kill(mut self) -> Result<Instant, Failure> {
        let at = Instant::now();
        self.child
            .kill()
            .await
            .map_err(|error| Failure::failed("could not kill the worker", error))?;
        Ok(at)
    }
}

/// What the process runs: a worker with the settings of its environment.
///
/// # Errors
/// If the worker cannot start, or ends on its own.
pub async fn run_victim() -> Result<(), Failure> {
    std::thread::spawn(|| {
        // The end of the demo ends its servers too, so there is nothing to give back.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let config = Config::load(None, &Environment::of_process(), ProcessRole::Worker)?;
    roles::run(config, ProcessRole::Worker, Shutdown::new()).await
}
