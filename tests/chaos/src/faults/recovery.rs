//! How long after each fault the copies that it touched were well again.
//!
//! A copy is well if its contacts, conversations and reference data were read to the end since, and nothing of it waits
//! for a retry. Another fault may strike meanwhile, so a time here is an upper bound.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use parking_lot::Mutex;
use shared::{
    completeness::{Reason, SyncStatus},
    domain::Stream,
};

use super::{Broken, Kind};
use crate::world::{World, now};

const LOOK_INTERVAL: Duration = Duration::from_millis(700);
/// Said of a copy that waits for a retry. What a copy says of work under way comes and goes all the time.
const UNWELL: [&str; 6] = [
    "retrying",
    "dead_letter",
    "waiting_threads",
    "quarantined",
    "set_aside",
    "audit_differs",
];
/// The minute of a scroll that a dead worker left, which nothing can shorten.
const SCROLL_TAKEN: &str = "scroll_taken";

/// Recoveries under way, and the longest of each kind.
#[derive(Default)]
pub(crate) struct Recoveries {
    under_way: Mutex<Vec<Recovery>>,
    longest: Mutex<BTreeMap<Kind, f64>>,
}

struct Recovery {
    kind: Kind,
    /// When the fault ended, in Unix seconds.
    ended: f64,
    /// The copies that are not yet known to be well.
    unwell: Vec<usize>,
}

impl Recoveries {
    /// A fault has ended that touched these tenants.
    pub(super) fn began(&self, kind: Kind, tenants: Range<usize>) {
        self.under_way.lock().push(Recovery {
            kind,
            ended: now(),
            unwell: tenants.collect(),
        });
    }

    /// Looks at the copies until it is dropped.
    pub(crate) async fn watch(&self, world: &World) -> ! {
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            for tenant in 0..world.tenants.len() {
                let is_waited_for = |recovery: &Recovery| recovery.unwell.contains(&tenant);
                if !self.under_way.lock().iter().any(is_waited_for) {
                    continue;
                }
                // Postgres may be away. The next look comes soon.
                if let Ok(status) = world.status(&world.tenants[tenant]).await {
                    self.look(tenant, &status);
                }
            }
        }
    }

    fn look(&self, tenant: usize, status: &SyncStatus) {
        let mut longest = self.longest.lock();
        self.under_way.lock().retain_mut(|recovery| {
            if is_well(status, recovery.ended) {
                recovery.unwell.retain(|unwell| *unwell != tenant);
            }
            if recovery.unwell.is_empty() {
                let took = longest.entry(recovery.kind).or_default();
                *took = took.max(now() - recovery.ended);
            }
            !recovery.unwell.is_empty()
        });
    }

    /// Writes down the longest of each kind. What is under way is over if the copies are exact now.
    pub(crate) fn conclude(&self, broken: &mut Broken, is_exact: bool) {
        let mut longest = self.longest.lock();
        let under_way = self.under_way.lock();
        for recovery in under_way.iter() {
            let took = longest.entry(recovery.kind).or_default();
            *took = took.max(now() - recovery.ended);
        }
        for count in &mut broken.counts {
            let never = !is_exact && under_way.iter().any(|recovery| recovery.kind == count.kind);
            count.recovered = longest.get(&count.kind).copied().filter(|_| !never);
        }
    }
}

fn is_well(status: &SyncStatus, since: f64) -> bool {
    let read = |stream: Stream| {
        let mut streams = status.streams.iter().filter(|of| of.stream == stream);
        streams.any(|of| {
            of.last_ok_at
                .is_some_and(|at| at.timestamp_millis() as f64 / 1e3 > since)
        })
    };
    let is_blocked = status
        .streams
        .iter()
        .filter_map(|of| of.blocked.as_ref())
        .any(|blocked| blocked.code != SCROLL_TAKEN);
    [Stream::Contacts, Stream::Conversations, Stream::Reference]
        .into_iter()
        .all(read)
        && !is_blocked
        && waiting(status).next().is_none()
}

/// What a copy says of records and streams that wait for a retry.
pub(crate) fn waiting(status: &SyncStatus) -> impl Iterator<Item = &Reason> {
    status
        .reasons
        .iter()
        .filter(|reason| UNWELL.contains(&reason.code.as_str()))
}
