//! The walk under way, and the polls that run between its pages.
//!
//! A full walk may take hours. News does not wait for it: once per `sync_interval` the next slices are the pages of a
//! poll, and then the walk goes on. Such a poll begins where the last one ended, and the first one begins before the
//! walk did. When the walk ends, every change up to the end of the last poll is therefore stored.
//!
//! `streams.cursor` holds both, so that a restart loses neither.

use std::{
    ops::{Deref, DerefMut},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    SliceError, SliceOutcome,
    paged_walk::PagedWalk,
    record_faults::{KEEPS_FAILING, stops_all},
    slice::SliceContext,
};
use crate::{
    domain::Verdict,
    intercom::Error,
    store::{StoreError, WalkEnd},
};

/// A walk of one stream.
pub(super) trait Walk: Serialize + DeserializeOwned {
    /// A walk over these pages, at its beginning.
    fn over(cx: &SliceContext<'_>, pages: PagedWalk) -> Self;
    fn pages(&self) -> &PagedWalk;
}

/// A walk, with its polls. It stands for the one of the two whose page is next.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Course<W> {
    #[serde(flatten)]
    walk: W,
    /// The poll under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    poll: Option<W>,
    /// By Postgres' clock: when the last poll ended or was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    polled_at: Option<DateTime<Utc>>,
    /// Pages that the walk reads before the next poll: as many as the polls have read. A poll that takes longer than its
    /// interval would otherwise leave no time for the walk.
    #[serde(default, skip_serializing_if = "is_zero")]
    reserved: u32,
    /// The watermark that the last poll left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    polled_to: Option<DateTime<Utc>>,
}

impl<W> Deref for Course<W> {
    type Target = W;

    fn deref(&self) -> &W {
        self.poll.as_ref().unwrap_or(&self.walk)
    }
}

impl<W> DerefMut for Course<W> {
    fn deref_mut(&mut self) -> &mut W {
        self.poll.as_mut().unwrap_or(&mut self.walk)
    }
}

impl<W: Walk> Course<W> {
    /// The walk that an earlier slice saved, or a new one. If news is due, a poll comes first.
    pub(super) async fn open(cx: &SliceContext<'_>) -> Result<Self, StoreError> {
        let mut course = cx.open_walk(Self::begin).await?;
        if course.poll.is_none()
            && let Some(since) = course.news_since(cx, cx.state.now)
        {
            let pages = PagedWalk::starting(cx, Some(since));
            course.poll = Some(W::over(cx, pages));
        }
        Ok(course)
    }

    fn begin(cx: &SliceContext<'_>) -> Self {
        Self {
            walk: W::over(cx, PagedWalk::begin(cx)),
            poll: None,
            polled_at: None,
            reserved: 0,
            polled_to: None,
        }
    }

    /// Whether a poll is due that has not begun. `worked` is the time since the slice began.
    pub(super) fn is_poll_due(&self, cx: &SliceContext<'_>, worked: Duration) -> bool {
        let now = cx.state.now + TimeDelta::from_std(worked).unwrap_or_default();
        self.poll.is_none() && self.news_since(cx, now).is_some()
    }

    /// The beginning of the poll that is due at `now`, if one is.
    fn news_since(&self, cx: &SliceContext<'_>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let pages = self.walk.pages();
        // A walk over the changes is a poll itself. Before its first page a walk has no time that a poll could follow.
        if !pages.is_full() || pages.started_at.is_none() {
            return None;
        }
        // A walk that fails delays no poll.
        if self.reserved > 0 && cx.state.attempts == 0 {
            return None;
        }
        let interval = TimeDelta::from_std(cx.config().intervals.sync).unwrap_or(TimeDelta::MAX);
        let last = self.polled_at.unwrap_or(pages.begun_at);
        if now - last < interval {
            return None;
        }
        // Older changes come with the walk. A search for them would be a second walk.
        let oldest = pages.watermark(cx) - interval * 2;
        let stored = cx.state.watermark.map_or_else(
            || pages.watermark(cx),
            |watermark| watermark.clamp(oldest, pages.watermark(cx).max(oldest)),
        );
        Some(self.polled_to.unwrap_or(stored))
    }

    /// Whether the next page is a poll's.
    pub(super) const fn is_polling(&self) -> bool {
        self.poll.is_some()
    }

    /// Whether every object is being walked, and not only the changed ones. What a poll shows meanwhile was shown.
    pub(super) fn shows_all(&self) -> bool {
        self.walk.pages().is_full()
    }

    /// Whether the walk is a poll, and nothing of its stream needs more than that.
    pub(super) fn is_plain_poll(&self, cx: &SliceContext<'_>) -> bool {
        let needs_more = cx.state.has_open_run || cx.state.has_absences || cx.state.has_quarantine;
        !self.is_polling() && !self.walk.pages().is_full() && !needs_more
    }

    /// Notes that the page at hand was read.
    pub(super) fn note_page(&mut self) {
        self.reserved = if self.is_polling() {
            self.reserved.saturating_add(1)
        } else {
            self.reserved.saturating_sub(1)
        };
    }

    /// Ends the poll under way, whose changes are stored. The walk goes on.
    pub(super) fn end_poll(&mut self, cx: &SliceContext<'_>) {
        if let Some(poll) = self.poll.take() {
            self.polled_to = Some(poll.pages().watermark(cx));
        }
        self.polled_at = Some(cx.state.now);
    }

    /// Begins the walk whose page is next anew.
    pub(super) fn restart(&mut self, cx: &SliceContext<'_>) {
        let since = self.pages().since;
        let is_polling = self.is_polling();
        let pages = if is_polling {
            PagedWalk::starting(cx, since)
        } else {
            PagedWalk::begin(cx)
        };
        **self = W::over(cx, pages);
    }

    /// The end of the walk. Its watermark is that of the last poll, if that is later.
    pub(super) fn end(&self, cx: &SliceContext<'_>, missing: Option<i64>) -> WalkEnd {
        let end = self.walk.pages().end(cx, missing);
        WalkEnd {
            watermark: end.watermark.max(self.polled_to),
            ..end
        }
    }

    /// What follows from a page. A poll that keeps failing is given up until its next time, because the walk must not
    /// wait for it either.
    pub(super) async fn settle(
        mut self,
        cx: &SliceContext<'_>,
        result: Result<SliceOutcome, SliceError>,
    ) -> Result<SliceOutcome, SliceError> {
        match result {
            Err(error) if self.is_polling() && is_given_up(cx, &error) => {
                let text = format!("the poll: {error}");
                crate::log_failure!(cx.ctx.failures.stream_failed(cx.key, &text), warn, { %error }, "the poll between two pages of a walk failed");
                self.poll = None;
                self.polled_at = Some(cx.state.now);
                cx.save_cursor_only(&self).await?;
                Ok(Verdict::Requeue.into())
            }
            result => result,
        }
    }
}

const fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// Whether a poll's failure ends the poll. Waiting does not, and neither does the loss of the slice's lease.
fn is_given_up(cx: &SliceContext<'_>, error: &SliceError) -> bool {
    match error {
        SliceError::StartOver(_) | SliceError::Broken(_) => true,
        SliceError::Intercom(Error::Unavailable(_)) => cx.state.attempts + 1 >= KEEPS_FAILING,
        SliceError::Intercom(error) => !stops_all(error),
        _ => false,
    }
}
