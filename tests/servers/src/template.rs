//! `initdb` takes most of a first start, so its result is kept and copied.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::launcher::Launcher;
use crate::locate::PostgresBinaries;
use crate::postgres::USER;
use crate::{Error, scratch};

/// A fresh data directory that belongs to the servers' account.
pub(crate) fn new_data_directory(
    launcher: &Launcher,
    binaries: &PostgresBinaries,
) -> Result<PathBuf, Error> {
    let data = launcher.directory().join("data");
    match scratch::cache(launcher.account()) {
        Some(cache) => {
            let template = template(launcher, binaries, &cache)?;
            copy(launcher, &template, &data).map_err(Error::prepare(data.display()))?;
        }
        None => initdb(launcher, binaries, &data)?,
    }
    Ok(data)
}

/// The kept result of `initdb`, made now if it is not there.
fn template(
    launcher: &Launcher,
    binaries: &PostgresBinaries,
    cache: &Path,
) -> Result<PathBuf, Error> {
    // Another build of the same version may have other defaults.
    let owner = launcher.account().map_or("self", |account| account.name);
    let key = format!("{} {owner}", binaries.version);
    let key: String = key
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '.' {
                c
            } else {
                '-'
            }
        })
        .collect();
    let path = cache.join(&key);
    if path.exists() {
        return Ok(path);
    }
    // Test binaries start side by side: one makes it, the others wait.
    let lock = cache.join(format!("{key}.lock"));
    let lock = File::create(&lock).map_err(Error::prepare(lock.display()))?;
    lock.lock().map_err(Error::prepare("the template's lock"))?;
    if !path.exists() {
        // Made in the reaper's directory, so that a killed start leaves no half.
        let fresh = launcher.directory().join("template");
        initdb(launcher, binaries, &fresh)?;
        fs::rename(&fresh, &path).map_err(Error::prepare(path.display()))?;
    }
    Ok(path)
}

fn initdb(launcher: &Launcher, binaries: &PostgresBinaries, data: &Path) -> Result<(), Error> {
    // Older systems do not have the C.UTF-8 locale.
    initdb_with(launcher, binaries, data, "C.UTF-8").or_else(|_| {
        let _ = fs::remove_dir_all(data);
        initdb_with(launcher, binaries, data, "C")
    })
}

fn initdb_with(
    launcher: &Launcher,
    binaries: &PostgresBinaries,
    data: &Path,
    locale: &str,
) -> Result<(), Error> {
    // Made here: the account may not write into the directory around it.
    fs::DirBuilder::new()
        .mode(0o700)
        .create(data)
        .and_then(|()| launcher.give(data))
        .map_err(Error::prepare(data.display()))?;
    let log = launcher.directory().join("initdb.log");
    let mut command = Command::new(binaries.directory.join("initdb"));
    command
        .arg("-D")
        .arg(data)
        .args(["--no-sync", "--encoding=UTF8", "--auth=trust"])
        .args([format!("--locale={locale}"), format!("--username={USER}")]);
    let status = launcher
        .spawn(&mut command, &log)?
        .wait()
        .map_err(|source| Error::Spawn {
            name: "initdb".to_owned(),
            source,
        })?;
    if status.success() {
        return Ok(());
    }
    let output = fs::read(&log).unwrap_or_default();
    Err(Error::Initdb {
        output: String::from_utf8_lossy(&output).trim().to_owned(),
    })
}

/// Copies a tree of plain files and directories. `fs::copy` lets the file system
/// share the blocks where it can.
fn copy(launcher: &Launcher, from: &Path, to: &Path) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o700).create(to)?;
    launcher.give(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(launcher, &entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
            launcher.give(&target)?;
        }
    }
    Ok(())
}
