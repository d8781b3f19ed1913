//! The account the servers run as. Postgres refuses to run as root.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::Error;

/// An unprivileged account that root hands the servers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name: `postgres` where that exists, else `nobody`.
    pub name: &'static str,
    /// Its user id.
    pub uid: u32,
    /// Its primary group id.
    pub gid: u32,
}

impl Account {
    /// The account to use. `None` for an ordinary user, because the servers then run as that user.
    ///
    /// # Errors
    /// [`Error::NoAccount`] for root on a machine without `postgres` and `nobody`.
    pub fn for_servers() -> Result<Option<Account>, Error> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        ["postgres", "nobody"]
            .into_iter()
            .find_map(lookup)
            .map(Some)
            .ok_or(Error::NoAccount)
    }

    /// Makes `command` run as this account.
    pub(crate) fn apply(&self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }
}

/// Asks `id`, which knows every account database the machine has.
fn lookup(name: &'static str) -> Option<Account> {
    let ask = |flag: &str| {
        let output = Command::new("id").args([flag, name]).output().ok()?;
        let number = String::from_utf8(output.stdout).ok()?;
        output.status.success().then_some(())?;
        number.trim().parse::<u32>().ok()
    };
    let uid = ask("-u").filter(|uid| *uid != 0)?;
    let gid = ask("-g")?;
    Some(Account { name, uid, gid })
}
