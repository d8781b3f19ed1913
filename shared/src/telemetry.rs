//! Logs, metrics and traces, set up once per process.

mod first_values;
mod fleet_recorder;
mod logs;
mod metric_table;
mod recorder;
mod repeats;
mod traces;

pub use first_values::{begin, series_of};
pub use fleet_recorder::FleetRecorder;
pub use logs::{BadFilter, start_logs, start_logs_of};
pub use metric_table::{METRICS, Metric, MetricKind};
pub use recorder::metrics;
pub use repeats::{Ended, Line, Repeats, RepeatsOf};
pub use traces::Traces;
