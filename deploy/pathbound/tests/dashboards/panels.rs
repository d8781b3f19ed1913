//! What each dashboard shows.

use super::{Dashboard, Panel};

pub(crate) const DASHBOARDS: &[Dashboard] = &[
    Dashboard {
        file: "fleet.json",
        title: "Pathbound: fleet",
        panels: &[
            Panel {
                title: "Freshness objective",
                about: "Share of the time of tenants within the freshness target. The objective is 99.5 %.",
                unit: "percentunit",
                queries: &[(
                    "sum(rate(pathbound_freshness_tenant_seconds_total{within=\"true\"}[5m])) / sum(rate(pathbound_freshness_tenant_seconds_total[5m]))",
                    "within",
                )],
            },
            Panel {
                title: "Lag of the last tenant",
                about: "Of those that are up to date or behind.",
                unit: "s",
                queries: &[("max(pathbound_freshness_seconds)", "lag")],
            },
            Panel {
                title: "Tenants by state",
                about: "What is behind, stands still for a reason, or syncs for the first time.",
                unit: "short",
                queries: &[("max by (state) (pathbound_tenants)", "{{state}}")],
            },
            Panel {
                title: "Backlog",
                about: "Threads that are to be fetched, and streams that were given up.",
                unit: "short",
                queries: &[
                    ("max(pathbound_thread_backlog)", "threads"),
                    ("max(pathbound_dead_letters)", "dead letters"),
                ],
            },
            Panel {
                title: "Tickets",
                about: "Every worker exports the same numbers, so the maximum counts.",
                unit: "short",
                queries: &[(
                    "max by (class, state) (pathbound_queue_tickets)",
                    "{{class}} {{state}}",
                )],
            },
            Panel {
                title: "Oldest ready ticket",
                about: "How long the first tickets wait for a slot.",
                unit: "s",
                queries: &[(
                    "max by (class) (pathbound_queue_oldest_ready_age_seconds)",
                    "{{class}}",
                )],
            },
            Panel {
                title: "Slices",
                about: "That ended, by outcome.",
                unit: "ops",
                queries: &[(
                    "sum by (outcome) (rate(pathbound_slices_finished_total[5m]))",
                    "{{outcome}}",
                )],
            },
            Panel {
                title: "Time of a slice, p99",
                about: "By stream.",
                unit: "s",
                queries: &[(
                    "histogram_quantile(0.99, sum by (le, stream) (rate(pathbound_slice_duration_seconds_bucket[5m])))",
                    "{{stream}}",
                )],
            },
            Panel {
                title: "Wait for a slot, p99",
                about: "From the due time of a ticket to the start of its slice.",
                unit: "s",
                queries: &[(
                    "histogram_quantile(0.99, sum by (le, class) (rate(pathbound_slice_wait_seconds_bucket[5m])))",
                    "{{class}}",
                )],
            },
            Panel {
                title: "Workers that a pool should have",
                about: "As the scheduler measures it.",
                unit: "short",
                queries: &[(
                    "max by (pool) (pathbound_autoscale_desired_workers)",
                    "{{pool}}",
                )],
            },
            Panel {
                title: "Slots",
                about: "What the due work needs, and what could run at once.",
                unit: "short",
                queries: &[
                    (
                        "max by (pool) (pathbound_autoscale_needed_slots)",
                        "{{pool}} needed",
                    ),
                    (
                        "max by (pool) (pathbound_autoscale_runnable_slots)",
                        "{{pool}} runnable",
                    ),
                ],
            },
            Panel {
                title: "What bounds a pool",
                about: "1 for the reason that counts.",
                unit: "short",
                queries: &[(
                    "max by (pool, bound) (pathbound_autoscale_pool_bound)",
                    "{{pool}} {{bound}}",
                )],
            },
            Panel {
                title: "Records written",
                about: "To Postgres.",
                unit: "ops",
                queries: &[(
                    "sum by (stream, op) (rate(pathbound_records_written_total[5m]))",
                    "{{stream}} {{op}}",
                )],
            },
            Panel {
                title: "Search",
                about: "Changes that were indexed, and the age of the last one.",
                unit: "short",
                queries: &[
                    (
                        "sum(rate(pathbound_search_indexed_total[5m]))",
                        "changes a second",
                    ),
                    ("max(pathbound_search_delay_seconds)", "age in seconds"),
                ],
            },
            Panel {
                title: "Trouble",
                about: "Workers that die, slices that lost their stream, tickets that cannot be read, and objects that cannot be read.",
                unit: "short",
                queries: &[
                    (
                        "sum(increase(pathbound_orphans_recovered_total[5m]))",
                        "orphans",
                    ),
                    ("sum(increase(pathbound_fenced_writes_total[5m]))", "fenced"),
                    (
                        "sum(increase(pathbound_tickets_refused_total[5m]))",
                        "refused tickets",
                    ),
                    (
                        "sum(increase(pathbound_quarantined_total[5m]))",
                        "quarantined",
                    ),
                ],
            },
            Panel {
                title: "Audits and events",
                about: "Audits by what they found, corrected counts, and events for operators.",
                unit: "short",
                queries: &[
                    (
                        "sum by (found) (increase(pathbound_audits_total[1h]))",
                        "{{found}}",
                    ),
                    (
                        "sum(increase(pathbound_counts_corrected_total[1h]))",
                        "corrected counts",
                    ),
                    (
                        "sum by (code) (increase(pathbound_operator_events_total[1h]))",
                        "{{code}}",
                    ),
                ],
            },
        ],
    },
    Dashboard {
        file: "intercom.json",
        title: "Pathbound: Intercom",
        panels: &[
            Panel {
                title: "Calls",
                about: "By the class of the answer. `none` is a call without one.",
                unit: "reqps",
                queries: &[(
                    "sum by (status) (rate(pathbound_intercom_requests_total[5m]))",
                    "{{status}}",
                )],
            },
            Panel {
                title: "Calls by operation",
                about: "The closed list of reads.",
                unit: "reqps",
                queries: &[(
                    "sum by (endpoint) (rate(pathbound_intercom_requests_total[5m]))",
                    "{{endpoint}}",
                )],
            },
            Panel {
                title: "Time of a call, p99",
                about: "From sending it to the last byte.",
                unit: "s",
                queries: &[(
                    "histogram_quantile(0.99, sum by (le, endpoint) (rate(pathbound_intercom_request_duration_seconds_bucket[5m])))",
                    "{{endpoint}}",
                )],
            },
            Panel {
                title: "Refused for the rate limit",
                about: "`own` should be zero.",
                unit: "short",
                queries: &[(
                    "sum by (cause) (increase(pathbound_intercom_throttled_total[5m]))",
                    "{{cause}}",
                )],
            },
            Panel {
                title: "Use of rate windows",
                about: "Share of a workspace's limit that was used when its window ended.",
                unit: "percentunit",
                queries: &[
                    (
                        "histogram_quantile(0.5, sum by (le) (rate(pathbound_rate_window_used_ratio_bucket[5m])))",
                        "median",
                    ),
                    (
                        "histogram_quantile(0.99, sum by (le) (rate(pathbound_rate_window_used_ratio_bucket[5m])))",
                        "p99",
                    ),
                ],
            },
            Panel {
                title: "Wait for a permit, p99",
                about: "Before a call.",
                unit: "s",
                queries: &[(
                    "histogram_quantile(0.99, sum by (le, class) (rate(pathbound_permit_wait_seconds_bucket[5m])))",
                    "{{class}}",
                )],
            },
            Panel {
                title: "Parked",
                about: "Seconds a second for which calls wait for the next window.",
                unit: "short",
                queries: &[(
                    "sum by (class) (rate(pathbound_parked_seconds_total[5m]))",
                    "{{class}}",
                )],
            },
            Panel {
                title: "Contradictions of rate_limit_scope",
                about: "In most windows means that the option is wrong.",
                unit: "short",
                queries: &[(
                    "sum by (scope) (increase(pathbound_rate_limit_scope_contradictions_total[5m]))",
                    "{{scope}}",
                )],
            },
            Panel {
                title: "Bodies in memory",
                about: "Of one process.",
                unit: "bytes",
                queries: &[("max(pathbound_intercom_answer_bytes)", "largest")],
            },
        ],
    },
    Dashboard {
        file: "dependencies.json",
        title: "Pathbound: servers and processes",
        panels: &[
            Panel {
                title: "Redis, p99",
                about: "Time of an operation.",
                unit: "s",
                queries: &[(
                    "histogram_quantile(0.99, sum by (le, op) (rate(pathbound_redis_op_duration_seconds_bucket[5m])))",
                    "{{op}}",
                )],
            },
            Panel {
                title: "Redis, operations",
                about: "",
                unit: "ops",
                queries: &[(
                    "sum by (op) (rate(pathbound_redis_op_duration_seconds_count[5m]))",
                    "{{op}}",
                )],
            },
            Panel {
                title: "Sessions of Postgres",
                about: "Of all processes.",
                unit: "short",
                queries: &[(
                    "sum by (state) (pathbound_db_pool_connections)",
                    "{{state}}",
                )],
            },
            Panel {
                title: "Age of the last tick",
                about: "Of the best scheduler.",
                unit: "s",
                queries: &[("min(pathbound_scheduler_tick_age_seconds)", "tick")],
            },
            Panel {
                title: "Retention",
                about: "Rows that were removed, and the age of the last round.",
                unit: "short",
                queries: &[
                    (
                        "sum by (kind) (increase(pathbound_retention_removed_total[1h]))",
                        "{{kind}}",
                    ),
                    (
                        "min(pathbound_retention_round_age_seconds)",
                        "age in seconds",
                    ),
                ],
            },
            Panel {
                title: "Processes by version",
                about: "A rollout is over when one version is left.",
                unit: "short",
                queries: &[(
                    "count by (version, commit, schema) (pathbound_build_info)",
                    "{{version}} {{commit}} {{schema}}",
                )],
            },
            Panel {
                title: "Spans of traces",
                about: "Nothing is sent without `otlp_endpoint`. A collector that is away or slow costs spans (`not_taken`, `queue_full`) and nothing else.",
                unit: "ops",
                queries: &[(
                    "sum by (outcome) (rate(pathbound_trace_spans_total[5m]))",
                    "{{outcome}}",
                )],
            },
            Panel {
                title: "Upkeep of metrics",
                about: "Rounds of each process, one every two seconds. Fewer mean that a process has no CPU.",
                unit: "ops",
                queries: &[("min(rate(pathbound_metrics_upkeeps_total[5m]))", "slowest")],
            },
        ],
    },
];
