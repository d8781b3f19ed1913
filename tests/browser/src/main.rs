//! `make browser`: Chromium walks through the pages as a person does, and each page is judged.
//!
//! This program starts the product with private servers and a simulated Intercom. The scripts in `drive/` beside it do
//! the rest: `walks/` has what a person does, and `judge.mjs` what a page has to be. The report and the pictures are
//! in `target/browser`.

mod dead_letter;
mod proxy;
mod report;

use std::{
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
    time::Duration,
};

use clap::Parser;
use pathbound::demo::world::World;
use shared::domain::Secret;
use tokio::{process::Command, time::timeout};

use crate::{proxy::Proxied, report::Report};

/// Whatever stops the harness itself.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Of all walks. They take two minutes or so on an idle machine.
const LIMIT: Duration = Duration::from_secs(900);

/// Lets Chromium walk through the pages, and judges each of them.
#[derive(Debug, Parser)]
struct Arguments {
    /// Only the walks whose name begins so
    walk: Option<String>,
    /// One theme and one width, without Lighthouse
    #[arg(long)]
    short: bool,
    /// Keep new pictures for the README
    #[arg(long, conflicts_with = "short")]
    pictures: bool,
}

/// What is installed by `deploy/setup`.
struct Tools {
    folder: PathBuf,
    chromium: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Some(tools) = Tools::find() else {
        println!("SKIPPED: the pages are NOT looked at, a browser or its driver could not be had");
        return ExitCode::SUCCESS;
    };
    let ran = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::from)
        .and_then(|runtime| runtime.block_on(run(&arguments, &tools)));
    match ran {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("browser: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every page is as it has to be.
async fn run(arguments: &Arguments, tools: &Tools) -> Result<bool, Failure> {
    let stop = shared::shutdown::on_signals()?;
    let out = target().join("browser");
    // Pictures of an older page would look like those of this one.
    let _ = std::fs::remove_dir_all(&out);
    std::fs::create_dir_all(&out)?;
    let out = out.canonicalize()?;
    let world = World::start(&[]).await?;
    let proxied = Proxied::start().await?;
    let outcome = tokio::select! {
        outcome = walk(&world, proxied.as_ref(), arguments, tools, &out) => outcome,
        () = stop.cancelled() => Err("stopped before the end".into()),
    };
    if let Some(proxied) = proxied {
        proxied.stop().await;
    }
    world.stop().await;
    outcome
}

async fn walk(
    world: &World,
    proxied: Option<&Proxied>,
    arguments: &Arguments,
    tools: &Tools,
    out: &Path,
) -> Result<bool, Failure> {
    dead_letter::make(world).await?;
    let drive = tools.drive()?;
    let mut node = Command::new(tools.folder.join("node_modules/.bin/node"));
    reach(&mut node, "", world, &world.ops_url());
    if let Some(proxied) = proxied {
        reach(&mut node, "PROXIED_", &proxied.world, &proxied.ops_url);
        node.env("NODE_EXTRA_CA_CERTS", proxied.authority());
    }
    let walking = node
        .arg(drive.join("main.mjs"))
        .args(&arguments.walk)
        .env("DEAD_END", dead_letter::NAME)
        .env("CHROMIUM", &tools.chromium)
        .env("OUT", out)
        .env("SHORT", if arguments.short { "1" } else { "" })
        .env("PICTURES", root().join(".github/pictures"))
        .env("RENEW", if arguments.pictures { "1" } else { "" })
        .current_dir(&drive)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .status();
    let status = timeout(LIMIT, walking)
        .await
        .map_err(|_| "the walks take too long")??;
    let report = Report::read(&out.join("report.json"))?;
    println!("{report}");
    Ok(status.success() && report.is_good())
}

/// Tells the scripts where a world is, and its keys.
fn reach(node: &mut Command, prefix: &str, world: &World, ops_url: &str) {
    let config = &world.config;
    let operator_key = config.operator_key.as_ref().map_or("", Secret::expose);
    let intercom = world.simulator.url();
    for (name, value) in [
        ("PUBLIC_URL", config.public_url.as_str()),
        ("SERVICE_KEY", config.service_key.expose()),
        ("INTERCOM_URL", &intercom),
        ("OPS_URL", ops_url),
        ("OPERATOR_KEY", operator_key),
    ] {
        node.env(format!("{prefix}{name}"), value);
    }
}

impl Tools {
    fn find() -> Option<Self> {
        let folder = target().join("tools/browser");
        folder
            .join("node_modules/.bin/node")
            .exists()
            .then_some(())?;
        Some(Self {
            folder: folder.canonicalize().ok()?,
            chromium: chromium()?,
        })
    }

    /// A copy of the scripts beside their packages, because Node looks for them where a script is.
    fn drive(&self) -> Result<PathBuf, Failure> {
        let copy = self.folder.join("drive");
        let _ = std::fs::remove_dir_all(&copy);
        copy_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("drive"), &copy)?;
        Ok(copy)
    }
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// The names under which systems have it, after the one that is set.
fn chromium() -> Option<PathBuf> {
    let set = std::env::var_os("PATHBOUND_CHROMIUM").map(PathBuf::from);
    set.filter(|program| program.is_file())
        .or_else(|| program(&["chromium", "chromium-browser", "google-chrome"]))
}

/// The first of these programs that is installed. Some systems keep servers where only root looks.
fn program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path)
        .chain(["/usr/sbin".into()])
        .collect();
    names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|program| program.is_file())
}

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Where the scripts in `deploy/setup` put tools, and where reports go.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .unwrap_or_else(|| "target".into())
        .into()
}
