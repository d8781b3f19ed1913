//! How far a walk through the conversations has come.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{
    bisect::Bisect,
    conversation_page::ConversationPage,
    course::Walk,
    overlap_probe::OVERLAP,
    paged_walk::PagedWalk,
    slice::SliceContext,
    walk_range::{PageTimes, Range},
    walk_ranges::{RangeEnd, Ranges},
};
use crate::{
    domain::records::Conversation,
    intercom::{Created, Search},
};

/// How far a walk has come. Search is exact to the second here.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ConversationWalk {
    #[serde(flatten)]
    pub(super) pages: PagedWalk,
    pub(super) by: WalkedBy,
    pub(super) ranges: Ranges,
    /// True if an object may have been counted twice.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_inexact: bool,
}

/// The time by which a walk searches and sorts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WalkedBy {
    /// A full walk. No conversation moves during it.
    CreatedAt,
    /// A search for changes. Also a full walk, if Intercom does not search by `created_at`.
    UpdatedAt,
}

impl WalkedBy {
    pub(super) const fn field(self) -> &'static str {
        match self {
            Self::CreatedAt => "created_at",
            Self::UpdatedAt => "updated_at",
        }
    }

    const fn of(self, stub: &Conversation) -> i64 {
        match self {
            Self::CreatedAt => stub.created_at.timestamp(),
            Self::UpdatedAt => stub.updated_at.timestamp(),
        }
    }
}

/// An answer is not what a search by `created_at` shows: it has conversations outside its bounds, or its order is another
/// one after the walk was divided by time.
#[derive(Debug)]
pub(super) struct NotByCreation;

impl Walk for ConversationWalk {
    fn over(_cx: &SliceContext<'_>, pages: PagedWalk) -> Self {
        Self {
            by: if pages.is_full() {
                WalkedBy::CreatedAt
            } else {
                WalkedBy::UpdatedAt
            },
            pages,
            ranges: Ranges::default(),
            is_inexact: false,
        }
    }

    fn pages(&self) -> &PagedWalk {
        &self.pages
    }
}

impl ConversationWalk {
    /// Only later changes are searched. `>` is exclusive or inclusive by version, which the overlap covers.
    pub(super) fn after_time(&self) -> DateTime<Utc> {
        self.pages
            .since
            .map_or(DateTime::UNIX_EPOCH, |since| since - OVERLAP)
    }

    /// The search for the next page of a range.
    pub(super) fn search(&self, range: &Range) -> Search {
        let per_page = range
            .bisect
            .as_ref()
            .map_or(range.chain.page_size.records(), Bisect::per_page);
        let after = range.chain.after.clone();
        let search = Search::newest_first(self.after_time(), after, per_page);
        self.bounded(search, range.from, range.until)
    }

    /// The search for one record of a range that is older than this second.
    pub(super) fn probe(&self, range: &Range, before: i64) -> Search {
        let search = Search::newest_first(self.after_time(), None, 1);
        self.bounded(search, range.from, Some(before))
    }

    fn bounded(&self, search: Search, from: Option<i64>, until: Option<i64>) -> Search {
        let time = |second: i64| DateTime::from_timestamp(second, 0);
        let before = until.and_then(time);
        match self.by {
            WalkedBy::UpdatedAt => Search { before, ..search },
            WalkedBy::CreatedAt => Search {
                created: Some(Created {
                    // Both bounds of a search are exclusive.
                    after: from.and_then(|from| time(from - 1)),
                    before,
                }),
                ..search
            },
        }
    }

    /// Divides the ranges that are not busy, if it is worth it.
    pub(super) fn divide(&mut self, max_ranges: usize, is_busy: impl Fn(RangeEnd) -> bool) {
        // What changes moves, so a search for changes has no second range that would show it.
        if self.by == WalkedBy::CreatedAt {
            self.pages.seen -= self.ranges.divide(max_ranges, is_busy);
        }
    }

    /// Moves a range behind its page.
    ///
    /// # Errors
    /// If the answer shows that Intercom does not search or sort by `created_at`.
    pub(super) fn land(
        &mut self,
        end: RangeEnd,
        page: &ConversationPage,
    ) -> Result<(), NotByCreation> {
        let times = self.times(page);
        let is_divided = self.ranges.are_divided();
        let Some(range) = self.ranges.at(end) else {
            return Ok(());
        };
        let is_by_creation =
            range.may_show(&times) && (!is_divided || range.is_newest_first(&times));
        if self.by == WalkedBy::CreatedAt && !is_by_creation {
            return Err(NotByCreation);
        }
        if range.bisect.is_none() {
            // The pages of a bisection are small for another reason than their bytes.
            range.chain.page_size.landed(page.size);
        }
        let counted = self.ranges.land(end, &times, page.next.clone());
        self.pages.note(counted, page.at);
        self.pages.poisoned += times.unreadable as i64;
        Ok(())
    }

