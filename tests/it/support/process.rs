//! Processes of `pathbound`'s own, in a world.

use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use super::{PATIENCE, Terminal, World, wait_for};

/// Makes the file system read-only, and becomes a user id that has no name.
const CONFINED: &str = "mount -o remount,bind,ro / && cd / && exec setpriv --reuid 12345 --regid 12345 \
    --clear-groups --no-new-privs \"$0\" \"$@\"";

/// A process of the product. It is killed when dropped.
pub(crate) struct Process {
    child: Child,
    /// What it has written to standard error, if the test listens.
    written: Arc<Mutex<String>>,
}

impl Process {
    fn start(command: &mut Command) -> Self {
        let child = command
            .stdin(Stdio::null())
            .spawn()
            .expect("the binary starts");
        Self {
            child,
            written: Arc::default(),
        }
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it was running");
        self.child.wait().expect("it ends");
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        self.signal("-TERM");
    }

    /// SIGSTOP: it stays and does nothing.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    /// SIGCONT, after [`Self::freeze`].
    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let told = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status();
        assert!(told.expect("a kill program").success());
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it can be asked") {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What it has written to standard error.
    pub(crate) fn written(&self) -> String {
        self.written.lock().unwrap().clone()
    }

    /// Where its API listens.
    pub(crate) fn api_address(&self) -> String {
        let written = self.written();
        let address = written
            .lines()
            .find_map(|line| line.strip_prefix("api listening on http://"));
        address.expect("an api says where it listens").to_owned()
    }

    /// Waits until the process with this ops address can do its work. Its probes of the servers have seconds only,
    /// which is too short now and then on a busy machine.
    pub(crate) async fn until_ready(address: &str) {
        wait_for("the process is ready", async || {
            let answer = reqwest::get(format!("http://{address}/readyz")).await;
            let answer = answer.map_err(|error| error.to_string())?;
            let is_ready = answer.status() == 200;
            let told = answer.text().await.map_err(|error| error.to_string())?;
            is_ready.then_some(()).ok_or(told)
        })
        .await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl World {
    /// A command on a terminal of 24 lines of 100 letters, with these variables on top.
    pub(crate) fn on_terminal(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Terminal {
        let mut command =
            pty_process::blocking::Command::new(env!("CARGO_BIN_EXE_pathbound-under-test"));
        command = command
            .args(arguments)
            .envs(self.environment.iter().cloned());
        Terminal::start(command.envs(environment.iter().copied()), 24, 100)
    }

    fn pathbound(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pathbound-under-test"));
        command.envs(self.environment.iter().cloned());
        command
    }

    /// Starts `pathbound` as a process of its own in this world.
    pub(crate) fn process(&self, command: &str) -> Process {
        self.process_with(command, &[])
    }

    /// The same, with these environment variables on top.
    pub(crate) fn process_with(&self, command: &str, environment: &[(&str, &str)]) -> Process {
        Process::start(
            self.pathbound()
                .arg(command)
                .env("PATHBOUND_LOG", "warn")
                .envs(environment.iter().copied()),
        )
    }

    /// The same, of one that listens: its ops address is that of every command after it.
    pub(crate) fn listening(&mut self, command: &str) -> (Process, String) {
        let (child, address) = self.listening_with(command, &[]);
        // The last one of a name counts.
        self.environment
            .push(("PATHBOUND_OPS_LISTEN".to_owned(), address.clone()));
        (child, address)
    }

    /// A process that listens, with these variables on top, and its ops address.
    pub(crate) fn listening_with(
        &self,
        command: &str,
        environment: &[(&str, &str)],
    ) -> (Process, String) {
        Self::listen(
            self.pathbound()
                .arg(command)
                .env("PATHBOUND_LOG", "warn")
                .envs(environment.iter().copied()),
        )
    }

    /// A process that listens, on a file system that takes no writes, as a user id without a name. `None` if this
    /// machine allows no such process.
    pub(crate) fn listening_as_a_stranger(&self, command: &str) -> Option<(Process, String)> {
        let confined = |program: &[&str]| {
            let mut confined = Command::new("unshare");
            confined
                .args(["--mount", "sh", "-c", CONFINED])
                .args(program)
                .envs(self.environment.iter().cloned());
            for variable in ["HOME", "TMPDIR", "XDG_CACHE_HOME"] {
                confined.env(variable, "/nonexistent");
            }
            confined
        };
        let binary = env!("CARGO_BIN_EXE_pathbound-under-test");
        // The account must reach the binary. Every account may write to /tmp, unless the file system takes no writes.
        let probe = "test -x \"$0\" && test ! -w /tmp";
        let allowed = confined(&["sh", "-c", probe, binary]).output();
        if !allowed.is_ok_and(|probed| probed.status.success()) {
            return None;
        }
        Some(Self::listen(&mut confined(&[binary, command])))
    }

    fn listen(command: &mut Command) -> (Process, String) {
        let mut process = Process::start(command.stderr(Stdio::piped()));
        let mut lines = BufReader::new(process.child.stderr.take().expect("a pipe"))
            .lines()
            .map_while(Result::ok);
        let written = Arc::clone(&process.written);
        let address = lines
            .by_ref()
            .inspect(|line| *written.lock().unwrap() += &format!("{line}\n"))
            .find_map(|line| {
                line.strip_prefix("ops listening on http://")
                    .map(str::to_owned)
            })
            .expect("it says where it listens");
        // A pipe that is never read would stop it.
        std::thread::spawn(move || {
            for line in lines {
                let mut written = written.lock().unwrap();
                written.push_str(&line);
                written.push('\n');
            }
        });
        (process, address)
    }

    /// Runs a command of `pathbound` to its end.
    pub(crate) fn command(&self, arguments: &[&str]) -> std::process::Output {
        self.command_with(arguments, &[])
    }

    /// The same, with these variables on top, of any bytes.
    pub(crate) fn command_with(
        &self,
        arguments: &[&str],
        environment: &[(&OsStr, &OsStr)],
    ) -> std::process::Output {
        self.pathbound()
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .output()
            .expect("the binary starts")
    }
}
