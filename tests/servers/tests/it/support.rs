//! Helpers of the test files.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::process::Pid;
use tempfile::TempDir;

/// The program under test.
pub(crate) fn servers() -> Command {
    Command::new(env!("CARGO_BIN_EXE_servers"))
}

/// Sends one command and returns the first line of the answer, or, for a list,
/// its elements on one line.
pub(crate) fn redis(port: u16, command: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "{command}\r\nQUIT\r\n").unwrap();
    let lines: Vec<String> = BufReader::new(stream).lines().map(Result::unwrap).collect();
    match lines.as_slice() {
        [first, ..] if !first.starts_with('*') => first.clone(),
        lines => lines.join(" "),
    }
}

pub(crate) fn pid(number: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(number).unwrap())
}

/// Whether the process runs. One that is dead but not collected does not.
pub(crate) fn alive(number: u32) -> bool {
    let there = pid(number).is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok());
    let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
    there
        && !stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .starts_with(" Z")
}

/// Waits for a condition. The limit is only met by a failing test.
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < Duration::from_secs(20), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A temporary directory that the servers' account may pass through.
pub(crate) fn open_directory() -> TempDir {
    let directory = tempfile::Builder::new()
        .prefix("servers-test-")
        .tempdir_in("/tmp")
        .unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

/// The first line that a child prints.
pub(crate) fn first_line(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    line.trim().to_owned()
}
