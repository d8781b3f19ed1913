//! The listener: waits for a wake-up while the worker has free slots.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::{Notify, watch};

use super::{
    Queue,
    poll::{POLL_INTERVAL, REDIS_BACKOFF},
};
use crate::domain::Class;

/// How long one wait for a wake-up lasts.
const LISTEN: Duration = Duration::from_secs(5);
/// How much later the answer to a wait may come before its connection counts as dead.
const LISTEN_GRACE: Duration = Duration::from_secs(3);

/// Which classes a worker has free slots for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WakeInterest {
    None,
    Fresh,
    Backfill,
    All,
}

impl WakeInterest {
    const fn classes(self) -> &'static [Class] {
        match self {
            Self::None => &[],
            Self::Fresh => &[Class::Fresh],
            Self::Backfill => &[Class::Backfill],
            Self::All => &[Class::Fresh, Class::Backfill],
        }
    }
}

/// Wake-ups that came and that no poll has used yet.
#[derive(Debug, Default)]
pub(super) struct PendingWakeups {
    fresh: AtomicBool,
    backfill: AtomicBool,
    pub notify: Notify,
}

impl PendingWakeups {
    pub(super) fn is_any(&self) -> bool {
        self.fresh.load(Ordering::Acquire) || self.backfill.load(Ordering::Acquire)
    }

    /// Takes both: whether a wake-up for fresh work is pending, and one for backfill.
    pub(super) fn take(&self) -> (bool, bool) {
        (
            self.fresh.swap(false, Ordering::AcqRel),
            self.backfill.swap(false, Ordering::AcqRel),
        )
    }

    fn add(&self, class: Class) {
        match class {
            Class::Fresh => self.fresh.store(true, Ordering::Release),
            Class::Backfill => self.backfill.store(true, Ordering::Release),
        }
        self.notify.notify_one();
    }
}

/// Runs until the dispatcher ends. A wait is never cancelled half-way, because Redis may hand its wake-up to a
/// wait that was given up, and then no worker wakes.
pub(super) async fn listen(
    queue: Queue,
    mut interest: watch::Receiver<WakeInterest>,
    wakeups: Arc<PendingWakeups>,
) {
    let mut connection = None;
    loop {
        // A worker without a free slot does not listen, so the wake-up goes to one that has a slot.
        let interested = interest
            .wait_for(|interest| *interest != WakeInterest::None)
            .await
            .map(|interest| interest.classes());
        let Ok(classes) = interested else {
            return;
        };
        if connection.is_none() {
            connection = queue.dedicated_connection().await.ok();
        }
        let Some(dedicated) = &mut connection else {
            // The dispatcher polls every second meanwhile, so a wake-up is late and not lost.
            tokio::time::sleep(POLL_INTERVAL).await;
            continue;
        };
        let wait = queue.wait_for_wakeup(dedicated, classes, LISTEN);
        match tokio::time::timeout(LISTEN + LISTEN_GRACE, wait).await {
            // No wake-up came within the wait. The classes of interest may have changed, so they
            // are read again.
            Ok(Ok(None)) => {}
            Ok(Ok(Some(class))) => wakeups.add(class),
            // The answer may still come, and it would be taken for the answer to the next wait.
            Ok(Err(_)) | Err(_) => {
                connection = None;
                tokio::time::sleep(REDIS_BACKOFF.delay(1)).await;
            }
        }
    }
}
