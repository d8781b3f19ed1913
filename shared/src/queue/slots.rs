//! The slots of a worker process.

use crate::domain::WorkerPool;

/// How many slices a worker process runs at once, and of which classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots {
    /// At least 1.
    pub(super) count: usize,
    pub(super) pool: WorkerPool,
}

impl Slots {
    /// A worker without a slot would never end its first poll, so it has one.
    #[must_use]
    pub const fn new(count: usize, pool: WorkerPool) -> Self {
        let count = if count == 0 { 1 } else { count };
        Self { count, pool }
    }

    /// The slots that fresh tickets may take.
    pub(super) const fn fresh(self) -> usize {
        match self.pool {
            WorkerPool::All | WorkerPool::Fresh => self.count,
            WorkerPool::Backfill => 0,
        }
    }

    /// The slots that backfill may take. In a worker of both classes a fifth of the slots is closed to it, so that fresh
    /// work always finds a slot.
    pub(super) const fn backfill(self) -> usize {
        match self.pool {
            WorkerPool::All if self.count == 1 => 1,
            WorkerPool::All => self.count * 4 / 5,
            WorkerPool::Fresh => 0,
            WorkerPool::Backfill => self.count,
        }
    }
}

impl From<usize> for Slots {
    /// Slots of both classes.
    fn from(count: usize) -> Self {
        Self::new(count, WorkerPool::All)
    }
}
