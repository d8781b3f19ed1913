//! The fewest calls that a first sync can need, counted from the truth.

use std::collections::{HashMap, HashSet};

use intercom_simulator::{Kind, TruthLine};

/// Contacts and conversations per page, companies per scroll page, companies per page of one contact.
const PAGE: u64 = 150;
const SCROLL_PAGE: u64 = 100;
const CONTACT_COMPANIES_PAGE: u64 = 50;
/// A contact shows this many companies itself.
const SHOWN_COMPANIES: u64 = 10;

/// Calls that every first sync needs: the token exchange, `/me`, and one for each of the seven lists of
/// reference data.
const CONNECT: u64 = 1 + 1 + 7;

/// Numbers of objects to fetch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    pub contacts: u64,
    pub companies: u64,
    pub conversations: u64,
    /// Conversations with at least one part. Each needs a call of its own.
    pub threads: u64,
    /// Calls for contacts that belong to more companies than they show.
    pub long_lists: u64,
}

impl Sizes {
    /// Counts the live objects of a workspace.
    #[must_use]
    pub fn of(truth: &[TruthLine]) -> Self {
        let live = |kind: Kind| {
            truth
                .iter()
                .filter(move |line| line.kind == kind && !line.deleted)
        };
        let threads: HashSet<&str> = live(Kind::Part)
            .filter_map(|part| part.parent.as_deref())
            .collect();
        let mut links: HashMap<&str, u64> = HashMap::new();
        for contact in live(Kind::Link).filter_map(|link| link.parent.as_deref()) {
            *links.entry(contact).or_default() += 1;
        }
        Self {
            contacts: live(Kind::Contact).count() as u64,
            companies: live(Kind::Company).count() as u64,
            conversations: live(Kind::Conversation).count() as u64,
            threads: threads.len() as u64,
            long_lists: links
                .values()
                .filter(|n| **n > SHOWN_COMPANIES)
                .map(|n| n.div_ceil(CONTACT_COMPANIES_PAGE))
                .sum(),
        }
    }

    /// The fewest calls. If the plan excludes conversations, one refused call is enough to learn it.
    #[must_use]
    pub fn floor(&self, conversations_in_plan: bool) -> u64 {
        let contacts = pages(self.contacts, PAGE) + self.long_lists;
        // A scroll ends with an empty page.
        let companies = pages(self.companies, SCROLL_PAGE) + 1;
        let conversations = if conversations_in_plan {
            pages(self.conversations, PAGE) + self.threads
        } else {
            1
        };
        CONNECT + contacts + companies + conversations
    }
}

/// A list without entries still takes one call.
fn pages(entries: u64, page: u64) -> u64 {
    entries.div_ceil(page).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_is_a_page_each_a_call_per_thread_and_the_connect() {
        let sizes = Sizes {
            contacts: 301,
            companies: 200,
            conversations: 0,
            threads: 0,
            long_lists: 2,
        };
        assert_eq!(sizes.floor(true), 9 + (3 + 2) + (2 + 1) + 1);
        let sizes = Sizes {
            conversations: 151,
            threads: 120,
            ..Sizes::default()
        };
        assert_eq!(sizes.floor(true), 9 + 1 + 2 + (2 + 120));
        assert_eq!(sizes.floor(false), 9 + 1 + 2 + 1);
    }
}
