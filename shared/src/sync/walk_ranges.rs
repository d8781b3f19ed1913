//! The ranges that a walk reads side by side.
//!
//! A walk begins with one range. A range is divided only if the pages that this may cost stay within a fiftieth of the
//! pages that the walk needs, so a small workspace costs what one chain of pages costs. Whenever a range has ended, the
//! one with the most objects left is divided, so the last ranges end together.
//!
//! A walk is divided only after a page has proved that Intercom sorts by `created_at`, which its documents do not say.
//!
//! Ranges never overlap, and together with what has been read they cover all seconds. `created_at` never changes, so no
//! conversation moves from one range into another.

use serde::{Deserialize, Serialize};

use super::walk_range::{PageTimes, Range};
use crate::intercom::PAGE;

/// More ranges would make the saved walk large.
const MAX_RANGES: usize = 48;
/// The walk may leave this share of its pages empty. A fiftieth is allowed, and the estimates below may be a little off.
const SPARE_SHARE: i64 = 60;
/// Objects that a range must have left to be divided. Fewer are read sooner than the halves.
const WORTH_DIVIDING: i64 = 3 * PAGE as i64;

/// What is left of a walk. Written to `streams.cursor`, so a new field needs a default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Ranges {
    /// The ranges that have not ended.
    open: Vec<Range>,
    /// Intercom's count of all objects, by the last page before the walk was divided.
    #[serde(default)]
    pub(super) total: Option<i64>,
    /// Places on the pages that held no new object.
    #[serde(default)]
    empty: i64,
    /// A page has proved the order.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_order_proved: bool,
    /// There were several ranges once, so objects may have been left to others by time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    are_divided: bool,
}

impl Default for Ranges {
    fn default() -> Self {
        Self {
            open: vec![Range::default()],
            total: None,
            empty: 0,
            is_order_proved: false,
            are_divided: false,
        }
    }
}

/// A range's name. No two ranges end at the same second.
pub(super) type RangeEnd = Option<i64>;

impl Ranges {
    pub(super) fn open(&self) -> &[Range] {
        &self.open
    }

    pub(super) const fn have_ended(&self) -> bool {
        self.open.is_empty()
    }

    pub(super) const fn are_divided(&self) -> bool {
        self.are_divided
    }

    /// Whether a page of the range was not sorted.
    pub(super) fn is_unsorted(&self, end: RangeEnd) -> bool {
        self.open
            .iter()
            .any(|range| range.until == end && range.is_unsorted)
    }

    /// The range with this name.
    pub(super) fn at(&mut self, end: RangeEnd) -> Option<&mut Range> {
        self.open.iter_mut().find(|range| range.until == end)
    }

    /// Moves a range behind a page. Returns the number of objects that the page has shown, each counted once.
    pub(super) fn land(&mut self, end: RangeEnd, page: &PageTimes, next: Option<String>) -> i64 {
        let is_whole = self.is_whole();
        let Some(range) = self.at(end) else { return 0 };
        let counted = range.land(page);
        range.chain.after = next;
        let goes_on = range.chain.after.is_some();
        if is_whole {
            self.total = page.total;
        }
        self.is_order_proved |= page.proves_order;
        self.empty += PAGE as i64 - counted;
        if !goes_on {
            self.close(end);
        }
        counted
    }

    /// Goes on with a range behind this second, which is not read.
    pub(super) fn step_over(&mut self, end: RangeEnd, second: i64) {
        match self.at(end) {
            Some(range) if range.from.is_none_or(|from| from < second) => range.step_over(second),
            // It was the oldest second of the range.
            _ => self.close(end),
        }
    }

    /// Divides the largest ranges that are not busy, up to `max_ranges` and for as long as that is worth it. Returns the
    /// number of objects that are read again.
    pub(super) fn divide(&mut self, max_ranges: usize, is_busy: impl Fn(RangeEnd) -> bool) -> i64 {
        let mut again = 0;
        while self.is_order_proved
            && self.open.len() < max_ranges.min(MAX_RANGES)
            && self.can_spare_a_page()
        {
            let largest_left = self.open.iter().map(|range| range.left).max().unwrap_or(0);
            let largest = self
                .open
                .iter_mut()
                // A larger one that is busy now is divided when its page has come.
                .filter(|range| range.left >= WORTH_DIVIDING.max(largest_left * 3 / 4))
                .filter(|range| !is_busy(range.until) && range.is_divisible())
                .max_by_key(|range| range.left);
            let Some((older, twice)) = largest.and_then(Range::divide) else {
                break;
            };
            self.open.push(older);
            self.are_divided = true;
            self.empty += twice;
            again += twice;
        }
        again
    }

    fn close(&mut self, end: RangeEnd) {
        self.open.retain(|range| range.until != end);
    }

    /// Whether one range is still all there is.
    fn is_whole(&self) -> bool {
        matches!(self.open.as_slice(), [range] if range.from.is_none() && range.until.is_none())
    }

    /// Whether one more range keeps the walk within its calls. On its last page, each range leaves half a page empty on
    /// average.
    fn can_spare_a_page(&self) -> bool {
        let half_pages = self.open.len() as i64 + 2;
        let spare = self.total.unwrap_or(0) / SPARE_SHARE;
        self.empty + half_pages * PAGE as i64 / 2 <= spare
    }
}

#[cfg(test)]
mod tests;
