//! Starts a program inside the reaper's group, as the servers' account.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::reaper::Reaper;
use crate::{Account, Error, scratch};

/// What both servers share: the account, the directory and the reaper.
#[derive(Debug)]
pub(crate) struct Launcher {
    account: Option<Account>,
    directory: PathBuf,
    reaper: Reaper,
}

impl Launcher {
    pub(crate) fn new(account: Option<Account>) -> Result<Launcher, Error> {
        let directory = scratch::fresh_path(account.as_ref());
        let reaper = Reaper::start(&directory, scratch::mode(account.as_ref()))?;
        Ok(Launcher {
            account,
            directory,
            reaper,
        })
    }

    pub(crate) fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    /// Where the servers keep their files. The reaper removes it.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn reaper(&self) -> &Reaper {
        &self.reaper
    }

    /// Makes a directory that belongs to the servers' account alone.
    pub(crate) fn make_directory(&self, name: &str) -> Result<PathBuf, Error> {
        let path = self.directory.join(name);
        std::os::unix::fs::DirBuilderExt::mode(&mut std::fs::DirBuilder::new(), 0o700)
            .create(&path)
            .and_then(|()| self.give(&path))
            .map_err(Error::prepare(path.display()))?;
        Ok(path)
    }

    /// Hands a file or directory to the servers' account.
    pub(crate) fn give(&self, path: &Path) -> std::io::Result<()> {
        match &self.account {
            Some(account) => std::os::unix::fs::chown(path, Some(account.uid), Some(account.gid)),
            None => Ok(()),
        }
    }

    /// Starts `command`. What it prints goes to `log`.
    pub(crate) fn spawn(&self, command: &mut Command, log: &Path) -> Result<Child, Error> {
        let output = File::create(log).map_err(Error::prepare(log.display()))?;
        let errors = output.try_clone().map_err(Error::prepare(log.display()))?;
        if let Some(account) = &self.account {
            account.apply(command);
        }
        command
            .current_dir(&self.directory)
            .process_group(self.reaper.group())
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            // Messages that we look for, and nothing from the caller's own setup.
            .env("LC_ALL", "C")
            .env_remove("PGDATA")
            .env_remove("PGPORT")
            .env_remove("PGHOST")
            .spawn()
            .map_err(|source| Error::Spawn {
                name: command.get_program().display().to_string(),
                source,
            })
    }
}
