//! One conversation whose call fails or is refused is set aside with its reason. Its neighbours land, nothing is blocked,
//! the copy is not complete, and the thread comes as soon as Intercom serves it.

use intercom_simulator::{Fault, FaultAction, FaultId, Kind, Mutation, WorkspaceSpec};
use shared::{
    completeness::SyncStatus,
    domain::{Mode, Stream},
    sync::replay,
};

use crate::support::{Case, World, cases, held, proxy_page, refusal, rows, tiny, wait_for};

fn thirty() -> WorkspaceSpec {
    WorkspaceSpec {
        conversations: 30,
        parts: 3.0,
        ..tiny()
    }
}

/// A connected workspace of which one thread's call meets this answer. The other threads are held.
async fn one_fails(action: FaultAction) -> (Case, String, FaultId) {
    one_fails_of(Case::of(thirty()).await, action).await
}

async fn one_fails_of(case: Case, action: FaultAction) -> (Case, String, FaultId) {
    let id = case.live(Kind::Part)[0].parent.clone().unwrap();
    let fault = case.inject(Fault::new(action).path(format!("/conversations/{id}")));
    let case = case.connect().await;
    case.until("every other thread is held", |status| {
        (status.threads.pending, status.threads_waiting) == (1, 1)
            && status
                .streams
                .iter()
                .all(|of| of.last_ok_at.is_some() || of.stream == Stream::Threads)
    })
    .await;
    (case, id, fault)
}

/// The status tells of one thread that waits, and of nothing else that is wrong.
fn assert_told(status: &SyncStatus, id: &str) {
    assert!(!status.complete);
    assert!(status.streams.iter().all(|of| of.blocked.is_none()));
    let why = &status.reasons[0];
    assert_eq!(
        (why.code.as_str(), why.count),
        ("waiting_threads", Some(1)),
        "{status:#?}"
    );
    assert!(why.message.contains(id) && why.until.is_some(), "{why:?}");
}

/// The thread that waits fails for a day and once more. Then no slice is under way.
async fn fail_for_a_day(case: &Case) {
    case.age_failed_threads().await;
    // After its tenth failure it waits for four minutes. A call would prove nothing, because it may have been made before.
    wait_for("the thread has failed once more", async || {
        let due_in = case.due_in(Stream::Threads).await;
        if due_in.is_some_and(|seconds| seconds > 150.0) {
            Ok(())
        } else {
            Err(format!("due in {due_in:?}"))
        }
    })
    .await;
    case.until_slices(0).await;
}

/// The thread that waits is due tomorrow, and no run waits for it. Then no slice is under way.
async fn put_off(case: &Case) {
    // Again and again, because an attempt under way sets a time of its own.
    wait_for("the run ends", async || {
        let open = case.open_runs().await;
        let due_in = case.due_in(Stream::Threads).await;
        if open.is_empty() && due_in.is_some_and(|seconds| seconds > 3_600.0) {
            return Ok(());
        }
        case.put_off_failed_threads().await;
        case.make_due(&[Stream::Threads]).await;
        Err(format!("due in {due_in:?}: {open:?}"))
    })
    .await;
    case.until_slices(0).await;
}

async fn a_thread_is_set_aside(action: FaultAction) {
    let (case, id, fault) = one_fails(action).await;
    assert_told(&case.status().await, &id);
    case.clear_fault(fault);
    case.until_complete().await;
    case.assert_exact_within(case.first_floor() + case.hits(fault))
        .await;
    let threads = case.status().await.threads;
    assert_eq!((threads.blocked, threads.gone), (0, 0));
}

rows! { a_thread_is_set_aside:
    a_thread_refused_with_403_is_set_aside(refusal(403, "forbidden"));
    a_thread_refused_by_the_plan_is_set_aside(refusal(403, "api_plan_restricted"));
    a_thread_refused_with_401_is_set_aside(refusal(401, "unauthorized"));
    a_thread_refused_for_a_scope_is_set_aside(refusal(401, "token_unauthorized"));
    a_thread_refused_with_402_is_set_aside(refusal(402, "payment_required"));
    a_thread_refused_with_410_is_set_aside(refusal(410, "gone"));
    a_thread_refused_with_400_is_set_aside(refusal(400, "parameter_invalid"));
    a_thread_refused_with_422_is_set_aside(refusal(422, "data_invalid"));
    a_thread_refused_with_451_is_set_aside(refusal(451, "unavailable"));
    a_thread_behind_a_firewall_is_set_aside(proxy_page(451));
    a_thread_behind_a_proxy_that_says_404_is_set_aside(proxy_page(404));
    a_thread_that_fails_is_set_aside(refusal(500, "server_error"));
    a_thread_that_cuts_the_connection_is_set_aside(FaultAction::Reset);
}

/// What is not believed however long it lasts.
async fn an_outage_of_one_thread_blocks_nothing(action: FaultAction) {
    let (case, id, fault) = one_fails(action).await;
    fail_for_a_day(&case).await;
    assert_told(&case.status().await, &id);
    case.clear_fault(fault);
    case.request(Mode::Incremental, &[Stream::Threads]).await;
    case.until_complete().await;
    case.assert_exact_within(case.first_floor() + case.hits(fault))
        .await;
}

