//! A process's memory after an hour's worth of metrics that nobody has scraped, beside a process that never folds them.
//!
//! The hour is one of samples, recorded in a minute.

use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;

use crate::{
    process,
    report::{Failure, Report},
    roles,
};

/// What a busy worker sends.
const CALLS_PER_SECOND: usize = 150;
const SECONDS: usize = 3_600;
/// The hour takes a minute, so an upkeep finds sixty times what it finds in production.
const STEP: Duration = Duration::from_millis(1_000 / 60);

pub(super) async fn measure(report: &mut Report) -> Result<(), Failure> {
    println!(
        "an hour of metrics at {CALLS_PER_SECOND} calls a second that nobody scrapes, beside the same without upkeep"
    );
    let unkept = tokio::task::spawn_blocking(|| peak(false)).await??;
    let kept = tokio::task::spawn_blocking(|| peak(true)).await??;
    report.add(
        "memory.worker_peak_mib_unscraped_hour",
        kept,
        "MiB",
        Some(unkept),
    );
    Ok(())
}

fn peak(kept: bool) -> Result<f64, Failure> {
    let mut recorder = roles::recorder(kept)?;
    recorder.line()?;
    Ok(process::usage(recorder.role.child.id()).peak_mib)
}

/// Runs the process that is measured: with the recorder of the product, or with one that is never kept up. It prints a
/// line when the hour is over.
pub(crate) fn run_recorder(kept: bool) -> ! {
    if kept {
        shared::telemetry::metrics();
        for _ in 0..SECONDS {
            record_second();
            std::thread::sleep(STEP);
        }
    } else {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || (0..SECONDS).for_each(|_| record_second()));
        end();
    }
    end();
}

/// Says that the hour is over, and stays to be measured.
fn end() -> ! {
    println!("an hour");
    loop {
        std::thread::park();
    }
}

/// The samples of a second's calls and their slices.
fn record_second() {
    for call in 0..CALLS_PER_SECOND {
        let seconds = call as f64 / 1_000.0;
        metrics::histogram!("pathbound_permit_wait_seconds", "class" => "backfill").record(seconds);
        metrics::histogram!("pathbound_intercom_request_duration_seconds", "endpoint" => "conversation")
            .record(seconds);
        metrics::histogram!("pathbound_redis_op_duration_seconds", "op" => "rate").record(seconds);
    }
    metrics::histogram!("pathbound_slice_wait_seconds", "class" => "backfill").record(1.0);
    metrics::histogram!("pathbound_slice_duration_seconds", "stream" => "threads").record(1.0);
}
