//! The recorder of metrics, and the thread that keeps it small.

use std::{sync::OnceLock, thread, time::Duration};

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use super::{METRICS, Metric};

/// In seconds, from one network round trip to the time limit of a scroll, which is two hours.
const DURATION_BUCKETS: &[f64] = &[
    0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 180.0, 600.0,
    1_800.0, 7_200.0,
];

/// Shares of a whole. More than a whole is possible, because other apps spend the same rate limit.
const RATIO_BUCKETS: &[f64] = &[0.1, 0.25, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0, 1.1];

/// How often the raw samples of the histograms are folded into their buckets.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(2);

static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();

/// The process's metrics. The first call installs the recorder, and later calls share it.
pub fn metrics() -> &'static PrometheusHandle {
    HANDLE.get_or_init(|| {
        let recorder = buckets().unwrap_or_default().build_recorder();
        let handle = recorder.handle();
        // Fails only if another recorder was installed first. Ours then stays empty.
        let _ = metrics::set_global_recorder(recorder);
        METRICS.iter().for_each(Metric::describe);
        metrics::gauge!("pathbound_build_info", "version" => env!("CARGO_PKG_VERSION"), "commit" => option_env!("PATHBOUND_COMMIT").unwrap_or("unknown"), "schema" => crate::store::schema()).set(1.0);
        keep_up(handle.clone());
        handle
    })
}

fn buckets() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), DURATION_BUCKETS)?
        .set_buckets_for_metric(Matcher::Suffix("_ratio".to_owned()), RATIO_BUCKETS)
}

/// Runs the upkeep for as long as the process lives. Each sample of a histogram is kept until then, so that a process
/// whose metrics are not scraped would grow without it.
///
/// It is a thread and no task, so that a runtime that hangs cannot stop it.
fn keep_up(handle: PrometheusHandle) {
    let upkeep = move || loop {
        thread::sleep(UPKEEP_INTERVAL);
        handle.run_upkeep();
        metrics::counter!("pathbound_metrics_upkeeps_total").increment(1);
    };
    let thread = thread::Builder::new().name("metrics".to_owned());
    if let Err(error) = thread.spawn(upkeep) {
        tracing::error!(%error, "could not start the upkeep of metrics, so its memory grows until it is scraped");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_folded_although_the_metrics_are_not_scraped() {
        metrics();
        metrics::histogram!("pathbound_permit_wait_seconds", "class" => "fresh").record(1.0);
        let begun = std::time::Instant::now();
        // Rendering folds as well, so the thread's own count is asked for.
        while !metrics()
            .render()
            .contains("\npathbound_metrics_upkeeps_total ")
        {
            assert!(begun.elapsed() < Duration::from_secs(60), "no upkeep ran");
            thread::sleep(Duration::from_millis(100));
        }
    }

    #[test]
    fn every_histogram_of_the_table_has_buckets() {
        use crate::telemetry::MetricKind;
        for metric in METRICS {
            let has_buckets = metric.name.ends_with("_seconds") || metric.name.ends_with("_ratio");
            assert!(
                metric.kind != MetricKind::Histogram || has_buckets,
                "{}",
                metric.name
            );
        }
    }
}
