//! How far a walk through the contacts has come.

use chrono::{DateTime, Utc};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, IgnoredAny},
};

use super::{
    contact_route::Route,
    course::Walk,
    overlap_probe::{self, OVERLAP, OverlapProbes},
    paged_walk::{Chain, PagedWalk},
    slice::SliceContext,
};
use crate::{
    domain::records::Contact,
    intercom::{Endpoint, Error, Order, Response, Search, Version, Workspace},
};

/// How far a walk has come.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ContactWalk {
    #[serde(flatten)]
    pub(super) pages: PagedWalk,
    #[serde(flatten)]
    pub(super) chain: Chain,
    /// Where the search begins.
    #[serde(default)]
    pub(super) from: Option<DateTime<Utc>>,
    #[serde(default, rename = "witnesses")]
    pub(super) probes: OverlapProbes,
    /// The way around a contact that makes its page fail.
    #[serde(default, skip_serializing_if = "Route::is_usual")]
    pub(super) route: Route,
    /// A contact among so many next ones makes its page fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) suspects: Option<usize>,
    /// The oldest change that a search from the newest one on has shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reached: Option<DateTime<Utc>>,
    /// True once such a search was not sorted. Nothing may then be concluded from its order.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_unsorted: bool,
    /// Older versions saved a walk here whose pages were all read. Such a walk is not continued but begun anew.
    #[serde(
        default,
        rename = "asking",
        skip_serializing,
        deserialize_with = "nothing"
    )]
    _questions: (),
}

/// What to ask for to get a page. It borrows nothing, so the call can run beside the slice.
pub(super) enum ContactPage {
    Listed {
        after: Option<String>,
        per_page: usize,
        merge_history: bool,
    },
    Found {
        search: Search,
        merge_history: bool,
    },
}

impl ContactPage {
    pub(super) async fn fetch(self, workspace: Workspace) -> Result<Response, Error> {
        let read = match &self {
            Self::Listed {
                after,
                per_page,
                merge_history,
            } => Endpoint::Contacts {
                after: after.as_deref(),
                per_page: *per_page,
                merge_history: *merge_history,
            },
            Self::Found {
                search,
                merge_history,
            } => Endpoint::ContactsSearch {
                search,
                merge_history: *merge_history,
            },
        };
        workspace.read(&read).await
    }
}

fn nothing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    match Option::<IgnoredAny>::deserialize(deserializer)? {
        None => Ok(()),
        Some(_) => Err(D::Error::custom("the walk has ended")),
    }
}

impl Walk for ContactWalk {
    fn over(cx: &SliceContext<'_>, pages: PagedWalk) -> Self {
        Self {
            from: pages.since.map(|since| {
                overlap_probe::search_from(cx.workspace.version(), since, cx.state.overlap_probe)
            }),
            pages,
            chain: Chain::default(),
            probes: OverlapProbes::default(),
            route: Route::default(),
            suspects: None,
            reached: None,
            is_unsorted: false,
            _questions: (),
        }
    }

    fn pages(&self) -> &PagedWalk {
        &self.pages
    }
}

impl ContactWalk {
    /// What to ask for to get the next page.
    pub(super) fn ask(&mut self, version: Version) -> ContactPage {
        let merge_history = version >= Version::V2_16;
        if self.is_listed() {
            return ContactPage::Listed {
                after: self.chain.after.clone(),
                per_page: self.per_page(),
                merge_history,
            };
        }
        if let Some(since) = self.pages.since {
            self.from
                .get_or_insert_with(|| overlap_probe::day_granular_from(since));
        }
        ContactPage::Found {
            search: Search {
                starting_after: self.chain.after.clone(),
                ..self.search()
            },
            merge_history,
        }
    }

    /// Whether the pages are those of the list, which has no order and no bounds.
    pub(super) const fn is_listed(&self) -> bool {
        self.pages.is_full() && self.route.is_usual()
    }

    /// The search from its first page on.
    pub(super) fn search(&self) -> Search {
        let from = self.from.unwrap_or(DateTime::UNIX_EPOCH);
        Search {
            order: self.route.order(),
            ..Search::newest_first(from, None, self.per_page())
        }
    }

    /// After a page that landed, of this many bytes.
    pub(super) fn note_landed(&mut self, bytes: usize) {
        match self.suspects {
            None => self.chain.page_size.landed(bytes),
            // None of the contacts on the page is the one, so it is among the others.
            Some(suspects) => {
                let left = suspects - suspects.div_ceil(2);
                self.suspects = (left > 0).then_some(left);
            }
        }
    }

