//! Answers that are no threads: asked for again, and given up with their bytes if they never become one.

use intercom_simulator::{Fault, Kind, WorkspaceSpec};
use shared::domain::{Mode, Stream};

use super::{corpus, seen, small};
use crate::support::{World, raw, wait_for};

/// A conversation's stub up to its last brace.
fn stub(object: &str) -> &str {
    object.trim_end().strip_suffix('}').unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_thread_is_asked_for_again() {
    let world = World::new().await;
    let entries = corpus::of("thread");
    let case = world
        .case(WorkspaceSpec {
            conversations: 2 * entries.len() as u32,
            parts: 3.0,
            ..small()
        })
        .await;
    let parts = case.live(Kind::Part);
    let mut with_parts = case.live(Kind::Conversation);
    with_parts.retain(|line| {
        parts
            .iter()
            .any(|part| part.parent.as_ref() == Some(&line.id))
    });
    let mut faults = Vec::new();
    for (entry, line) in entries.into_iter().zip(with_parts) {
        let body = entry.with(&[("$STUB", stub(line.object.get()))]);
        let fault = Fault::new(raw(200, body))
            .path(format!("/conversations/{}", line.id))
            .times(1);
        faults.push((entry, case.inject(fault)));
    }
    assert!(faults.len() >= 12);
    let case = case.connect().await;
    let _fleet = world.fleet(1);
    // An empty thread that is taken for one would be a difference.
    case.first_sync(faults.len() as u64).await;
    for (entry, fault) in &faults {
        assert_eq!(case.hits(*fault), 1, "{}", entry.name);
    }
    assert_eq!(case.quarantined().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_thread_is_given_up_with_its_bytes_and_heals() {
    let world = World::new().await;
    let case = world.connect(small()).await;
    let id = case.live(Kind::Part)[0].parent.clone().unwrap();
    let body = br#"{"id":"another","created_at":1700000000,"updated_at":1700000000,"conversation_parts":{"conversation_parts":[{"id":"1","created_at":1}]}}"#;
    let fault =
        case.inject(Fault::new(raw(200, body.to_vec())).path(format!("/conversations/{id}")));
    let _fleet = world.fleet(1);
    // Its fifth attempt, without the half minute between.
    wait_for("the thread has failed", async || {
        let failed = case.make_failed_threads_due().await;
        if failed.contains(&id) {
            Ok(())
        } else {
            Err(format!("{failed:?} failed"))
        }
    })
    .await;
    case.until("the thread is blocked", |status| {
        status.threads.blocked == 1
    })
    .await;
    assert_eq!(
        case.quarantined_bytes().await,
        [(
            format!("part/{id}/thread"),
            "the answer is another conversation".to_owned(),
            seen(body)
        )]
    );

    case.clear_fault(fault);
    case.until_run_ends().await;
    // One of its answers is in the place of a good one.
    case.assert_calls_within(case.first_floor() + case.hits(fault) - 1);
    case.sync(Mode::Full, Stream::ALL).await;
    // And its thread.
    case.assert_exact_within(case.reference_floor() + case.walk_floor() + 1)
        .await;
    assert_eq!(case.quarantined().await, []);
}
