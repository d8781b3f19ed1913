//! The programs of Prometheus, if this machine has them. `make alerts` installs them.

use std::{path::PathBuf, process::Command};

/// A program of Prometheus. `None`, and a word about it, if it is not there.
pub(super) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name));
    let found = found.filter(|program| program.is_file()).find(|program| {
        let asked = Command::new(program).arg("--version").output();
        asked.is_ok_and(|asked| asked.status.success())
    });
    if found.is_none() {
        eprintln!(
            "SKIPPED: alerts are NOT tested, there is no {name}: run `make alerts`, which installs it"
        );
    }
    found
}
