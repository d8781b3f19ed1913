//! How far a walk through the reference data has come.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{audit::AuditState, slice::SliceContext};
use crate::intercom::wire::ReferenceKind;

/// How far a walk has come. Written to `streams.cursor`, so a new field needs a default.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ReferenceWalk {
    /// By Postgres' clock.
    pub(super) begun_at: DateTime<Utc>,
    /// By Intercom's clock, at the first list that was read.
    pub(super) started_at: Option<DateTime<Utc>>,
    /// Lists that were read, or do not exist in this version.
    pub(super) done: Vec<ReferenceKind>,
    /// Lists that Intercom refused when they were asked for last. They are asked for again.
    pub(super) refused: Vec<ReferenceKind>,
    /// The next page of deleted conversations. `None` when all pages are read.
    pub(super) page: Option<u32>,
    /// Whether Intercom offers the list of deleted conversations.
    pub(super) deletions: bool,
    pub(super) audit: Option<AuditState>,
    /// A part has failed, and all others are done.
    #[serde(default)]
    pub(super) stuck: bool,
    /// The process ends, so this slice has left out what it had not begun.
    #[serde(skip)]
    pub(super) interrupted: bool,
}

impl ReferenceWalk {
    /// Whether the next call is left to another process. A slice makes a dozen calls one after the other, and a process
    /// that ends does not wait for all of them.
    pub(super) fn stops_here(&mut self, cx: &SliceContext<'_>) -> bool {
        self.interrupted |= cx.is_stopping();
        self.interrupted
    }
}
