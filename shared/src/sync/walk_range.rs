//! One range of a walk through the conversations: which seconds it covers, and how far it has been read.
//!
//! A range is read newest first along Intercom's cursor. If the cursor dies, the range goes on by time and reads the
//! last second that it had reached again in full, because a bulk import gives thousands of conversations one second.
//!
//! Time says what is left only while the pages are sorted by it. A range whose pages are not is read along its cursor to
//! the end.

use serde::{Deserialize, Serialize};

use super::{bisect::Bisect, paged_walk::Chain, record_faults::KEEPS_FAILING};
use crate::intercom::PAGE;

/// The end of 2010, in seconds since 1970. Conversations that claim to be older are few, so no time is spent on
/// dividing the years before.
const INTERCOM_BEGAN: i64 = 1_293_840_000;
/// A range is not divided inside a second of more objects, because the second would be read twice.
const MAX_READ_TWICE: i64 = PAGE as i64 / 10;

/// Seconds since 1970 that a walk reads along one chain of pages, and how far it has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Range {
    /// The first second. `None` has no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<i64>,
    /// The second behind the last one. `None` has no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) until: Option<i64>,
    #[serde(flatten)]
    pub(super) chain: Chain,
    /// The oldest second so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reached: Option<i64>,
    /// Objects of that second that were counted.
    #[serde(default)]
    at_reached: i64,
    /// True once an answer was not sorted. Nothing may then be concluded from the order.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_unsorted: bool,
    /// Objects that are not read yet, by Intercom's count. An estimate before the first page.
    #[serde(default)]
    pub(super) left: i64,
    /// The search for a record that makes its page fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) bisect: Option<Bisect>,
    /// How often its next page failed in a row, while other ranges went on.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) attempts: i32,
    /// Seconds between two objects, as the last page showed them. `None` where the range must not be divided.
    #[serde(skip)]
    pace: Option<f64>,
}

/// The objects of a page, as far as the walk counts them.
pub(super) struct PageTimes {
    /// The seconds of the readable objects, in the order of the page.
    pub(super) times: Vec<i64>,
    /// The number of unreadable objects.
    pub(super) unreadable: usize,
    /// Intercom's count of the objects that the search finds.
    pub(super) total: Option<i64>,
    /// No other order than the walk's would show the objects like this.
    pub(super) proves_order: bool,
}

const fn is_zero(count: &i32) -> bool {
    *count == 0
}

impl Range {
    /// Whether the second is one of the range's.
    pub(super) fn contains(&self, second: i64) -> bool {
        self.from.is_none_or(|from| from <= second) && self.until.is_none_or(|until| second < until)
    }

    /// Whether a search of this range may show the page. Some versions include their bounds.
    pub(super) fn may_show(&self, page: &PageTimes) -> bool {
        page.times.iter().copied().all(|second| {
            self.from.is_none_or(|from| from <= second + 1)
                && self.until.is_none_or(|until| second <= until)
        })
    }

    /// Whether the page goes on newest first.
    pub(super) fn is_newest_first(&self, page: &PageTimes) -> bool {
        let own = page.times.iter().copied();
        let own = own.filter(|second| self.contains(*second));
        self.reached
            .into_iter()
            .chain(own)
            .is_sorted_by(|newer, older| newer >= older)
    }

    /// Whether the next page has failed so often that one of its records may be the cause.
    pub(super) const fn keeps_failing(&self) -> bool {
        self.attempts >= KEEPS_FAILING
    }

    /// Moves the range behind a page. Returns the number of its objects, without those of its neighbours.
    pub(super) fn land(&mut self, page: &PageTimes) -> i64 {
        self.attempts = 0;
        self.is_unsorted |= !self.is_newest_first(page);
        self.left = self.left_behind(page);
        let mut counted = page.unreadable as i64;
        for second in page.times.iter().copied() {
            if !self.contains(second) {
                continue;
            }
            self.at_reached = if self.reached == Some(second) {
                self.at_reached + 1
            } else {
                1
            };
            self.reached = Some(second);
            counted += 1;
        }
        self.pace = self.pace_of(page);
        counted
    }

    /// Objects behind the page. Intercom counts all that a search finds, so its first page tells.
    fn left_behind(&self, page: &PageTimes) -> i64 {
        let before = match page.total {
            Some(total) if self.chain.after.is_none() => total,
            _ => self.left,
        };
        (before - page.times.len() as i64 - page.unreadable as i64).max(0)
    }

    /// Goes on by time instead of along the cursor. Returns how many objects are read again, or `None` if this leads
    /// nowhere, because the answers were not sorted or the range has been at this second before.
    pub(super) fn resume_by_time(&mut self) -> Option<i64> {
        let until = self.reached.filter(|_| !self.is_unsorted)? + 1;
        if self.until == Some(until) {
            return None;
        }
        self.until = Some(until);
        self.chain.after = None;
        self.left += self.at_reached;
        Some(std::mem::take(&mut self.at_reached))
    }

    /// Goes on behind this second, which is not read.
    pub(super) fn step_over(&mut self, second: i64) {
        self.until = Some(second);
        self.chain.after = None;
        self.at_reached = 0;
    }

    /// Whether the unread seconds can be divided in two.
    pub(super) fn is_divisible(&self) -> bool {
        self.cut().is_some()
    }

    /// Divides the unread seconds in two with about as many objects. The second that was reached is read again as a
    /// whole. Returns the older half and the number of objects that are read again.
    pub(super) fn divide(&mut self) -> Option<(Self, i64)> {
        let cut = self.cut()?;
        let again = self.resume_by_time()?;
        let older = Self {
            from: self.from,
            until: Some(cut),
            chain: Chain {
                after: None,
                page_size: self.chain.page_size.clone(),
            },
            left: self.left / 2,
            ..Self::default()
        };
        self.from = Some(cut);
        self.left -= older.left;
        // Known again behind the next page.
        self.pace = None;
        Some((older, again))
    }

    /// The second at which the older half would end. The pace of the last page is believed, but not beyond the middle
    /// of the time, because an old burst may hold what the pace does not show.
    fn cut(&self) -> Option<i64> {
        let (reached, pace) = (self.reached?, self.pace?);
        let span = reached.checked_sub(self.from.unwrap_or(INTERCOM_BEGAN))?;
        let until = reached + 1;
        if span < 2 || self.until == Some(until) {
            return None;
        }
        let half = (self.left as f64 / 2.0 * pace) as i64;
        Some(reached - half.clamp(1, span / 2))
    }

    /// The pace of the older half of a page. A conversation may claim any time, and a few such are mostly its first.
    fn pace_of(&self, page: &PageTimes) -> Option<f64> {
        let is_plain = page.unreadable == 0 && !self.is_unsorted && self.bisect.is_none();
        let middle = *page.times.get(page.times.len() / 2)?;
        let last = *page.times.last()?;
        let between = (page.times.len() - 1 - page.times.len() / 2).max(1);
        (is_plain && self.at_reached <= MAX_READ_TWICE && self.contains(last))
            .then(|| (middle.saturating_sub(last) as f64 / between as f64).max(f64::EPSILON))
    }
}
