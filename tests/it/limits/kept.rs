//! A process that meets every workspace of a large fleet keeps the rate budgets of few of them.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::{StreamExt, stream};
use shared::{
    domain::{Class, Region},
    pacing::{FLUSH_DELAY, Pacing},
};

use crate::support::{World, own_redis};

/// Five times what is kept. `make bench` meets a hundred thousand.
const WORKSPACES: usize = 20_000;
/// As many as there are idle budgets that are kept.
const AT_ONCE: usize = 1_024;
/// Those that are in hand, twice the idle ones, and some whose ledger is slow to answer.
const KEPT: usize = 4 * AT_ONCE;

#[tokio::test(flavor = "multi_thread")]
async fn many_workspaces_leave_few_budgets() {
    // Its own, because a budget's keys live for a minute.
    let redis = own_redis(&[]);
    let world = World::with(&[("REDIS_URL", &redis.url())]).await;
    let pacing = Pacing::open(&world.config).unwrap();
    let (permits, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    stream::iter(0..WORKSPACES)
        .for_each_concurrent(AT_ONCE, async |number| {
            let budget = pacing.budget(Region::Us, &format!("workspace{number}"));
            let acquired = budget.acquire(Class::Fresh).await;
            permits.fetch_add(usize::from(acquired.is_ok()), Ordering::Relaxed);
            most.fetch_max(pacing.kept_budgets(), Ordering::Relaxed);
            // A budget is in hand until the ledger knows of its permit. Otherwise a fast machine would have more in hand.
            tokio::time::sleep(2 * FLUSH_DELAY).await;
        })
        .await;
    assert_eq!(permits.into_inner(), WORKSPACES, "a new window has a call");
    let most = most.into_inner();
    assert!(most <= KEPT, "{most} budgets were kept");
}
