//! The list of every metric that the product writes: `deploy/reference/metrics.md` is made from it,
//! and so are the help texts in `/metrics`. `shared/tests/reference.rs` compares it with the code.

/// What a metric counts or measures, and with which labels.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    pub name: &'static str,
    pub kind: MetricKind,
    /// In the order in which the code gives them.
    pub labels: &'static [&'static str],
    pub meaning: &'static str,
}

/// The types of Prometheus that we use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    Counter,
    Gauge,
    Histogram,
}

impl MetricKind {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl Metric {
    /// Gives the recorder the metric's help text.
    pub(super) fn describe(&self) {
        match self.kind {
            MetricKind::Counter => metrics::describe_counter!(self.name, self.meaning),
            MetricKind::Gauge => metrics::describe_gauge!(self.name, self.meaning),
            MetricKind::Histogram => metrics::describe_histogram!(self.name, self.meaning),
        }
    }
}

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    meaning: &'static str,
) -> Metric {
    metric(name, MetricKind::Counter, labels, meaning)
}

const fn gauge(
    name: &'static str,
    labels: &'static [&'static str],
    meaning: &'static str,
) -> Metric {
    metric(name, MetricKind::Gauge, labels, meaning)
}

const fn histogram(
    name: &'static str,
    labels: &'static [&'static str],
    meaning: &'static str,
) -> Metric {
    metric(name, MetricKind::Histogram, labels, meaning)
}

const fn metric(
    name: &'static str,
    kind: MetricKind,
    labels: &'static [&'static str],
    meaning: &'static str,
) -> Metric {
    Metric {
        name,
        kind,
        labels,
        meaning,
    }
}

