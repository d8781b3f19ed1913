//! Directories under the system's temporary directory: one per start, and one
//! cache per user for the Postgres template.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::Account;

/// A name that nothing has yet, in a place that the servers' account can reach.
pub(crate) fn fresh_path(account: Option<&Account>) -> PathBuf {
    let number = RandomState::new().hash_one(std::process::id());
    base(account).join(format!("pathbound-servers-{number:016x}"))
}

/// The directory that keeps templates between starts. `None` if another account
/// owns a file of that name, for a planted template would run as our server.
pub(crate) fn cache(account: Option<&Account>) -> Option<PathBuf> {
    let uid = rustix::process::geteuid().as_raw();
    let path = base(account).join(format!("pathbound-templates-{uid}"));
    match make(&path, mode(account)) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return None,
        _ => {}
    }
    let metadata = fs::symlink_metadata(&path).ok()?;
    let ours = metadata.is_dir() && metadata.uid() == uid && metadata.mode() & 0o022 == 0;
    ours.then_some(path)
}

/// Lets only the servers' account in: it needs `x` to pass through, and what lies
/// inside belongs to it alone.
pub(crate) fn mode(account: Option<&Account>) -> u32 {
    if account.is_some() { 0o711 } else { 0o700 }
}

fn make(path: &Path, mode: u32) -> io::Result<()> {
    fs::DirBuilder::new().mode(mode).create(path)?;
    // The umask may have taken bits away.
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// The first temporary directory the servers' account can pass through: root's
/// own TMPDIR is often closed to others.
fn base(account: Option<&Account>) -> PathBuf {
    let first = std::env::temp_dir();
    if account.is_none() {
        return first;
    }
    [first.clone(), "/tmp".into(), "/var/tmp".into()]
        .into_iter()
        .find(|path| open_to_all(path))
        .unwrap_or(first)
}

/// Whether every account may pass through every directory on the way.
fn open_to_all(path: &Path) -> bool {
    path.is_absolute()
        && path
            .ancestors()
            .all(|part| fs::metadata(part).is_ok_and(|m| m.is_dir() && m.mode() & 0o001 != 0))
}
