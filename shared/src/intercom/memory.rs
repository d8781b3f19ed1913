//! The memory budget for response bodies: a process holds a bounded number of their bytes at once.
//!
//! Small bodies share one part of the budget and never wait for it. A body over 2 MB, or one that
//! comes when the shared part is full, waits for one of a few large slots. A large slot fits the
//! largest response there may be, so its holder never needs more memory. It also waits for no other
//! body, because it gives its slot back before it does. Waiters therefore always wait for a holder that
//! can finish, which rules out deadlock.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A decoded response larger than this is cut off. A page of 150 usual objects stays far below.
pub const MAX_RESPONSE_BYTES: usize = 32 << 20;
/// The shared part is given out in units of this many bytes. Most responses take one or two.
const UNIT_BYTES: usize = 16 << 10;
/// A larger body needs a large slot. A full page of usual records stays below.
const LARGE_BODY_BYTES: usize = 2 << 20;
/// The longest wait for a large slot. A slice has a time limit, and a server closes a connection
/// whose response is not read.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// The response memory of one process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ResponseMemory {
    shared: Arc<Semaphore>,
    large: Arc<Semaphore>,
    max_wait: Duration,
    buffered: Arc<AtomicUsize>,
    peak: Arc<AtomicUsize>,
}

/// The part of the budget that one body takes, until it is dropped.
#[derive(Debug)]
pub struct MemoryPermit {
    memory: ResponseMemory,
    bytes: usize,
    shared: Option<OwnedSemaphorePermit>,
    large: Option<OwnedSemaphorePermit>,
}

/// No large slot became free within [`MAX_WAIT`].
#[derive(Debug)]
pub(super) struct OutOfMemory;

impl ResponseMemory {
    /// A budget of so many bytes. Half of it is for large bodies, and at least one large slot.
    pub(super) fn new(bytes: usize) -> Self {
        // At least one, or a large body could never be read.
        let large = (bytes / 2 / MAX_RESPONSE_BYTES).max(1);
        Self {
            shared: Arc::new(Semaphore::new(
                bytes.saturating_sub(large * MAX_RESPONSE_BYTES) / UNIT_BYTES,
            )),
            large: Arc::new(Semaphore::new(large)),
            max_wait: MAX_WAIT,
            buffered: Arc::default(),
            peak: Arc::default(),
        }
    }

    /// The highest number of bytes of bodies that were held at once.
    #[must_use]
    pub fn peak_bytes(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    /// The number of bytes of bodies that are held now.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.buffered.load(Ordering::Relaxed)
    }

    /// A permit for one body, with no bytes yet.
    pub(super) fn permit(&self) -> MemoryPermit {
        MemoryPermit {
            memory: self.clone(),
            bytes: 0,
            shared: None,
            large: None,
        }
    }
}

impl MemoryPermit {
    /// Whether the permit takes a large slot. Its body should be released soon, because others wait.
    #[must_use]
    pub const fn is_large(&self) -> bool {
        self.large.is_some()
    }

    /// Reserves so many further bytes, up to the largest response in all.
    ///
    /// # Errors
    /// When the body needs a large slot and none became free in time.
    pub(super) async fn grow(&mut self, bytes: usize) -> Result<(), OutOfMemory> {
        let total = self.bytes + bytes;
        if self.large.is_none() && !self.reserve_shared(total) {
            let slot = self.memory.large.clone().acquire_owned();
            let slot = tokio::time::timeout(self.memory.max_wait, slot)
                .await
                .map_err(|_| OutOfMemory)?;
            self.large = Some(slot.map_err(|_| OutOfMemory)?);
            // The slot fits the whole body. The shared units go back only now, because the bytes
            // that are already buffered must stay accounted for while this body waits.
            self.shared = None;
        }
        self.bytes = total;
        metrics::gauge!("pathbound_intercom_answer_bytes").increment(bytes as f64);
        let buffered = self.memory.buffered.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.memory.peak.fetch_max(buffered, Ordering::Relaxed);
        Ok(())
    }

    /// Gives a large slot back before its holder waits for another body. The bytes move into the shared part of the
    /// budget. If that is full they stay without a place, and are only counted.
    pub fn release_slot(&mut self) {
        if self.large.is_some() {
            self.take_units(self.bytes);
            self.large = None;
        }
    }

    /// Records that the body was dropped. The permit keeps its slot.
    pub(super) fn clear(&mut self) {
        metrics::gauge!("pathbound_intercom_answer_bytes").decrement(self.bytes as f64);
        self.memory
            .buffered
            .fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = 0;
    }

