//! What the slices of one process say of their failures, so that an outage is not a line for each slice.

use crate::{
    domain::{ConnectionId, Stream},
    store::{SliceKey, StoreError},
    telemetry::{Line, Repeats, RepeatsOf},
};

/// The failures of the slices of one process.
#[derive(Debug, Default)]
pub struct SliceFailures {
    /// Those of Postgres. They are the same for all slices, so a line names the slice that failed first.
    postgres: Repeats,
    /// Those of a stream. The line of another stream says something else, even if its text is the same.
    streams: RepeatsOf<(ConnectionId, Stream)>,
}

impl SliceFailures {
    /// Postgres failed. `consequence` is what the line says.
    pub(super) fn postgres_failed(&self, error: &StoreError, consequence: &'static str) {
        let source = std::error::Error::source(error);
        let text = format!("{consequence}: {error}: {source:?}");
        crate::log_failure!(self.postgres.failed_as(text), warn, { %error, ?source }, "{consequence}");
    }

    /// Postgres has answered a slice.
    pub(super) fn postgres_answered(&self) {
        crate::log_end!(self.postgres.ended(), "postgres serves slices again");
    }

    /// A slice of a stream failed for this cause. Returns what its line says, if it is to be logged now.
    pub(super) fn stream_failed(&self, key: SliceKey, cause: &str) -> Option<Line> {
        self.streams.failed_as((key.connection, key.stream), cause)
    }

    /// A slice of a stream did its work.
    pub(super) fn stream_succeeded(&self, key: SliceKey) {
        crate::log_end!(
            self.streams.ended((key.connection, key.stream)),
            "the slices of the stream succeed again"
        );
    }
}
