//! Room for answers' bodies: what a process holds of them at once is bounded, however many giants are sent to it.
//!
//! Small bodies share one part of the room and never wait for it. A body that is large, or comes when that part is
//! full, waits for one of few places that have room for the largest answer there may be. Whoever has such a place
//! needs nothing more, so those that wait, with some bytes each, wait for somebody who goes on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::LARGEST_ANSWER;

/// What the shared part is given out by: most answers take one or two.
const UNIT: usize = 16 << 10;
/// A body that is larger needs a place of its own: a full page of usual records is not.
const LARGE: usize = 2 << 20;
/// Whoever waits longer gives up: a slice has an end, and so has the patience of a server whose answer is not read.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The room of a process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Room {
    shared: Arc<Semaphore>,
    large: Arc<Semaphore>,
    patience: Duration,
    held: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

/// What one body takes of it, until dropped.
#[derive(Debug)]
pub struct Place {
    room: Room,
    bytes: usize,
    shared: Option<OwnedSemaphorePermit>,
    large: Option<OwnedSemaphorePermit>,
}

/// Others had all the room, for too long.
#[derive(Debug)]
pub(super) struct NoRoom;

impl Room {
    /// Half of it for large bodies, and for one of them at least.
    pub(super) fn new(bytes: usize) -> Self {
        let large = (bytes / 2 / LARGEST_ANSWER).max(1);
        Self {
            shared: Arc::new(Semaphore::new(
                bytes.saturating_sub(large * LARGEST_ANSWER) / UNIT,
            )),
            large: Arc::new(Semaphore::new(large)),
            patience: LONGEST_WAIT,
            held: Arc::default(),
            most: Arc::default(),
        }
    }

    /// The most bytes of bodies that were ever held at once.
    #[must_use]
    pub fn most_held(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    pub(super) fn place(&self) -> Place {
        Place {
            room: self.clone(),
            bytes: 0,
            shared: None,
            large: None,
        }
    }
}

impl Place {
    /// Whether it keeps others from having one: what is in it should soon be elsewhere.
    #[must_use]
    pub const fn is_large(&self) -> bool {
        self.large.is_some()
    }

    /// Makes room for so many bytes more, no more than the largest answer in all.
    pub(super) async fn grow(&mut self, bytes: usize) -> Result<(), NoRoom> {
        let wanted = self.bytes + bytes;
        if self.large.is_none() && !self.takes_shared(wanted) {
            let place = self.room.large.clone().acquire_owned();
            let place = tokio::time::timeout(self.room.patience, place)
                .await
                .map_err(|_| NoRoom)?;
            self.large = Some(place.map_err(|_| NoRoom)?);
            self.shared = None;
        }
        self.bytes = wanted;
        metrics::gauge!("pathbound_intercom_answer_bytes").increment(bytes as f64);
        let held = self.room.held.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.room.most.fetch_max(held, Ordering::Relaxed);
        Ok(())
    }

    /// What is held was let go; the place stays.
    pub(super) fn empty(&mut self) {
        metrics::gauge!("pathbound_intercom_answer_bytes").decrement(self.bytes as f64);
        self.room.held.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = 0;
    }

    fn takes_shared(&mut self, wanted: usize) -> bool {
        let has = self
            .shared
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        let more = wanted.div_ceil(UNIT).saturating_sub(has);
        if wanted > LARGE || more > u32::MAX as usize {
            return false;
        }
        let Ok(more) = self.room.shared.clone().try_acquire_many_owned(more as u32) else {
            return false;
        };
        match &mut self.shared {
            Some(shared) => shared.merge(more),
            None => self.shared = Some(more),
        }
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.empty();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEGABYTE: usize = 1 << 20;

    /// A body that comes in pieces, between which all others get on.
    async fn body(room: Room, bytes: usize) {
        let mut place = room.place();
        for _ in 0..bytes / (MEGABYTE / 4) {
            place.grow(MEGABYTE / 4).await.unwrap();
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn however_many_giants_come_at_once_they_are_held_in_the_room_and_all_come_through() {
        for (megabytes, giants) in [(64, 8), (64, 60), (128, 60), (256, 60)] {
            let room = Room::new(megabytes * MEGABYTE);
            let bodies = (0..giants).map(|n| {
                body(
                    room.clone(),
                    if n % 3 == 0 { MEGABYTE } else { 20 * MEGABYTE },
                )
            });
            futures::future::join_all(bodies).await;
            let most = room.most_held();
            assert!(most <= megabytes * MEGABYTE, "{most} of {megabytes} MB");
            assert!(most >= 20 * MEGABYTE, "a giant was held");
            assert_eq!(room.held.load(Ordering::Relaxed), 0);
            assert_eq!(room.large.available_permits(), megabytes / 64);
            assert_eq!(
                room.shared.available_permits(),
                megabytes * MEGABYTE / 2 / UNIT
            );
        }
    }

    #[tokio::test]
    async fn small_bodies_do_not_wait_for_giants() {
        let room = Room::new(64 * MEGABYTE);
        let mut giant = room.place();
        giant.grow(30 * MEGABYTE).await.unwrap();
        let others: Vec<_> = (0..8)
            .map(|_| tokio::spawn(body(room.clone(), 20 * MEGABYTE)))
            .collect();
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        assert!(others.iter().all(|other| !other.is_finished()), "they wait");
        for _ in 0..200 {
            body(room.clone(), MEGABYTE / 2).await;
        }
        drop(giant);
        futures::future::join_all(others).await;
    }

    #[tokio::test]
    async fn nobody_waits_for_ever() {
        let room = Room {
            patience: Duration::from_millis(10),
            ..Room::new(64 * MEGABYTE)
        };
        let mut giant = room.place();
        giant.grow(30 * MEGABYTE).await.unwrap();
        let mut other = room.place();
        assert!(other.grow(3 * MEGABYTE).await.is_err());
        drop(giant);
        assert!(other.grow(3 * MEGABYTE).await.is_ok());
    }
}
