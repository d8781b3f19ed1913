//! The process that outlives its owner by a moment and takes the servers along.
//!
//! The servers join the reaper's process group *before* they become the server
//! program, and until then their copy of the pipe keeps it open: there is no
//! instant at which `kill -9` of the owner could leave one behind. The group is
//! not the terminal's, so Ctrl-C does not reach the servers before their owner.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use parking_lot::Mutex;

use crate::Error;

const SCRIPT: &str = include_str!("reaper.sh");

#[derive(Debug)]
pub(crate) struct Reaper {
    process: Mutex<Child>,
    /// Closing it is the signal. The standard library opens pipes close-on-exec,
    /// so no other child of the owner holds a copy.
    pipe: Mutex<Option<ChildStdin>>,
    group: i32,
    directory: PathBuf,
}

impl Reaper {
    /// Starts the reaper. It makes `directory` (so that it is
    /// removed at any time) and removes it at the end.
    pub(crate) fn start(directory: &Path, mode: u32) -> Result<Reaper, Error> {
        let failed = |source| Error::Spawn {
            name: "the reaper (/bin/sh)".into(),
            source,
        };
        let mut process = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "reaper"])
            .arg(directory)
            .arg(format!("{mode:o}"))
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let pipe = process.stdin.take();
        let output = process.stdout.take();
        let errors = process.stderr.take();
        let group = i32::try_from(process.id()).map_err(|error| failed(io::Error::other(error)))?;
        let reaper = Reaper {
            process: Mutex::new(process),
            pipe: Mutex::new(pipe),
            group,
            directory: directory.to_owned(),
        };
        if !first_line(output).starts_with("ready") {
            let why = io::Error::other(first_line(errors));
            return Err(Error::Prepare {
                what: directory.display().to_string(),
                source: why,
            });
        }
        Ok(reaper)
    }

    /// The process group that every server belongs to.
    pub(crate) fn group(&self) -> i32 {
        self.group
    }

    /// Tells which process is the server `name` now (`None`: it has ended and
    /// its number may belong to another process).
    pub(crate) fn note(&self, name: &str, pid: Option<u32>) {
        let line = pid.map_or_else(|| format!("{name}\n"), |pid| format!("{name} {pid}\n"));
        let mut pipe = self.pipe.lock();
        if let Some(pipe) = pipe.as_mut() {
            // If the reaper was killed, dropping the servers still stops them.
            let _ = pipe.write_all(line.as_bytes());
        }
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        let pipe = self.pipe.get_mut();
        drop(pipe.take());
        let process = self.process.get_mut();
        let _ = process.wait();
        // Only there if the reaper was killed.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// One line, or empty text if there is none.
fn first_line(pipe: Option<impl Read>) -> String {
    let mut line = String::new();
    if let Some(pipe) = pipe {
        let _ = BufReader::new(pipe).read_line(&mut line);
    }
    line.trim_end().to_owned()
}