/// Every metric, by name.
pub const METRICS: &[Metric] = &[
    counter(
        "pathbound_audits_total",
        &["found"],
        "Audits of connections that called themselves complete, by what the audit found.",
    ),
    gauge(
        "pathbound_autoscale_desired_workers",
        &["pool"],
        "Workers that a pool should have, as one scheduler measures it. It is missing until it was measured for half a minute.",
    ),
    gauge(
        "pathbound_autoscale_needed_slots",
        &["pool"],
        "Slots of workers that the due work needs, whether rate budgets can feed them or not.",
    ),
    gauge(
        "pathbound_autoscale_pool_bound",
        &["pool", "bound"],
        "1 for what keeps the number of workers of a pool where it is: `work`, `rate_budgets`, `minimum` or `maximum`.",
    ),
    gauge(
        "pathbound_autoscale_runnable_slots",
        &["pool"],
        "Slots of workers that could run something at once, as tickets and rate budgets allow.",
    ),
    gauge(
        "pathbound_build_info",
        &["version", "commit", "schema"],
        "Always 1. The labels name the build and the schema version it needs.",
    ),
    counter(
        "pathbound_counts_corrected_total",
        &["stream"],
        "Numbers of stored objects that an audit found to differ from their rows, and corrected.",
    ),
    gauge(
        "pathbound_db_pool_connections",
        &["state"],
        "Connections of this process to Postgres, `open` or `idle`.",
    ),
    gauge(
        "pathbound_dead_letters",
        &[],
        "Open dead letters of all tenants.",
    ),
    counter(
        "pathbound_fenced_writes_total",
        &[],
        "Checks of a slice's fence that found another owner. The slice stopped and wrote nothing.",
    ),
    gauge(
        "pathbound_freshness_seconds",
        &[],
        "Lag of the tenant that is furthest behind, of those that are up to date or behind.",
    ),
    counter(
        "pathbound_freshness_tenant_seconds_total",
        &["within"],
        "Time of all tenants within the freshness target (`true`) and beyond it (`false`). Paused tenants, first syncs, and what Intercom refuses are in neither.",
    ),
    gauge(
        "pathbound_intercom_answer_bytes",
        &[],
        "Bytes of Intercom's response bodies that this process holds now.",
    ),
    histogram(
        "pathbound_intercom_request_duration_seconds",
        &["endpoint"],
        "Time of a call to Intercom, from sending it to the last byte of its response.",
    ),
    counter(
        "pathbound_intercom_requests_total",
        &["endpoint", "status"],
        "Calls to Intercom, by status class. `none` is a call without a usable response.",
    ),
    counter(
        "pathbound_intercom_throttled_total",
        &["cause"],
        "429 responses from Intercom, by their likely cause.",
    ),
    counter(
        "pathbound_metrics_upkeeps_total",
        &[],
        "Rounds in which this process folded the samples of its histograms.",
    ),
    counter(
        "pathbound_operator_events_total",
        &["code"],
        "Events that operators should know of. `GET /ops/events` lists them.",
    ),
    counter(
        "pathbound_orphans_recovered_total",
        &[],
        "Tickets whose lease ran out, because their worker died or lost Redis.",
    ),
    counter(
        "pathbound_parked_seconds_total",
        &["class"],
        "Time for which calls without a permit were told to wait for the next rate window.",
    ),
    histogram(
        "pathbound_permit_wait_seconds",
        &["class"],
        "Time that a call waited for its permit in the rate budget.",
    ),
    counter(
        "pathbound_quarantined_total",
        &["stream", "reason"],
        "Objects that were quarantined with their bytes, counted when that is committed. `reason` is why they could not be read.",
    ),
    gauge(
        "pathbound_queue_oldest_ready_age_seconds",
        &["class"],
        "Age of the oldest ticket that is ready and not leased.",
    ),
    gauge(
        "pathbound_queue_tickets",
        &["class", "state"],
        "Tickets in the queue.",
    ),
    counter(
        "pathbound_rate_limit_scope_contradictions_total",
        &["scope"],
        "Windows whose headers contradict the option rate_limit_scope.",
    ),
    histogram(
        "pathbound_rate_window_used_ratio",
        &[],
        "Share of a workspace's rate limit that was used when its window ended.",
    ),
    counter(
        "pathbound_records_written_total",
        &["stream", "op"],
        "Records written to Postgres.",
    ),
    histogram(
        "pathbound_redis_op_duration_seconds",
        &["op"],
        "Time of one operation in Redis.",
    ),
    counter(
        "pathbound_retention_removed_total",
        &["kind"],
        "Rows that were removed because they ended longer ago than they are kept.",
    ),
    gauge(
        "pathbound_retention_round_age_seconds",
        &[],
        "Time since this scheduler's janitor last completed a round of removals. Until then, since its start.",
    ),
    gauge(
        "pathbound_scheduler_tick_age_seconds",
        &[],
        "Time since the scheduler's last successful tick.",
    ),
    gauge(
        "pathbound_search_delay_seconds",
        &[],
        "Age of the change that this worker has indexed last, for search.",
    ),
    counter(
        "pathbound_search_indexed_total",
        &[],
        "Changes that were indexed for search.",
    ),
    histogram(
        "pathbound_slice_duration_seconds",
        &["stream"],
        "Time of one slice of work.",
    ),
    histogram(
        "pathbound_slice_wait_seconds",
        &["class"],
        "Time from a ticket's due time to the start of its slice.",
    ),
    counter(
        "pathbound_slices_finished_total",
        &["stream", "outcome"],
        "Slices that ended, by outcome.",
    ),
    gauge(
        "pathbound_tenants",
        &["state"],
        "Tenants by the first of these that fits: `unconnected`, `reauth_required`, `error`, `disconnected`, `paused`, `blocked`, `first_sync`, `behind`, `up_to_date`.",
    ),
    gauge(
        "pathbound_thread_backlog",
        &[],
        "Threads of all tenants that are to be fetched.",
    ),
    counter(
        "pathbound_tickets_refused_total",
        &["reason"],
        "Tickets that a worker could not read and put aside.",
    ),
    counter(
        "pathbound_trace_spans_total",
        &["outcome"],
        "Spans of traces that were `sent`, that were dropped because the queue was full (`queue_full`), and that the collector did not take (`not_taken`).",
    ),
];
