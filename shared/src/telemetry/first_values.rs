//! Counters that are there before the first event: each of their series is exported as zero from the start of its role.
//!
//! A counter that is born at one is no rise, so an alert would miss the first event after each restart.

use metrics::{Key, Label, Level, Metadata};

use super::{METRICS, Metric};
use crate::config::ProcessRole;

/// A counter, the part of a process that counts it, and the values of each of its labels.
struct FirstValue {
    name: &'static str,
    part: Part,
    values: &'static [&'static [&'static str]],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Api,
    Scheduler,
    Worker,
    Every,
}

impl Part {
    const fn is_of(self, role: ProcessRole) -> bool {
        match self {
            Self::Api => role.runs_api(),
            Self::Scheduler => role.runs_scheduler(),
            Self::Worker => role.runs_worker(),
            Self::Every => true,
        }
    }
}

const STREAMS: &[&str] = &[
    "reference",
    "contacts",
    "companies",
    "conversations",
    "threads",
];
const CLASSES: &[&str] = &["fresh", "backfill"];

const fn of(
    part: Part,
    name: &'static str,
    values: &'static [&'static [&'static str]],
) -> FirstValue {
    FirstValue { name, part, values }
}

const FIRST_VALUES: &[FirstValue] = &[
    of(
        Part::Worker,
        "pathbound_audits_total",
        &[&["nothing_new", "differences"]],
    ),
    of(Part::Worker, "pathbound_counts_corrected_total", &[STREAMS]),
    of(Part::Worker, "pathbound_fenced_writes_total", &[]),
    of(
        Part::Worker,
        "pathbound_intercom_requests_total",
        &[
            &[
                "me",
                "admins",
                "teams",
                "tags",
                "segments",
                "data_attributes",
                "conversation_attributes",
                "contacts_list",
                "contacts_search",
                "contact",
                "contact_companies",
                "companies_scroll",
                "company",
                "conversations_search",
                "conversation",
                "conversations_deleted",
            ],
            &["2xx", "401", "403", "404", "429", "4xx", "5xx", "none"],
        ],
    ),
    of(
        Part::Worker,
        "pathbound_intercom_throttled_total",
        &[&["own", "foreign", "cold"]],
    ),
    of(
        Part::Api,
        "pathbound_operator_events_total",
        &[&["workspace_shared"]],
    ),
    of(Part::Worker, "pathbound_orphans_recovered_total", &[]),
    of(Part::Worker, "pathbound_parked_seconds_total", &[CLASSES]),
    of(
        Part::Worker,
        "pathbound_quarantined_total",
        &[STREAMS, &["not_received", "unreadable"]],
    ),
    of(
        Part::Worker,
        "pathbound_rate_limit_scope_contradictions_total",
        &[&["workspace", "app"]],
    ),
    of(
        Part::Worker,
        "pathbound_records_written_total",
        &[STREAMS, &["insert", "update", "noop"]],
    ),
    of(
        Part::Scheduler,
        "pathbound_retention_removed_total",
        &[&[
            "runs",
            "dead_letters",
            "quarantine",
            "api_keys",
            "oauth_flows",
            "idempotency_keys",
            "operator_events",
            "audit_events",
            "browser_sessions",
            "operator_actions",
            "bulk_actions",
        ]],
    ),
    of(Part::Worker, "pathbound_search_indexed_total", &[]),
    of(
        Part::Worker,
        "pathbound_slices_finished_total",
        &[
            STREAMS,
            &[
                "done",
                "requeue",
                "snooze",
                "release",
                "blocked",
                "dead",
                "fenced",
                "nothing_due",
                "rate_limited",
                "reauth_required",
                "retry",
                "stale",
                "store",
            ],
        ],
    ),
    of(
        Part::Worker,
        "pathbound_tickets_refused_total",
        &[&["oversized", "version", "garbled", "foreign"]],
    ),
    of(
        Part::Every,
        "pathbound_trace_spans_total",
        &[&["sent", "queue_full", "not_taken"]],
    ),
];

/// Exports every counter of a role as zero.
pub fn begin(role: ProcessRole) {
    super::metrics();
    for first in FIRST_VALUES.iter().filter(|first| first.part.is_of(role)) {
        for key in first.series() {
            let metadata = Metadata::new("shared", Level::INFO, None);
            metrics::with_recorder(|recorder| {
                recorder.register_counter(&key, &metadata).increment(0);
            });
        }
    }
}

/// Every series of the counters that a role exports from its start, as Prometheus writes them.
#[must_use]
pub fn series_of(role: ProcessRole) -> Vec<String> {
    let firsts = FIRST_VALUES.iter().filter(|first| first.part.is_of(role));
    let keys = firsts.flat_map(FirstValue::series);
    keys.map(|key| written(&key)).collect()
}

impl FirstValue {
    /// Each combination of the values of its labels.
    fn series(&self) -> Vec<Key> {
        let names = METRICS.iter().find(|metric| metric.name == self.name);
        let names = names.map_or(&[][..], |metric: &Metric| metric.labels);
        let mut combinations: Vec<Vec<Label>> = vec![Vec::new()];
        for (name, values) in names.iter().zip(self.values) {
            let longer = combinations.iter().flat_map(|labels| {
                values.iter().map(|value| {
                    let mut labels = labels.clone();
                    labels.push(Label::from_static_parts(name, value));
                    labels
                })
            });
            combinations = longer.collect();
        }
        let keys = combinations.into_iter();
        keys.map(|labels| Key::from_parts(self.name, labels))
            .collect()
    }
}

fn written(key: &Key) -> String {
    let labels: Vec<String> = key
        .labels()
        .map(|label| format!("{}=\"{}\"", label.key(), label.value()))
        .collect();
    match labels.is_empty() {
        true => key.name().to_owned(),
        false => format!("{}{{{}}}", key.name(), labels.join(",")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::Stream, telemetry::MetricKind};

    #[test]
    fn every_counter_begins_at_zero_with_all_its_labels() {
        // The upkeep counts itself, and what is counted of the whole fleet has a recorder of its own.
        const OTHERS: [&str; 2] = [
            "pathbound_freshness_tenant_seconds_total",
            "pathbound_metrics_upkeeps_total",
        ];
        let mut counters: Vec<_> = METRICS
            .iter()
            .filter(|metric| metric.kind == MetricKind::Counter)
            .map(|metric| (metric.name, metric.labels.len()))
            .collect();
        counters.retain(|(name, _)| !OTHERS.contains(name));
        let first = FIRST_VALUES.iter();
        let first: Vec<_> = first
            .map(|first| (first.name, first.values.len()))
            .collect();
        assert_eq!(first, counters);
        let streams: Vec<_> = Stream::ALL.iter().map(|stream| stream.as_str()).collect();
        assert_eq!(
            STREAMS.iter().filter(|name| streams.contains(name)).count(),
            streams.len()
        );
    }
}