    fn reserve_shared(&mut self, total: usize) -> bool {
        total <= LARGE_BODY_BYTES && self.take_units(total)
    }

    /// Takes units of the shared part until there are enough for so many bytes.
    fn take_units(&mut self, total: usize) -> bool {
        let reserved = self
            .shared
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        let more = total.div_ceil(UNIT_BYTES).saturating_sub(reserved);
        let Ok(more) = u32::try_from(more) else {
            return false;
        };
        let Ok(more) = self.memory.shared.clone().try_acquire_many_owned(more) else {
            return false;
        };
        match &mut self.shared {
            // One permit per body, so that dropping it returns all its units at once.
            Some(shared) => shared.merge(more),
            None => self.shared = Some(more),
        }
        true
    }
}

impl Drop for MemoryPermit {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEGABYTE: usize = 1 << 20;

    /// A body that arrives in chunks. All other bodies make progress between two chunks.
    async fn body(memory: ResponseMemory, bytes: usize) {
        let mut permit = memory.permit();
        for _ in 0..bytes / (MEGABYTE / 4) {
            permit.grow(MEGABYTE / 4).await.unwrap();
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn many_large_bodies_stay_within_the_budget_and_all_finish() {
        for (megabytes, large_bodies) in [(64, 8), (64, 60), (128, 60), (256, 60)] {
            let memory = ResponseMemory::new(megabytes * MEGABYTE);
            let bodies = (0..large_bodies).map(|n| {
                body(
                    memory.clone(),
                    if n % 3 == 0 { MEGABYTE } else { 20 * MEGABYTE },
                )
            });
            futures::future::join_all(bodies).await;
            let peak = memory.peak_bytes();
            assert!(peak <= megabytes * MEGABYTE, "{peak} of {megabytes} MB");
            assert!(peak >= 20 * MEGABYTE, "a large body was held");
            assert_eq!(memory.buffered.load(Ordering::Relaxed), 0);
            assert_eq!(memory.large.available_permits(), megabytes / 64);
            assert_eq!(
                memory.shared.available_permits(),
                megabytes * MEGABYTE / 2 / UNIT_BYTES
            );
        }
    }

    #[tokio::test]
    async fn small_bodies_do_not_wait_for_large_ones() {
        let memory = ResponseMemory::new(64 * MEGABYTE);
        let mut large = memory.permit();
        large.grow(30 * MEGABYTE).await.unwrap();
        let others: Vec<_> = (0..8)
            .map(|_| tokio::spawn(body(memory.clone(), 20 * MEGABYTE)))
            .collect();
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        assert!(others.iter().all(|other| !other.is_finished()), "they wait");
        for _ in 0..200 {
            body(memory.clone(), MEGABYTE / 2).await;
        }
        drop(large);
        futures::future::join_all(others).await;
    }

    #[tokio::test]
    async fn a_body_that_waits_for_another_gives_its_slot_back() {
        let memory = ResponseMemory::new(64 * MEGABYTE);
        let units = memory.shared.available_permits();
        let mut page = memory.permit();
        page.grow(20 * MEGABYTE).await.unwrap();
        page.release_slot();
        assert!(!page.is_large());
        assert_eq!(
            (units - memory.shared.available_permits()) * UNIT_BYTES,
            20 * MEGABYTE
        );
        // The shared part has no memory for the second one.
        let mut other = memory.permit();
        other.grow(30 * MEGABYTE).await.unwrap();
        other.release_slot();
        let mut third = memory.permit();
        third.grow(30 * MEGABYTE).await.unwrap();
        assert_eq!(memory.held_bytes(), 80 * MEGABYTE);
        drop((page, other, third));
        assert_eq!(memory.held_bytes(), 0);
        assert_eq!(memory.shared.available_permits(), units);
        assert_eq!(memory.large.available_permits(), 1);
    }

    #[tokio::test]
    async fn a_wait_for_a_large_slot_ends() {
        let memory = ResponseMemory {
            max_wait: Duration::from_millis(10),
            ..ResponseMemory::new(64 * MEGABYTE)
        };
        let mut large = memory.permit();
        large.grow(30 * MEGABYTE).await.unwrap();
        let mut other = memory.permit();
        assert!(other.grow(3 * MEGABYTE).await.is_err());
        drop(large);
        assert!(other.grow(3 * MEGABYTE).await.is_ok());
    }
}
