//! One server process: start, wait until ready, signal, wait until gone.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};

use rustix::process::{Pid, Signal, kill_process};

use crate::Error;
use crate::launcher::Launcher;

const POLL: Duration = Duration::from_millis(2);

#[derive(Debug)]
pub(crate) struct Daemon {
    /// Also the reaper's name for it.
    name: &'static str,
    launcher: Arc<Launcher>,
    log: PathBuf,
    child: Mutex<Option<Child>>,
}

impl Daemon {
    pub(crate) fn new(name: &'static str, launcher: &Arc<Launcher>) -> Daemon {
        Daemon {
            name,
            log: launcher.directory().join(format!("{name}.log")),
            launcher: Arc::clone(launcher),
            child: Mutex::new(None),
        }
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.lock().as_ref().map(Child::id)
    }

    /// The end of what the server printed.
    pub(crate) fn log(&self) -> String {
        tail(&self.log)
    }

    /// Starts the server and waits until `ready(pid)`.
    pub(crate) fn start(
        &self,
        command: &mut Command,
        patience: Duration,
        ready: impl Fn(u32) -> bool,
    ) -> Result<(), Error> {
        let mut child = self.lock();
        if child.is_some() {
            return Err(self.wrong_state("running already"));
        }
        let mut started = self.launcher.spawn(command, &self.log)?;
        self.launcher.reaper().note(self.name, Some(started.id()));
        let begin = Instant::now();
        loop {
            if let Ok(Some(status)) = started.try_wait() {
                self.launcher.reaper().note(self.name, None);
                return Err(Error::Ended {
                    name: self.name,
                    status: status.to_string(),
                    log: self.log(),
                });
            }
            if ready(started.id()) {
                *child = Some(started);
                return Ok(());
            }
            if begin.elapsed() > patience {
                let _ = started.kill();
                let _ = started.wait();
                self.launcher.reaper().note(self.name, None);
                return Err(self.timeout("ready", patience));
            }
            std::thread::sleep(POLL);
        }
    }

    /// Sends `signal`, waits until the process is gone, and kills it when
    /// `patience` is over. Nothing happens if it is not running.
    pub(crate) fn end(&self, signal: Signal, patience: Duration) -> Result<(), Error> {
        let mut slot = self.lock();
        let Some(mut child) = slot.take() else {
            return Ok(());
        };
        let ended = self
            .send(child.id(), signal)
            .and_then(|()| self.send(child.id(), Signal::CONT))
            .and_then(|()| self.wait(&mut child, patience));
        if ended.is_err() {
            let _ = child.kill();
            let _ = child.wait();
        }
        self.launcher.reaper().note(self.name, None);
        ended
    }

    /// Kills the process and every child of it in the same instant, as a crash
    /// of the machine would.
    pub(crate) fn kill9(&self) -> Result<(), Error> {
        let mut slot = self.lock();
        let Some(mut child) = slot.take() else {
            return Err(self.wrong_state("not running"));
        };
        // Stopped first, so that no child is missed.
        let stopped = self.send(child.id(), Signal::STOP);
        for pid in children(child.id()) {
            let _ = self.send(pid, Signal::KILL);
        }
        let _ = child.kill();
        let _ = child.wait();
        self.launcher.reaper().note(self.name, None);
        stopped
    }

    /// Stops the process and its children where they are. Connections stay open
    /// and nothing answers.
    pub(crate) fn suspend(&self) -> Result<(), Error> {
        let pid = self.running()?;
        self.send(pid, Signal::STOP)?;
        for child in children(pid) {
            // A child may end in between.
            let _ = self.send(child, Signal::STOP);
        }
        Ok(())
    }

    /// Lets a suspended process and its children go on.
    pub(crate) fn resume(&self) -> Result<(), Error> {
        let pid = self.running()?;
        for child in children(pid) {
            let _ = self.send(child, Signal::CONT);
        }
        self.send(pid, Signal::CONT)
    }

    fn running(&self) -> Result<u32, Error> {
        self.pid().ok_or_else(|| self.wrong_state("not running"))
    }

    fn wait(&self, child: &mut Child, patience: Duration) -> Result<(), Error> {
        let begin = Instant::now();
        while begin.elapsed() < patience {
            if matches!(child.try_wait(), Ok(Some(_))) {
                return Ok(());
            }
            std::thread::sleep(POLL);
        }
        Err(self.timeout("stopped", patience))
    }

    fn send(&self, pid: u32, signal: Signal) -> Result<(), Error> {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let Some(pid) = pid else {
            return Err(self.wrong_state("not running"));
        };
        kill_process(pid, signal).map_err(|source| Error::Signal {
            name: self.name,
            source: source.into(),
        })
    }

    fn wrong_state(&self, state: &'static str) -> Error {
        Error::WrongState {
            name: self.name,
            state,
        }
    }

    fn timeout(&self, state: &'static str, waited: Duration) -> Error {
        Error::Timeout {
            name: self.name,
            state,
            waited,
            log: self.log(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock()
    }
}

/// The direct children of `parent`. Each Postgres session is one, and none of
/// them follows its parent when that is stopped.
fn children(parent: u32) -> Vec<u32> {
    if let Ok(found) = children_in_proc(parent) {
        return found;
    }
    let output = Command::new("pgrep")
        .args(["-P", &parent.to_string()])
        .output();
    output.map_or_else(
        |_| Vec::new(),
        |output| {
            String::from_utf8_lossy(&output.stdout)
                .lines()
                .filter_map(|line| line.trim().parse().ok())
                .collect()
        },
    )
}

fn children_in_proc(parent: u32) -> std::io::Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let Some(pid) = entry?
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        // "PID (name) STATE PPID …". The name may hold anything but the last ")".
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
            continue;
        };
        let after = stat.rsplit(')').next().unwrap_or_default();
        if after.split_whitespace().nth(1) == Some(parent.to_string().as_str()) {
            found.push(pid);
        }
    }
    Ok(found)
}

fn tail(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
