//! The leases of a worker process, which its tasks and its slices share.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::mpsc;

use super::{
    Lease, Queue, QueueError, SliceEnd,
    poll::{Capacity, Settlement},
};

/// A lease on its way to its slice.
#[derive(Debug)]
pub(super) struct ClaimedLease {
    pub lease: Lease,
    /// How long the ticket had been ready when it was leased.
    pub waited: Duration,
    pub claimed_at: Instant,
}

/// Leases that were claimed and whose slices have not begun. Shared, because on shutdown the dispatcher takes
/// back those that apalis has not taken.
pub(super) type ReadyReceiver = Arc<Mutex<mpsc::Receiver<ClaimedLease>>>;

/// The leases of this process, and the way to settle them. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct LeaseTable {
    queue: Queue,
    /// By fence, from the claim until Redis has answered that the lease is settled.
    leases: Arc<Mutex<HashMap<i64, Lease>>>,
    settlements: mpsc::UnboundedSender<Settlement>,
}

impl LeaseTable {
    /// An empty table, and the receiver of what its slices settle.
    pub(super) fn new(queue: Queue) -> (Self, mpsc::UnboundedReceiver<Settlement>) {
        let (settlements, receiver) = mpsc::unbounded_channel();
        let table = Self {
            queue,
            leases: Arc::default(),
            settlements,
        };
        (table, receiver)
    }

    pub(super) const fn queue(&self) -> &Queue {
        &self.queue
    }

    pub(super) fn leases(&self) -> MutexGuard<'_, HashMap<i64, Lease>> {
        self.leases.lock()
    }

    /// Ends a lease whose slice has held a slot for so long. The dispatcher tells Redis with its next poll.
    pub(super) fn settle(&self, lease: Lease, end: SliceEnd, held: Duration) {
        let settlement = Settlement::of_slice(lease, end, held);
        if let Err(mpsc::error::SendError(settlement)) = self.settlements.send(settlement) {
            // The dispatcher has ended, so nothing else would send this settlement. One try is enough, because
            // another worker reaps the lease when it expires.
            let queue = self.queue.clone();
            tokio::spawn(async move {
                if let Err(error) = queue.poll(&[settlement], Capacity::default()).await {
                    tracing::warn!(%error, "could not settle a lease, leaving it to expire");
                }
            });
        }
    }

    /// Renews the leases of this moment. Returns the tickets whose leases this process has lost.
    pub(super) async fn renew(&self) -> Result<Vec<String>, QueueError> {
        // Listed anew for each try, because a slice may end between two tries.
        let leases: Vec<Lease> = self.leases().values().copied().collect();
        if leases.is_empty() {
            return Ok(Vec::new());
        }
        self.queue.renew(&leases).await
    }
}
