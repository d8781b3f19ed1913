//! A walk through a list or a search that Intercom returns page by page.
//!
//! Contacts and conversations are both walked this way. Each stream's own walk adds the fields that only this stream
//! needs, and `streams.cursor` stores both as one flat JSON object.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{SliceError, page_size::PageSize, slice::SliceContext};
use crate::{domain::Mode, intercom::Endpoint, store::WalkEnd};

/// How far a walk has come. Written to `streams.cursor`, so a new field needs a default.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PagedWalk {
    pub(super) mode: Mode,
    /// By Postgres' clock. A run that was requested later is not served by this walk.
    pub(super) begun_at: DateTime<Utc>,
    /// By Intercom's clock, at the first page. The watermark follows from it.
    pub(super) started_at: Option<DateTime<Utc>>,
    /// Changes up to here were stored when the walk began. `None` walks everything.
    pub(super) since: Option<DateTime<Utc>>,
    /// Objects on the pages so far, readable or not.
    pub(super) seen: i64,
    pub(super) poisoned: i64,
}

/// Pages of which each names the next.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Chain {
    /// Intercom's cursor of the next page.
    pub(super) after: Option<String>,
    #[serde(default)]
    pub(super) page_size: PageSize,
}

impl Chain {
    /// Whether a page's next cursor leads to the page itself, so that the walk would never end. Only the page's own
    /// cursor is refused, because Intercom may give an old cursor again in another walk.
    pub(super) fn leads_to_itself(&self, next: Option<&str>) -> bool {
        next.is_some() && next == self.after.as_deref()
    }
}

impl PagedWalk {
    /// A walk at its beginning: over the changes since the watermark, or over everything.
    pub(super) fn begin(cx: &SliceContext<'_>) -> Self {
        Self::starting(cx, cx.since())
    }

    /// A walk over the changes since then, or over everything.
    pub(super) fn starting(cx: &SliceContext<'_>, since: Option<DateTime<Utc>>) -> Self {
        Self {
            // A run may ask for more than changes, and then the whole walk is of that mode.
            mode: if since.is_some() {
                Mode::Incremental
            } else {
                cx.state.mode.max(Mode::Full)
            },
            begun_at: cx.state.now,
            started_at: None,
            since,
            seen: 0,
            poisoned: 0,
        }
    }

    /// Whether the walk sees every object, and not only the changed ones.
    pub(super) const fn is_full(&self) -> bool {
        self.since.is_none()
    }

    /// Counts the objects of a page that was answered at `at`.
    pub(super) fn note(&mut self, objects: i64, at: DateTime<Utc>) {
        // The first page's time is the safe one. An object that changes later is on a later page or
        // newer than the watermark.
        self.started_at.get_or_insert(at);
        self.seen += objects;
    }

    /// Intercom's count of all objects. A full walk reads it from its pages. A search for changes counts only the
    /// changes, so `count` is called at its end, if the last full walk saw fewer objects than there are.
    pub(super) async fn total(
        &self,
        cx: &SliceContext<'_>,
        of_page: Option<i64>,
        ended: bool,
        count: &Endpoint<'_>,
    ) -> Result<Option<i64>, SliceError> {
        if self.is_full() {
            Ok(of_page)
        } else if ended && cx.is_short() {
            cx.total(count).await
        } else {
            Ok(None)
        }
    }

    /// Objects that Intercom counts and that are not stored: unseen ones and unreadable ones.
    pub(super) fn missing(&self, total: Option<i64>) -> Option<i64> {
        total.map(|total| (total - self.seen).max(0) + self.poisoned)
    }

    /// The watermark that the walk leaves.
    pub(super) fn watermark(&self, cx: &SliceContext<'_>) -> DateTime<Utc> {
        cx.watermark(self.started_at.unwrap_or(self.begun_at))
    }

    pub(super) fn end(&self, cx: &SliceContext<'_>, missing: Option<i64>) -> WalkEnd {
        WalkEnd {
            mode: self.mode,
            begun_at: self.begun_at,
            watermark: Some(self.watermark(cx)),
            overlap_probe: None,
            full: self.is_full(),
            missing,
            next_in_seconds: SliceContext::every(cx.config().intervals.sync),
        }
    }
}