    fn per_page(&self) -> usize {
        self.suspects
            .map_or(self.chain.page_size.records(), |suspects| {
                suspects.div_ceil(2)
            })
    }

    /// Moves the walk behind a page. Returns whether the walk has seen all it came for.
    pub(super) fn advance(
        &mut self,
        cx: &SliceContext<'_>,
        next: Option<String>,
        contacts: &[Contact],
    ) -> bool {
        let changed = contacts.iter().map(|contact| contact.updated_at);
        self.probes.note(changed, self.pages.watermark(cx));
        if !self.is_listed() {
            self.note_order(contacts);
        }
        let met_stored = self.met_stored(contacts) || self.route.is_passed(contacts);
        self.chain.after = next.filter(|_| !met_stored);
        let day_granular_from = self.pages.since.map(overlap_probe::day_granular_from);
        if self.chain.after.is_some() || met_stored || self.from == day_granular_from {
            return self.chain.after.is_none();
        }
        // The search ended without showing a probe, so it may have counted in days and left changes out.
        tracing::info!("the search showed no overlap probe, so it is repeated by days");
        self.from = day_granular_from;
        false
    }

    /// Notes how far a search from the newest change on has come.
    fn note_order(&mut self, contacts: &[Contact]) {
        if self.route.order() == Order::Ascending {
            return;
        }
        let first = contacts.first().map(|first| first.updated_at);
        let follows = first <= self.reached || self.reached.is_none();
        self.is_unsorted |= !(follows && is_newest_first(contacts));
        self.reached = contacts.last().map(|last| last.updated_at).or(self.reached);
    }

    /// Whether the pages have come to contacts that are stored. An early stop is safe only if the answer is sorted.
    fn met_stored(&self, contacts: &[Contact]) -> bool {
        self.route.order() == Order::Descending
            && contacts.last().is_some_and(|last| self.is_stored(last))
            && is_newest_first(contacts)
    }

    /// Whether the contact is stored as it is, because it changed before the changes that the walk looks for.
    pub(super) fn is_stored(&self, contact: &Contact) -> bool {
        self.pages
            .since
            .is_some_and(|since| contact.updated_at < since - OVERLAP)
    }
}

/// Whether the answer has the order that was asked for.
pub(super) fn is_newest_first(contacts: &[Contact]) -> bool {
    contacts
        .windows(2)
        .all(|pair| pair[0].updated_at >= pair[1].updated_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_under_way_survives_a_deploy() {
        let stored = serde_json::json!({
            "mode": "full", "begun_at": "2026-11-28T12:00:00Z", "started_at": "2026-11-28T12:00:01Z",
            "since": null, "from": null, "after": "cursor", "witnesses": [1_780_000_000], "seen": 300,
            "poisoned": 1,
            "page_size": {"records": 75, "fitted": 2, "patience": 4, "grew": false, "changed": true, "is_final": false},
        });
        let walk: ContactWalk = serde_json::from_value(stored.clone()).expect("a walk");
        assert_eq!(walk.pages.seen, 300);
        assert_eq!(walk.chain.page_size.records(), 75);
        assert_eq!(serde_json::to_value(&walk).expect("json"), stored);
    }

    #[test]
    fn a_walk_whose_pages_were_all_read_is_not_continued() {
        let stored = |asking: serde_json::Value| {
            serde_json::json!({
                "mode": "full", "begun_at": "2026-11-28T12:00:00Z", "started_at": null, "since": null,
                "after": null, "seen": 0, "poisoned": 0, "asking": asking,
            })
        };
        let ended = stored(serde_json::json!({"missing": null}));
        assert!(serde_json::from_value::<ContactWalk>(ended).is_err());
        let begun = stored(serde_json::Value::Null);
        assert!(serde_json::from_value::<ContactWalk>(begun).is_ok());
    }

    #[test]
    fn a_walk_from_before_the_page_size_was_kept_decodes() {
        let stored = serde_json::json!({
            "mode": "incremental", "begun_at": "2026-11-28T12:00:00Z", "started_at": null,
            "since": "2026-11-27T12:00:00Z", "after": null, "seen": 0, "poisoned": 0,
        });
        let walk: ContactWalk = serde_json::from_value(stored).expect("a walk");
        assert_eq!(
            walk.chain.page_size,
            super::super::page_size::PageSize::default()
        );
        assert!(walk.route.is_usual());
    }
}
