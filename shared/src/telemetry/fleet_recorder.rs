//! The metrics of the whole fleet, which one scheduler exports at a time.
//!
//! They have a recorder of their own, so that they can end: a scheduler that no longer measures the fleet must not go on
//! saying what it measured last. They also end by themselves, if the scheduler hangs.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use parking_lot::Mutex;

use super::{METRICS, Metric};

/// What a scheduler exports of the fleet. Clones share it.
#[derive(Clone, Default)]
pub struct FleetRecorder(Arc<Mutex<Option<Term>>>);

/// From when a scheduler begins to measure until it ends. Its counters begin at zero.
struct Term {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    ends_at: Instant,
}

impl FleetRecorder {
    /// Writes metrics, which are exported for so long at most. A call within that time goes on with its counters.
    pub fn write(&self, good_for: Duration, write: impl FnOnce()) {
        let mut term = self.0.lock();
        let now = Instant::now();
        let ends_at = now + good_for;
        if term.as_ref().is_none_or(|term| term.ends_at <= now) {
            *term = Some(Term::begin(ends_at));
        }
        if let Some(term) = term.as_mut() {
            term.ends_at = ends_at;
            metrics::with_local_recorder(&term.recorder, write);
        }
    }

    /// Exports nothing more.
    pub fn end(&self) {
        *self.0.lock() = None;
    }

    /// What is exported now, in the format of Prometheus. It is empty if nothing is.
    #[must_use]
    pub fn render(&self) -> String {
        let term = self.0.lock();
        let term = term.as_ref().filter(|term| term.ends_at > Instant::now());
        term.map(|term| term.handle.render()).unwrap_or_default()
    }
}

impl Term {
    fn begin(ends_at: Instant) -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || METRICS.iter().for_each(Metric::describe));
        Self {
            handle: recorder.handle(),
            recorder,
            ends_at,
        }
    }
}

impl std::fmt::Debug for FleetRecorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FleetRecorder").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);

    fn count(recorder: &FleetRecorder, good_for: Duration) {
        recorder.write(good_for, || {
            metrics::counter!("pathbound_freshness_tenant_seconds_total", "within" => "true")
                .increment(3);
        });
    }

    fn shown(recorder: &FleetRecorder) -> Option<String> {
        let text = recorder.render();
        let line = text.lines().find(|line| line.contains("{within="));
        line.map(str::to_owned)
    }

    #[test]
    fn a_term_ends_by_itself_and_the_next_one_counts_anew() {
        let recorder = FleetRecorder::default();
        assert_eq!(shown(&recorder), None);
        count(&recorder, LONG);
        count(&recorder, LONG);
        let six = "pathbound_freshness_tenant_seconds_total{within=\"true\"} 6";
        assert_eq!(shown(&recorder).as_deref(), Some(six));
        count(&recorder, Duration::ZERO);
        assert_eq!(shown(&recorder), None);
        count(&recorder, LONG);
        let three = "pathbound_freshness_tenant_seconds_total{within=\"true\"} 3";
        assert_eq!(shown(&recorder).as_deref(), Some(three));
        recorder.end();
        assert_eq!(shown(&recorder), None);
    }
}
