//! `servers`: run a command beside a private Postgres and Redis.

mod migrate;
mod run;

use std::fmt::Write as _;
use std::process::ExitCode;

use servers::{Account, Binaries};

const USAGE: &str = "\
usage: servers run [--migrations DIR] [--] COMMAND [ARGUMENT…]
           start both, run COMMAND with DATABASE_URL, PATHBOUND_DATABASE_URL and
           PATHBOUND_REDIS_URL set, stop both, exit as COMMAND did;
           with --migrations, apply the directory's SQL files first
       servers check
           say which programs would be used, or what to install (exit 1)";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["check"] => check(),
        ["run", "--migrations", directory, command @ ..] => {
            run::run(Some(directory.as_ref()), without_dashes(command))
        }
        ["run", command @ ..] => run::run(None, without_dashes(command)),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    result.unwrap_or_else(|error| {
        eprintln!("servers: {}", with_causes(error.as_ref()));
        ExitCode::FAILURE
    })
}

type Failure = Box<dyn std::error::Error>;

fn check() -> Result<ExitCode, Failure> {
    let account = Account::for_servers()?;
    let found = Binaries::find(account.as_ref())?;
    let user = account.map_or("this user", |account| account.name);
    println!(
        "Postgres {} in {}",
        found.postgres.version,
        found.postgres.directory.display()
    );
    println!("{} at {}", found.redis.version, found.redis.path.display());
    println!("run as {user}");
    Ok(ExitCode::SUCCESS)
}

fn without_dashes<'a>(command: &'a [&'a str]) -> &'a [&'a str] {
    match command {
        ["--", command @ ..] => command,
        command => command,
    }
}

/// `what: why: why`.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
