//! A refusal that passes: it is asked about again, and nothing is blocked, ended or deleted for it.

use intercom_simulator::{Fault, Kind, Mutation, WorkspaceSpec};
use shared::{
    completeness::StreamActivity,
    domain::{Mode, Stream},
    store::ConnectionState,
};

use super::blocked;
use crate::support::{Case, OBJECTS, World, cases, of, refusal, rows, tiny};

/// One call is refused, and the token lives.
async fn one_refusal_blocks_nothing(
    (status, code): (u16, &str),
    operation: &str,
    skip: u64,
    stream: Stream,
) {
    // The next question comes only when the test has looked at what the first refusal leaves.
    let world = World::with(&[("REFUSAL_CONFIRMATION", "1h")]).await;
    let case = world
        .case(WorkspaceSpec {
            contacts: 160,
            conversations: 160,
            parts: 0.1,
            ..tiny()
        })
        .await;
    let fault = Fault::new(refusal(status, code)).operation(operation);
    let fault = case.inject(fault.skip(skip).times(1));
    let case = case.connect().await;
    let _fleet = world.fleet(1);
    let error = case.until_error(stream).await;
    assert!(error.starts_with("intercom refuse"), "{error}");
    let found = case.status().await;
    assert_eq!(of(&found, stream).status, StreamActivity::Failed);
    assert!(!found.complete && blocked(&case).await.is_empty());
    assert_eq!(case.connection_row().await.state, ConnectionState::Active);
    case.make_due(&[stream]).await;
    case.until_complete().await;
    let probes = case.calls("me") - 1;
    case.assert_exact_within(case.first_floor() + case.hits(fault) + probes)
        .await;
}

const UNAUTHORIZED: (u16, &str) = (401, "unauthorized");

rows! { one_refusal_blocks_nothing:
    a_401_on_the_second_page_of_contacts_passes(UNAUTHORIZED, "list_contacts", 1, Stream::Contacts);
    a_403_on_the_second_page_of_stubs_passes((403, "forbidden"), "search_conversations", 1, Stream::Conversations);
    a_plan_refused_once_passes((403, "api_plan_restricted"), "search_conversations", 0, Stream::Conversations);
    a_402_on_the_first_page_of_contacts_passes((402, "payment_required"), "list_contacts", 0, Stream::Contacts);
    a_scope_refused_once_on_the_scroll_passes((401, "token_unauthorized"), "scroll_companies", 0, Stream::Companies);
    a_403_on_tags_passes((403, "forbidden"), "list_tags", 0, Stream::Reference);
    a_401_on_tags_passes(UNAUTHORIZED, "list_tags", 0, Stream::Reference);
    an_app_suspended_for_one_call_passes((401, "token_suspended"), "list_contacts", 0, Stream::Contacts);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_refused_for_a_moment_stays_connected() {
    let world = World::with(&[("REFUSAL_CONFIRMATION", "30s")]).await;
    let case = world.connect(tiny()).await;
    let _fleet = world.fleet(1);
    case.until_complete().await;
    case.settle().await;
    let refused: Vec<_> = ["search_contacts", "me"]
        .map(|operation| {
            case.inject(
                Fault::new(refusal(401, "token_revoked"))
                    .operation(operation)
                    .times(1),
            )
        })
        .into();
    case.request(Mode::Incremental, OBJECTS).await;
    for fault in refused {
        case.until_hit(fault).await;
    }
    case.until_complete().await;
    assert_eq!(case.connection_row().await.state, ConnectionState::Active);
    // Both polls, the refusal and `/me`.
    case.assert_exact_within(2 + 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_is_checked_within_minutes_and_ends_by_itself() {
    let world = World::with(&[("BLOCK_CHECK_INTERVAL", "1s")]).await;
    let case = world.case(tiny()).await;
    let refused = case.inject(Fault::new(refusal(403, "forbidden")).operation("list_contacts"));
    let case = case.connect().await;
    let _fleet = world.fleet(1);
    case.until_blocked(Stream::Contacts).await;
    // The first check, which confirms it, and twice the wait.
    case.until_hits(refused, case.hits(refused) + 1).await;
    case.until_slices(0).await;
    assert_eq!(blocked(&case).await.len(), 1);
    case.clear_fault(refused);
    case.until_complete().await;
    case.assert_exact_within(case.first_floor() + case.hits(refused))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_threads_at_the_head_stop_no_other() {
    // Alone, the first slices see nothing but refusals.
    let world = World::with(&[("CONVERSATION_CONCURRENCY", "1")]).await;
    let case = world
        .case(WorkspaceSpec {
            conversations: 20,
            parts: 3.0,
            ..tiny()
        })
        .await;
    let faults = refuse_threads(&case, 5);
    let case = case.connect().await;
    let _fleet = world.fleet(1);
    case.until("the others are held", |status| {
        (status.threads.pending, status.threads_waiting) == (5, 5)
    })
    .await;
    // For as long as they are all that is left, they are still five objects and not the stream.
    let hits: u64 = faults.iter().map(|fault| case.hits(*fault)).sum();
    case.until("they are asked again", |_| {
        faults.iter().map(|fault| case.hits(*fault)).sum::<u64>() >= hits + 5
    })
    .await;
    assert!(blocked(&case).await.is_empty());
    world.simulator.clear_faults();
    case.until_complete().await;
    case.assert_exact().await;
}

/// Refuses the threads of the newest conversations that have parts.
fn refuse_threads(case: &Case, count: usize) -> Vec<intercom_simulator::FaultId> {
    let parts = case.live(Kind::Part);
    let mut owners: Vec<_> = case.live(Kind::Conversation);
    owners.retain(|line| {
        parts
            .iter()
            .any(|part| part.parent.as_ref() == Some(&line.id))
    });
    owners.sort_by_key(|line| std::cmp::Reverse(line.value()["updated_at"].as_i64()));
    let refused = owners.into_iter().take(count).map(|line| {
        let path = format!("/conversations/{}", line.id);
        case.inject(Fault::new(refusal(403, "forbidden")).path(path))
    });
    refused.collect()
}

cases! {
    // Every changed thread is refused, and Intercom still serves those that did not change.
    several_refused_threads_are_not_the_stream {
        let case = Case::of(WorkspaceSpec { conversations: 12, parts: 3.0, ..tiny() }).await.synced().await;
        case.settle().await;
        let ids = case.mutate(Mutation::grow(Kind::Conversation, 4).ago(30));
        let faults: Vec<_> = ids
            .iter()
            .map(|id| case.inject(Fault::new(refusal(403, "api_plan_restricted")).path(format!("/conversations/{id}"))))
            .collect();
        case.request(Mode::Incremental, OBJECTS).await;
        case.until("four wait", |status| status.threads_waiting == 4).await;
        for fault in &faults {
            case.until_hits(*fault, 3).await;
        }
        assert!(blocked(&case).await.is_empty());
        for fault in faults {
            case.clear_fault(fault);
        }
        case.until_complete().await;
        case.assert_exact().await;
    }
}
