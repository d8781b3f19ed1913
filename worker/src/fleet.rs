//! Every job of the fleet, in the order in which the data flows.
//!
//! | job             | what a slice is                                  | made due by                          |
//! |-----------------|--------------------------------------------------|--------------------------------------|
//! | `reference`     | admins, teams, tags, segments, attributes        | connecting, `reference_interval`     |
//! | `contacts`      | one page of the list, or of what changed         | connecting, `sync_interval`, resync  |
//! | `companies`     | the whole scroll, or companies asked for by id   | connecting, changed contacts, a walk |
//! | `conversations` | one page of stubs                                | connecting, `sync_interval`, resync  |
//! | `threads`       | `conversations_per_slice` threads, more beside a giant | stubs that show more parts           |
//!
//! A job's name is its stream's name in tables, tickets, spans, metrics and the API.

use std::time::Duration;

use shared::{
    domain::{Stream, Verdict},
    queue::{Fleet, Lease, Queue, Ticket},
    store::SliceKey,
    sync::{self, Context, Next, Outcome},
};

/// What a job may touch: the context of a slice, and the queue to push what the slice made due.
#[derive(Debug)]
pub struct Jobs {
    context: Context,
    queue: Queue,
}

impl Jobs {
    #[must_use]
    pub const fn new(context: Context, queue: Queue) -> Self {
        Self { context, queue }
    }

    /// What a slice's end means for the queue.
    async fn settle(&self, lease: Lease, Outcome { next, made_due }: Outcome) -> Verdict {
        if !made_due.is_empty() {
            let Ticket {
                tenant, connection, ..
            } = lease.ticket;
            self.queue.push_due(tenant, connection, &made_due).await;
        }
        match next {
            Next::Done => Verdict::Done,
            Next::More => Verdict::Requeue,
            Next::Wait(wait) => Verdict::Snooze(wait),
            Next::Stale { fence } => {
                // Either our lease is an old one, and settling it changes nothing; or Redis lost count
                // (restored from a copy, clock set back), and the next lease has to be above what Postgres saw.
                if let Err(error) = self.queue.raise_fence(fence).await {
                    tracing::warn!(%error, "could not raise the fence");
                }
                Verdict::Requeue
            }
        }
    }
}

/// A slice that takes longer hangs.
const TIME_LIMIT: Duration = Duration::from_secs(180);
/// A scroll through all companies cannot be cut into slices: 100 a page, at the pace that the rate limit gives.
const SCROLL_TIME_LIMIT: Duration = Duration::from_secs(2 * 60 * 60);

impl Fleet for Jobs {
    async fn work(&self, lease: Lease) -> Verdict {
        let outcome = sync::work(&self.context, key(lease), lease.crashes).await;
        self.settle(lease, outcome).await
    }

    async fn crashed(&self, lease: Lease, cause: &'static str) -> Verdict {
        let outcome = sync::crashed(&self.context, key(lease), cause).await;
        self.settle(lease, outcome).await
    }

    fn time_limit(&self, lease: Lease) -> Duration {
        if lease.ticket.stream == Stream::Companies {
            SCROLL_TIME_LIMIT
        } else {
            TIME_LIMIT
        }
    }
}

const fn key(lease: Lease) -> SliceKey {
    let Ticket {
        tenant,
        connection,
        stream,
    } = lease.ticket;
    SliceKey {
        tenant,
        connection,
        stream,
        fence: lease.fence,
    }
}
