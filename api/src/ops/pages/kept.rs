//! The last good content of each page, so that a page is never blank while a server is away.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use uuid::Uuid;

/// Pages that are kept. Operators are few, and each has few pages open.
const PAGES: usize = 64;

/// The pages by session, because their forms carry its token, and by address. Clones share them.
#[derive(Clone, Debug, Default)]
pub(in crate::ops) struct KeptPages(Arc<Mutex<HashMap<(Uuid, String), KeptPage>>>);

#[derive(Debug)]
struct KeptPage {
    content: String,
    read_at: Instant,
}

impl KeptPages {
    pub(super) fn keep(&self, session: Uuid, address: &str, content: &str) {
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (session, address.to_owned());
        if pages.len() >= PAGES && !pages.contains_key(&key) {
            let oldest = pages.iter().min_by_key(|(_, page)| page.read_at);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                pages.remove(&oldest);
            }
        }
        let page = KeptPage {
            content: content.to_owned(),
            read_at: Instant::now(),
        };
        pages.insert(key, page);
    }

    /// The content, and how many seconds ago it was read.
    pub(super) fn find(&self, session: Uuid, address: &str) -> Option<(String, u64)> {
        let pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let page = pages.get(&(session, address.to_owned()))?;
        Some((page.content.clone(), page.read_at.elapsed().as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_pages_are_kept_and_each_for_its_own_session() {
        let (pages, session) = (KeptPages::default(), Uuid::from_u128(1));
        for n in 0..=PAGES {
            pages.keep(session, &n.to_string(), "content");
        }
        assert_eq!(pages.find(session, "0"), None);
        assert_eq!(pages.find(session, "64"), Some(("content".to_owned(), 0)));
        assert_eq!(pages.find(Uuid::from_u128(2), "64"), None);
    }
}