    /// What the page says of the times of its conversations.
    fn times(&self, page: &ConversationPage) -> PageTimes {
        let stubs = &page.objects.records;
        PageTimes {
            times: stubs.iter().map(|stub| self.by.of(stub)).collect(),
            unreadable: page.objects.poisons.len(),
            total: page.total,
            // An order by `updated_at` would not show this, and may by chance be one by `created_at` as well.
            proves_order: stubs
                .windows(2)
                .any(|pair| pair[0].updated_at < pair[1].updated_at),
        }
    }

    /// Drops Intercom's cursor of a range, which goes on by time. False when this leads nowhere.
    pub(super) fn resume_by_time(&mut self, end: RangeEnd) -> bool {
        let again = self.ranges.at(end).and_then(Range::resume_by_time);
        // An unreadable object may be in the second that is read again. What changes may have moved there.
        self.is_inexact |= self.by == WalkedBy::UpdatedAt || self.pages.poisoned > 0;
        self.pages.seen -= again.unwrap_or(0);
        again.is_some()
    }

    /// The day covers the difference between Intercom's clock and ours.
    pub(super) fn newest(&self) -> i64 {
        (self.pages.begun_at + TimeDelta::days(1)).timestamp()
    }

    /// Objects that Intercom counts and that are not stored. If some may have been counted twice, only the unreadable
    /// ones are known.
    pub(super) fn missing(&self, total: Option<i64>) -> Option<i64> {
        let poisoned = self.pages.poisoned;
        self.pages
            .missing(total.filter(|_| !self.is_inexact))
            .or((poisoned > 0).then_some(poisoned))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::course::Course;

    fn walk(mode: &str, by: &str, since: Option<&str>) -> serde_json::Value {
        serde_json::json!({
            "mode": mode, "begun_at": "2026-11-28T12:00:00Z", "started_at": "2026-11-28T12:00:01Z", "since": since,
            "seen": 300, "poisoned": 0, "by": by,
            "ranges": {"total": 700, "empty": 0, "open": [{
                "after": "cursor", "at_reached": 1, "reached": 1_780_000_000, "left": 400,
                "page_size": {"records": 75, "fitted": 2, "patience": 4, "grew": false, "changed": true, "is_final": false},
            }]},
        })
    }

    #[test]
    fn a_walk_under_way_survives_a_deploy() {
        let mut stored = walk("full", "created_at", None);
        stored["ranges"]["open"][0]["bisect"] =
            serde_json::json!({"Below": {"failing": 1_780_000_000, "step": 4}});
        let walk: ConversationWalk = serde_json::from_value(stored.clone()).expect("a walk");
        assert_eq!(walk.ranges.open()[0].chain.after.as_deref(), Some("cursor"));
        assert_eq!(serde_json::to_value(&walk).expect("json"), stored);
    }

    #[test]
    fn a_walk_of_a_version_without_ranges_is_not_continued() {
        let stored = serde_json::json!({
            "mode": "full", "begun_at": "2026-11-28T12:00:00Z", "started_at": null, "since": null, "after": "cursor",
            "before": null, "reached": null, "sorted": true, "seen": 300, "poisoned": 0, "bisect": null,
        });
        assert!(serde_json::from_value::<Course<ConversationWalk>>(stored).is_err());
    }

    #[test]
    fn a_course_stands_for_the_poll_under_way() {
        let mut stored = walk("full", "created_at", None);
        stored["poll"] = walk("incremental", "updated_at", Some("2026-11-28T11:00:00Z"));
        stored["polled_to"] = serde_json::json!("2026-11-28T11:00:00Z");
        let mut course: Course<ConversationWalk> =
            serde_json::from_value(stored.clone()).expect("a course");
        assert!(course.shows_all() && course.is_polling() && !course.pages.is_full());
        course.pages.seen = 7;
        stored["poll"]["seen"] = serde_json::json!(7);
        assert_eq!(serde_json::to_value(&course).expect("json"), stored);
    }
}
