//! The last good content of each page, so that a page is never blank while a server is away.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::sync::Notify;
use uuid::Uuid;

/// Pages that are kept. Operators are few, and each has few pages open.
const PAGES: usize = 64;

/// A page by session, because its forms carry the session's token, and by address.
type Key = (Uuid, String);

/// The pages, and which of them are being read. Clones share them.
#[derive(Clone, Debug, Default)]
pub(in crate::ops) struct KeptPages {
    pages: Arc<Mutex<HashMap<Key, KeptPage>>>,
    readings: Arc<Mutex<HashSet<Key>>>,
    ended: Arc<Notify>,
}

/// A page is being read while this lives.
pub(super) struct Reading {
    of: KeptPages,
    key: Key,
}

#[derive(Debug)]
struct KeptPage {
    content: String,
    read_at: Instant,
}

impl KeptPages {
    /// Begins to read a page. `None` if it is being read already, because looks at a slow server would pile up.
    pub(super) fn begin(&self, session: Uuid, address: &str) -> Option<Reading> {
        let key = (session, address.to_owned());
        let is_first = locked(&self.readings).insert(key.clone());
        is_first.then(|| Reading {
            of: self.clone(),
            key,
        })
    }

    /// Waits for the end of the reading that is under way.
    pub(super) async fn read(&self, session: Uuid, address: &str) {
        let key = (session, address.to_owned());
        loop {
            let ended = self.ended.notified();
            if !locked(&self.readings).contains(&key) {
                return;
            }
            ended.await;
        }
    }

    pub(super) fn keep(&self, session: Uuid, address: &str, content: &str) {
        let mut pages = locked(&self.pages);
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
        let pages = locked(&self.pages);
        let page = pages.get(&(session, address.to_owned()))?;
        Some((page.content.clone(), page.read_at.elapsed().as_secs()))
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        locked(&self.of.readings).remove(&self.key);
        self.of.ended.notify_waiters();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
