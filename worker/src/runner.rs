//! What the end of a slice means for the queue.

use std::time::Duration;

use shared::{
    domain::Verdict,
    queue::{Fleet, Lease, Queue, SliceEnd, Ticket},
    store::SliceKey,
    sync::{self, Context, SliceOutcome},
};

use crate::jobs;

/// The fleet's jobs, as the queue sees them: a lease goes in, a verdict comes out.
#[derive(Debug)]
pub(crate) struct JobRunner {
    context: Context,
    queue: Queue,
}

impl JobRunner {
    #[must_use]
    pub(crate) const fn new(context: Context, queue: Queue) -> Self {
        Self { context, queue }
    }

    /// Pushes the tickets that the slice made due, and returns the verdict on its own.
    async fn settle(&self, lease: Lease, outcome: SliceOutcome) -> Verdict {
        // After the commit that made them due, so that a worker that leases a ticket at once finds
        // its work.
        if !outcome.also_due.is_empty() {
            let Ticket {
                tenant, connection, ..
            } = lease.ticket;
            self.queue
                .push_due(tenant, connection, &outcome.also_due)
                .await;
        }
        // Either this lease is an old one, and its verdict changes nothing. Or Redis lost count (restored from a
        // copy, clock set back), and the next lease needs a fence above the one in Postgres.
        if let Some(fence) = outcome.stale_fence
            && let Err(error) = self.queue.raise_fence(fence).await
        {
            tracing::warn!(%error, "could not raise the fence");
        }
        outcome.verdict
    }
}

impl Fleet for JobRunner {
    async fn work(&self, lease: Lease) -> SliceEnd {
        let outcome = jobs::work(&self.context, key(lease), lease.crashes).await;
        let (failed, calls) = (outcome.is_failure(), outcome.calls);
        SliceEnd {
            verdict: self.settle(lease, outcome).await,
            failed,
            calls,
        }
    }

    async fn crashed(&self, lease: Lease, cause: &'static str) -> Verdict {
        let outcome = sync::crashed(&self.context, key(lease), cause).await;
        self.settle(lease, outcome).await
    }

    fn drain_limit(&self) -> Duration {
        self.context.config.drain_limit
    }

    fn time_limit(&self, lease: Lease) -> Duration {
        jobs::job(lease.ticket.stream).time_limit
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
