//! The listener: waits to be woken, while there is room.

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
    slots::{REDIS_BACKOFF, ROUND},
};
use crate::domain::Class;

/// How long one wait for a wake-up lasts, and how much later its answer may come before its connection counts
/// as dead.
const LISTEN: Duration = Duration::from_secs(5);
const LISTEN_GRACE: Duration = Duration::from_secs(3);

/// What a worker may be woken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Armed {
    No,
    Fresh,
    All,
}

impl Armed {
    const fn classes(self) -> &'static [Class] {
        match self {
            Self::No => &[],
            Self::Fresh => &[Class::Fresh],
            Self::All => &[Class::Fresh, Class::Backfill],
        }
    }
}

/// Wake-ups that came and were not acted upon yet.
#[derive(Debug, Default)]
pub(super) struct Woken {
    fresh: AtomicBool,
    backfill: AtomicBool,
    pub notify: Notify,
}

impl Woken {
    /// Whether a wake-up waits to be acted upon.
    pub(super) fn is_any(&self) -> bool {
        self.fresh.load(Ordering::Acquire) || self.backfill.load(Ordering::Acquire)
    }

    pub(super) fn take(&self) -> (bool, bool) {
        (
            self.fresh.swap(false, Ordering::AcqRel),
            self.backfill.swap(false, Ordering::AcqRel),
        )
    }
}

/// Never cancelled in the middle of a wait: a wake-up that came to a wait given up would wake nobody.
pub(super) async fn listen(queue: Queue, mut armed: watch::Receiver<Armed>, woken: Arc<Woken>) {
    let mut connection = None;
    loop {
        let Ok(classes) = armed
            .wait_for(|armed| *armed != Armed::No)
            .await
            .map(|armed| armed.classes())
        else {
            return;
        };
        if connection.is_none() {
            connection = queue.listener().await.ok();
        }
        let Some(listener) = &mut connection else {
            // The exchanger's own rounds are the wake-ups meanwhile.
            tokio::time::sleep(ROUND).await;
            continue;
        };
        match tokio::time::timeout(
            LISTEN + LISTEN_GRACE,
            queue.woken(listener, classes, LISTEN),
        )
        .await
        {
            Ok(Ok(None)) => {}
            Ok(Ok(Some(class))) => {
                match class {
                    Class::Fresh => woken.fresh.store(true, Ordering::Release),
                    Class::Backfill => woken.backfill.store(true, Ordering::Release),
                }
                woken.notify.notify_one();
            }
            Ok(Err(_)) | Err(_) => {
                connection = None;
                tokio::time::sleep(REDIS_BACKOFF.delay(1)).await;
            }
        }
    }
}
