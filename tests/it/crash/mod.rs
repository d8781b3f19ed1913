//! Killed at any instant, exact afterwards.

mod every_request;
mod redis_moves;

use std::time::Duration;

use intercom_simulator::{Fault, WorkspaceSpec};
use servers::{Options, Servers};
use shared::{
    domain::{Stream, Verdict},
    store::{SliceKey, StreamClaim},
    sync::Context,
};

use crate::support::{World, held, tiny};

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_killed_in_mid_run_and_restarted_empty_loses_nothing() {
    // Its own servers, because the other worlds' Redis must not die with this one's.
    let servers = Servers::start(Options::default()).unwrap();
    let world = World::with(&[("REDIS_URL", &servers.redis_url())]).await;
    let case = world
        .connect(WorkspaceSpec {
            contacts: 450,
            companies: 120,
            conversations: 300,
            limit_per_window: 100_000,
            ..WorkspaceSpec::default()
        })
        .await;
    // Threads after the first ones are not answered before the fault is cleared.
    let fault = case.inject(held().operation("get_conversation").skip(140));
    let _fleet = world.fleet(2);
    case.until("some threads are stored, and most are pending", |status| {
        case.hits(fault) > 0 && status.threads.complete > 100 && status.threads.pending > 30
    })
    .await;
    // Killed, so that no call is answered and nothing is saved.
    servers.redis().kill9().unwrap();
    let stored = case.status().await;
    assert!(!stored.complete);
    // The slices under way end without it.
    case.clear_fault(fault);
    case.until("threads are stored without redis", |status| {
        status.threads.complete > stored.threads.complete
    })
    .await;
    servers.redis().start().unwrap();

    case.until_complete().await;
    case.assert_exact().await;
}

/// Three workers take the stream over, one after the other, and are gone.
async fn kill_three_workers(context: &Context, key: impl Fn(i64) -> SliceKey) {
    for crashes in 0..3 {
        let key = key(1_000 + i64::from(crashes));
        let claim = context.store.claim_stream(key, crashes).await.unwrap();
        assert!(matches!(claim, StreamClaim::Acquired(_)), "{claim:?}");
    }
}

/// Workers that died while they waited for Postgres did not die of the slice.
#[tokio::test(flavor = "multi_thread")]
async fn a_slice_that_never_began_killed_no_worker() {
    let world = World::new().await;
    let case = world.connect(tiny()).await;
    let context = world.job_context(2).await;
    let key = SliceKey {
        tenant: case.tenant,
        connection: case.connection(),
        stream: Stream::Contacts,
        fence: 1_000,
    };
    worker::work(&context, key, 3).await;
    assert_eq!(case.calls("list_contacts"), 1, "the slice was run");
    assert_eq!(case.open_dead_letters().await, []);
}

/// If workers are ended one after the other, the same innocent slice may be hit three times.
#[tokio::test(flavor = "multi_thread")]
async fn a_slice_that_kills_three_workers_is_quarantined() {
    let world = World::new().await;
    let case = world.connect(tiny()).await;
    let context = world.job_context(2).await;
    let key = |fence| SliceKey {
        tenant: case.tenant,
        connection: case.connection(),
        stream: Stream::Contacts,
        fence,
    };

    // A failure of another kind before it does not make the quarantine longer.
    let fails = case.inject(Fault::status(500).operation("list_contacts"));
    worker::work(&context, key(1), 0).await;
    case.clear_fault(fails);
    case.make_due(&[Stream::Contacts]).await;
    let calls = case.calls("list_contacts");
    kill_three_workers(&context, key).await;
    let Verdict::Snooze(soon) = worker::work(&context, key(1_003), 3).await.verdict else {
        panic!("it is tried again soon")
    };
    assert!(soon < Duration::from_secs(30), "{soon:?}");
    let letters = case.open_dead_letters().await;
    assert!(
        matches!(&letters[..], [(stream, cause)] if stream == "contacts" && cause.contains("3 workers")),
        "{letters:?}"
    );

    case.make_due(&[Stream::Contacts]).await;
    kill_three_workers(&context, |fence| key(1_000 + fence)).await;
    assert_eq!(
        worker::work(&context, key(2_003), 3).await.verdict,
        Verdict::Done
    );
    let due_in = case.due_in(Stream::Contacts).await;
    assert!(due_in > Some(50.0 * 60.0), "{due_in:?}");
    assert_eq!(case.calls("list_contacts"), calls, "no worker was risked");

    // An operator knows better.
    case.make_due(&[Stream::Contacts]).await;
    let _fleet = world.fleet(1);
    case.until_complete().await;
    case.assert_exact().await;
    assert_eq!(case.open_dead_letters().await, []);
}
