//! `make bench`: each figure beside its baseline, measured in the same run on the same machine.
//!
//! Prints a table and writes `target/bench/report.json`, a list of
//! `{name, value, unit, baseline, ratio, machine, seed}`. `BENCH=prefix` picks figures by name.

mod api;
mod baseline;
mod bytes;
mod clones;
mod first_sync;
mod fleet;
mod idle;
mod ingest;
mod load;
mod memory;
mod ops;
mod process;
mod queue;
mod rate;
mod report;
mod roles;
mod scale;
mod sync;

use std::process::ExitCode;

use report::Report;

/// What `make load` asks for.
const LOAD: &str = "load";
/// What `make rollout` asks for, with the program of the release before.
const ROLLOUT: &str = "rollout";
/// What `make drain` asks for.
const DRAIN: &str = "drain";

fn main() -> ExitCode {
    // This program is also what it starts: the simulator and the fleet run as processes of their own,
    // so that each one's time and memory can be told apart.
    if let Some(code) = roles::dispatch() {
        return code;
    }
    let prefix = std::env::args().nth(1).unwrap_or_default();
    if prefix == LOAD {
        return load::main();
    }
    if prefix == ROLLOUT {
        return load::rollout::main(&std::env::args().nth(2).unwrap_or_default());
    }
    if prefix == DRAIN {
        return load::drain::main();
    }
    let mut report = Report::new(prefix);
    // One core is the servers': two that share it would be measured waiting for each other.
    let threads = std::thread::available_parallelism()
        .map_or(1, |cores| cores.get().saturating_sub(1).max(1));
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("bench: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(async {
        if report.wants("sync.") {
            sync::measure(&mut report).await?;
        }
        if report.wants("first_sync.") {
            first_sync::measure(&mut report).await?;
        }
        if report.wants("rate.") {
            rate::measure(&mut report).await?;
        }
        if report.wants("memory.") {
            memory::measure(&mut report).await?;
        }
        if report.wants("idle.") {
            idle::measure(&mut report).await?;
        }
        if report.wants("ingest.") {
            ingest::measure(&mut report).await?;
        }
        if report.wants("scale.") {
            scale::measure(&mut report).await?;
        }
        if report.wants("ops.") {
            ops::measure(&mut report).await?;
        }
        if report.wants("api.") || report.wants("mcp.") {
            api::measure(&mut report).await?;
        }
        if report.wants("scale.bytes_per_") || report.wants("bytes.") {
            bytes::measure(&mut report).await?;
        }
        let queue = if report.wants("queue.") {
            queue::measure(&mut report).await
        } else {
            Ok(())
        };
        report.write()?;
        queue
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}
