//! The simulator as a program: `intercom-simulator --workspaces spec.json`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use intercom_simulator::{Options, Simulator, WorkspaceSpec, self_bench};
use tokio::signal::unix::{SignalKind, signal};

/// A strict, stateful Intercom on a loopback port. It stops on SIGTERM or Ctrl-C.
#[derive(Debug, Parser)]
#[command(name = "intercom-simulator", version)]
struct Arguments {
    /// Where to listen. Port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// JSON file with a list of workspace recipes. Without it there is one with the defaults.
    #[arg(long)]
    workspaces: Option<PathBuf>,
    /// The OAuth app's client id.
    #[arg(long, default_value = "simulator-client-id")]
    client_id: String,
    /// The OAuth app's client secret.
    #[arg(long, default_value = "simulator-client-secret")]
    client_secret: String,
    /// The API version of calls that name none.
    #[arg(long, default_value = "2.11")]
    app_version: String,
    /// Keep no row per call, only counters.
    #[arg(long)]
    no_ledger_rows: bool,
    /// Measure requests per second, print them as JSON, and end.
    #[arg(long)]
    self_bench: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("intercom-simulator: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    if arguments.self_bench {
        println!("{}", serde_json::to_string_pretty(&self_bench().await?)?);
        return Ok(());
    }
    let specs: Vec<WorkspaceSpec> = match &arguments.workspaces {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| format!("read {}: {error}", path.display()))?;
            serde_json::from_str(&text)
                .map_err(|error| format!("understand {}: {error}", path.display()))?
        }
        None => vec![WorkspaceSpec::default()],
    };
    let mut terminate = signal(SignalKind::terminate())?;
    let simulator = Simulator::start(Options {
        listen: arguments.listen,
        client_id: arguments.client_id,
        client_secret: arguments.client_secret,
        app_version: arguments.app_version,
        ledger_rows: !arguments.no_ledger_rows,
        ..Options::default()
    })
    .await?;
    for spec in specs {
        let workspace = simulator.try_add_workspace(spec)?;
        eprintln!(
            "workspace {} token {}",
            workspace.id_code(),
            workspace.token()
        );
    }
    println!("listening on {}", simulator.url());
    tokio::select! {
        _ = terminate.recv() => {}
        ended = tokio::signal::ctrl_c() => ended?,
    }
    simulator.stop().await;
    Ok(())
}