rows! { an_outage_of_one_thread_blocks_nothing:
    a_day_of_server_errors_blocks_no_thread(refusal(500, "server_error"));
    a_day_behind_a_firewall_blocks_no_thread(proxy_page(403));
    a_day_of_cut_connections_blocks_no_thread(FaultAction::Reset);
}

cases! {
    // Only Intercom's own refusal, repeated for hours, becomes a note. The thread is still asked for.
    a_lasting_refusal_of_one_thread_becomes_a_note_and_heals {
        let (case, _, fault) = one_fails(refusal(403, "forbidden")).await;
        case.age_failed_threads().await;
        case.until_complete().await;
        let status = case.status().await;
        let noted: Vec<&str> = status.notes.iter().map(|note| note.code.as_str()).collect();
        assert_eq!((status.threads.blocked, &noted[..]), (1, &["blocked_threads"][..]));
        // A day later it is refused once more, which changes nothing.
        let hits = case.hits(fault);
        case.make_blocked_threads_due().await;
        case.until_hits(fault, hits + 1).await;
        case.until_slices(0).await;
        assert_eq!(case.status().await.threads.blocked, 1);
        // Another day later it is served.
        case.clear_fault(fault);
        case.make_blocked_threads_due().await;
        case.until("it is held", |status| status.threads.blocked == 0).await;
        case.until_complete().await;
        case.assert_exact_within(case.first_floor() + case.hits(fault)).await;
    }

    a_requested_run_asks_at_once_for_what_waits {
        let (case, _, fault) = one_fails(refusal(403, "forbidden")).await;
        put_off(&case).await;
        case.clear_fault(fault);
        case.request(Mode::Incremental, &[Stream::Threads]).await;
        case.until_complete().await;
        case.assert_exact().await;
    }

    // The slice that is about to end has read which threads are due before the run was requested.
    a_run_that_is_requested_beside_a_slice_asks_for_what_waits {
        let (case, waits, fault) = one_fails(refusal(403, "forbidden")).await;
        put_off(&case).await;
        let parts = case.live(Kind::Part);
        let other = parts.iter().filter_map(|part| part.parent.clone()).find(|id| *id != waits).unwrap();
        let late = case.inject(held().path(format!("/conversations/{other}")));
        case.mutate(Mutation::grow(Kind::Conversation, 1).ids([other]).ago(10));
        case.request(Mode::Incremental, &[Stream::Conversations]).await;
        case.until_hit(late).await;
        case.clear_fault(fault);
        case.request(Mode::Incremental, &[Stream::Threads]).await;
        case.clear_fault(late);
        case.until_complete().await;
        case.assert_exact().await;
    }

    a_replay_asks_at_once_for_what_waits {
        let (case, _, fault) = one_fails(refusal(500, "server_error")).await;
        put_off(&case).await;
        case.clear_fault(fault);
        let store = case.world.worker_store(1).await;
        replay(&store, case.tenant, case.connection(), false).await.unwrap();
        case.until_complete().await;
        case.assert_exact().await;
    }

    // The runs that wait for the threads do not stay open for hours.
    a_run_ends_without_a_thread_that_waits_for_long {
        let (case, _, fault) = one_fails(refusal(403, "forbidden")).await;
        assert_eq!(case.runs().await[0].1, "running");
        put_off(&case).await;
        assert_eq!(case.runs().await[0].1, "partial");
        assert!(!case.status().await.complete);
        case.clear_fault(fault);
    }

    // 404 once: the index is ahead of the record, or a store is being moved.
    a_404_that_passes_deletes_no_conversation {
        let case = Case::of(thirty()).await;
        let id = case.live(Kind::Part)[0].parent.clone().unwrap();
        let fault = case.inject(Fault::new(refusal(404, "not_found")).path(format!("/conversations/{id}")).times(1));
        let case = case.connect().await;
        case.until_hit(fault).await;
        case.until("it waits for its second look", |status| status.threads_waiting == 1 || status.complete).await;
        assert_eq!(case.status().await.threads.gone, 0);
        case.until_complete().await;
        assert_eq!(case.status().await.threads.gone, 0);
        case.assert_exact_within(case.first_floor() + 1).await;
    }

    a_404_that_stays_deletes_the_conversation_and_keeps_its_parts {
        // The second look waits until the other threads are held, however long they take. The run waits for it.
        let world = World::with(&[("DELETION_CONFIRMATION", "5m")]).await;
        let _fleet = world.fleet(1);
        let (case, id, fault) = one_fails_of(world.case(thirty()).await, refusal(404, "not_found")).await;
        assert_told(&case.status().await, &id);
        case.age_failed_threads().await;
        case.until_complete().await;
        assert_eq!(case.status().await.threads.gone, 1);
        assert_eq!(case.hits(fault), 2, "asked twice, and no more");
    }
}
