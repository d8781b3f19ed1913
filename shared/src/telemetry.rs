//! Logs and metrics, set up once per process.

mod metric_table;

use std::{io::IsTerminal, sync::OnceLock};

pub use metric_table::{METRICS, Metric, MetricKind};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// In seconds, from one network round trip to the time limit of a slice.
const DURATION_BUCKETS: &[f64] = &[
    0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

/// Starts logging to stderr, because stdout is for data.
///
/// # Errors
/// When the filter cannot be read.
pub fn start_logs(filter: &str, json: bool) -> Result<(), BadFilter> {
    // The internals of a request may print headers below info, and one header is the token.
    let filter = format!("{filter},hyper=info,hyper_util=info,reqwest=info,h2=info,rustls=info");
    let filter = EnvFilter::try_new(&filter).map_err(|error| BadFilter(error.to_string()))?;
    let registry = tracing_subscriber::registry().with(filter);
    // A second start in one process (tests) keeps the first.
    let _ = if json {
        registry
            .with(fmt::layer().json().with_writer(std::io::stderr))
            .try_init()
    } else {
        registry
            .with(
                fmt::layer()
                    .with_ansi(std::io::stderr().is_terminal())
                    .with_writer(std::io::stderr),
            )
            .try_init()
    };
    Ok(())
}

#[derive(Debug, thiserror::Error)]
#[error("the log filter cannot be read ({0}): write it like info,shared=debug")]
pub struct BadFilter(String);

static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();

/// The process's metrics. The first call installs the recorder, and later calls share it.
pub fn metrics() -> &'static PrometheusHandle {
    HANDLE.get_or_init(|| {
        let builder = PrometheusBuilder::new();
        let builder = builder
            .set_buckets_for_metric(Matcher::Suffix("_duration_seconds".to_owned()), DURATION_BUCKETS)
            .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_wait_seconds".to_owned()), DURATION_BUCKETS))
            .unwrap_or_else(|_| PrometheusBuilder::new());
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        // Fails only if another recorder was installed first. Ours then stays empty.
        let _ = metrics::set_global_recorder(recorder);
        METRICS.iter().for_each(Metric::describe);
        metrics::gauge!("pathbound_build_info", "version" => env!("CARGO_PKG_VERSION"), "commit" => option_env!("PATHBOUND_COMMIT").unwrap_or("unknown"), "schema" => crate::store::schema()).set(1.0);
        handle
    })
}
