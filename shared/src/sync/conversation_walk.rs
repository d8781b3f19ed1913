//! How far a walk through the conversations has come.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{
    bisect::Bisect, course::Walk, overlap_probe::OVERLAP, paged_walk::PagedWalk,
    slice::SliceContext,
};
use crate::{
    domain::records::Conversation,
    intercom::{Order, Search},
};

/// How far a walk has come. Search is exact to the second here.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ConversationWalk {
    #[serde(flatten)]
    pub(super) pages: PagedWalk,
    /// Set when the walk was resumed by time: only older conversations are searched.
    pub(super) before: Option<DateTime<Utc>>,
    /// The oldest `updated_at` so far, while the pages were sorted.
    pub(super) reached: Option<DateTime<Utc>>,
    /// False once an answer was not sorted. Nothing may then be concluded from the order.
    pub(super) sorted: bool,
    /// The search for a record that makes its page fail.
    #[serde(default)]
    pub(super) bisect: Option<Bisect>,
}

impl Walk for ConversationWalk {
    fn over(_cx: &SliceContext<'_>, pages: PagedWalk) -> Self {
        Self {
            pages,
            before: None,
            reached: None,
            sorted: true,
            bisect: None,
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

    /// The search for the next page.
    pub(super) fn search(&self) -> Search {
        Search {
            after: self.after_time(),
            before: self.before,
            order: Order::Descending,
            starting_after: self.pages.after.clone(),
            per_page: self
                .bisect
                .as_ref()
                .map_or(self.pages.page_size.records(), Bisect::per_page),
        }
    }

    /// Notes the order of a page's readable conversations.
    pub(super) fn note_order(&mut self, stubs: &[Conversation]) {
        for stub in stubs {
            self.sorted &= self
                .reached
                .is_none_or(|reached| stub.updated_at <= reached);
            self.reached = Some(stub.updated_at);
        }
    }

    /// Drops Intercom's cursor and continues by time. Everything newer than the last second reached is stored, and
    /// that second is read again as a whole. False when this leads nowhere, because the pages were not sorted or the
    /// walk has been at this second before.
    pub(super) fn resume_by_time(&mut self) -> bool {
        let before = self
            .reached
            .filter(|_| self.sorted)
            .map(|reached| reached + TimeDelta::seconds(1));
        if before.is_none() || before == self.before {
            return false;
        }
        self.before = before;
        self.pages.after = None;
        true
    }

    /// Objects that Intercom counts and that are not stored. A walk that was resumed by time saw some objects twice,
    /// so only its unreadable ones are known.
    pub(super) fn missing(&self, total: Option<i64>) -> Option<i64> {
        let poisoned = self.pages.poisoned;
        self.pages
            .missing(total.filter(|_| self.before.is_none()))
            .or((poisoned > 0).then_some(poisoned))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::course::Course;

    #[test]
    fn a_walk_under_way_survives_a_deploy() {
        let stored = serde_json::json!({
            "mode": "full", "begun_at": "2026-11-28T12:00:00Z", "started_at": "2026-11-28T12:00:01Z",
            "since": null, "after": "cursor", "before": "2026-11-28T11:00:00Z",
            "reached": "2026-11-28T10:00:00Z", "sorted": true, "seen": 300, "poisoned": 1,
            "bisect": {"Below": {"failing": 1_780_000_000, "step": 4}},
            "page_size": {"records": 75, "fitted": 2, "patience": 4, "grew": false, "changed": true, "is_final": false},
        });
        let walk: ConversationWalk = serde_json::from_value(stored.clone()).expect("a walk");
        assert_eq!(walk.pages.after.as_deref(), Some("cursor"));
        assert_eq!(serde_json::to_value(&walk).expect("json"), stored);
    }

    fn walk(mode: &str, since: Option<&str>) -> serde_json::Value {
        serde_json::json!({
            "mode": mode, "begun_at": "2026-11-28T12:00:00Z", "started_at": "2026-11-28T12:00:01Z", "since": since,
            "after": "cursor", "before": null, "reached": null, "sorted": true, "seen": 300, "poisoned": 0, "bisect": null,
            "page_size": {"records": 150, "fitted": 0, "patience": 1, "grew": false, "changed": false, "is_final": false},
        })
    }

    #[test]
    fn a_walk_without_polls_is_saved_as_it_was_before_there_were_any() {
        let stored = walk("full", None);
        let course: Course<ConversationWalk> =
            serde_json::from_value(stored.clone()).expect("a course");
        assert!(course.shows_all() && !course.is_polling());
        assert_eq!(serde_json::to_value(&course).expect("json"), stored);
    }

    #[test]
    fn a_course_stands_for_the_poll_under_way() {
        let mut stored = walk("full", None);
        stored["poll"] = walk("incremental", Some("2026-11-28T11:00:00Z"));
        stored["polled_to"] = serde_json::json!("2026-11-28T11:00:00Z");
        let mut course: Course<ConversationWalk> =
            serde_json::from_value(stored.clone()).expect("a course");
        assert!(course.shows_all() && course.is_polling() && !course.pages.is_full());
        course.pages.seen = 7;
        stored["poll"]["seen"] = serde_json::json!(7);
        assert_eq!(serde_json::to_value(&course).expect("json"), stored);
    }
}
