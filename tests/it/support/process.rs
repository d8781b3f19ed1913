//! Processes of `pathbound`'s own, in a world.

use std::io::BufRead as _;

use super::World;

/// A process of the product. It is killed when dropped.
pub(crate) struct Process(std::process::Child);

impl Process {
    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.0.kill().expect("it was running");
        self.0.wait().expect("it ends");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl World {
    /// Starts `pathbound` as a process of its own in this world.
    pub(crate) fn process(&self, command: &str) -> Process {
        self.process_with(command, &[])
    }

    /// The same, with these environment variables on top.
    pub(crate) fn process_with(&self, command: &str, environment: &[(&str, &str)]) -> Process {
        let child = std::process::Command::new(env!("CARGO_BIN_EXE_pathbound-under-test"))
            .arg(command)
            .envs(self.environment.iter().cloned())
            .env("PATHBOUND_LOG", "warn")
            .envs(environment.iter().copied())
            .stdin(std::process::Stdio::null())
            .spawn()
            .expect("the binary starts");
        Process(child)
    }

    /// The same, of one that listens: its ops address is that of every command after it.
    pub(crate) fn listening(&mut self, command: &str) -> (Process, String) {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_pathbound-under-test"))
            .arg(command)
            .envs(self.environment.iter().cloned())
            .env("PATHBOUND_LOG", "warn")
            .stdin(std::process::Stdio::null())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut lines = std::io::BufReader::new(child.stderr.take().expect("a pipe"))
            .lines()
            .map_while(Result::ok);
        let child = Process(child);
        let address = lines
            .by_ref()
            .find_map(|line| {
                line.strip_prefix("ops listening on http://")
                    .map(str::to_owned)
            })
            .expect("it says where it listens");
        // A pipe that is never read would stop it.
        std::thread::spawn(move || lines.for_each(|line| eprintln!("{line}")));
        // The last one of a name counts.
        self.environment
            .push(("PATHBOUND_OPS_LISTEN".to_owned(), address.clone()));
        (child, address)
    }

    /// Runs a command of `pathbound` to its end.
    pub(crate) fn command(&self, arguments: &[&str]) -> std::process::Output {
        std::process::Command::new(env!("CARGO_BIN_EXE_pathbound-under-test"))
            .args(arguments)
            .envs(self.environment.iter().cloned())
            .stdin(std::process::Stdio::null())
            .output()
            .expect("the binary starts")
    }
}
