//! Threads: one call each, the newest 500 parts, and what was said before it was edited or taken back.

mod giants;
mod redactions;

use std::time::{Duration, Instant};

use intercom_simulator::{Fault, FaultAction, Garble, Kind, Latency, Mutation, WorkspaceSpec};
use shared::domain::Mode;

use crate::support::{Case, World, cases, held, rows, tiny, unix};

/// One conversation, without parts until it grows some.
fn silent() -> WorkspaceSpec {
    WorkspaceSpec {
        conversations: 1,
        parts: 0.0,
        companies: 0,
        ..tiny()
    }
}

async fn a_thread_of(parts: u32, truncated: i64) {
    let case = Case::of(silent()).await;
    case.mutate(
        Mutation::grow(Kind::Conversation, 1)
            .parts(parts)
            .ago(4_000),
    );
    let case = case.synced().await;
    assert_eq!(case.status().await.threads.truncated, truncated);
    let [thread] = &case.stored_threads().await[..] else {
        panic!("one conversation has one thread")
    };
    assert_eq!(
        (thread.held, thread.expected),
        (i64::from(parts.min(500)), i64::from(parts))
    );
}

rows! { a_thread_of:
    a_thread_of_one_part_is_complete(1, 0);
    a_thread_of_499_parts_is_complete(499, 0);
    a_thread_of_500_parts_is_complete(500, 0);
    a_thread_of_501_parts_is_truncated(501, 1);
    a_thread_of_1200_parts_is_truncated(1_200, 1);
}

/// The only part of the only conversation is put in Intercom's other shape.
async fn a_part_is_read_in_its_shape(change: fn(&mut serde_json::Value)) {
    let case = Case::of(silent()).await;
    case.mutate(Mutation::grow(Kind::Conversation, 1).parts(3).ago(4_000));
    let part = case
        .workspace
        .truth()
        .into_iter()
        .find(|line| line.kind == Kind::Part)
        .unwrap();
    let mut object = part.value();
    change(&mut object);
    assert!(
        case.workspace
            .put_raw(Kind::Part, &part.id, object.to_string())
    );
    let case = case.synced().await;
    assert_eq!(case.status().await.threads.complete, 1);
}

rows! { a_part_is_read_in_its_shape:
    a_part_whose_id_is_a_number_is_held(|part| part["id"] = part["id"].as_str().unwrap().parse::<u64>().unwrap().into());
    a_part_of_a_type_that_no_list_names_is_held(|part| part["part_type"] = "ticket_orbit_realigned_v10".into());
    a_part_without_a_body_is_held(|part| part["body"] = serde_json::Value::Null);
    a_part_without_an_author_is_held(|part| part["author"] = serde_json::Value::Null);
    a_part_that_was_never_updated_is_held(|part| part["updated_at"] = serde_json::Value::Null);
    a_note_is_held_as_internal(|part| part["part_type"] = "note".into());
    an_event_with_details_is_held(|part| part["event_details"] = serde_json::json!({"action": {"name": "x"}, "value": [1]}));
}

cases! {
    a_conversation_that_counts_no_parts_costs_no_call {
        let case = Case::of(silent()).await.synced().await;
        assert_eq!(case.calls("get_conversation"), u64::from(case.workspace.truth().iter().any(|line|
            line.kind == Kind::Conversation && line.value()["statistics"].is_null())));
        assert_eq!(case.status().await.threads.pending, 0);
    }

    a_conversation_with_a_new_time_only_costs_one_call {
        let case = Case::of(silent()).await;
        case.mutate(Mutation::grow(Kind::Conversation, 1).parts(2).ago(4_000));
        let case = case.synced().await;
        case.mutate(Mutation::grow(Kind::Conversation, 1).parts(0).ago(10));
        case.poll_exact(1).await;
        case.poll_exact(0).await;
    }

    a_thread_whose_parts_were_counted_wrongly_is_stored_all_the_same {
        let case = Case::of(silent()).await;
        case.mutate(Mutation::grow(Kind::Conversation, 1).parts(2).ago(4_000));
        let case = case.synced().await;
        case.forget_the_counts_of_parts().await;
        case.mutate(Mutation::grow(Kind::Conversation, 1).parts(1).ago(10));
        case.poll_exact(1).await;
        let [thread] = &case.stored_threads().await[..] else { panic!("one conversation has one thread") };
        assert_eq!((thread.held, &*thread.status), (3, "complete"));
    }

    a_thread_that_grows_past_500_keeps_what_was_shown_once {
        let case = Case::of(silent()).await;
        case.mutate(Mutation::grow(Kind::Conversation, 1).parts(480).ago(4_000));
        let case = case.synced().await;
        case.mutate(Mutation::grow(Kind::Conversation, 1).parts(60).ago(10));
        case.poll_exact(1).await;
        let status = case.status().await.threads;
        assert_eq!((status.complete, status.truncated), (1, 0), "all 540 were shown while they were among the newest");
        let [thread] = &case.stored_threads().await[..] else { panic!("one conversation has one thread") };
        assert_eq!((thread.held, thread.expected), (540, 540));
    }

    a_thread_that_grows_by_more_than_500_is_marked_truncated {
        let case = Case::of(silent()).await;
        case.mutate(Mutation::grow(Kind::Conversation, 1).parts(100).ago(4_000));
        let case = case.synced().await;
        case.mutate(Mutation::grow(Kind::Conversation, 1).parts(700).ago(10));
        case.poll_exact(1).await;
        let [thread] = &case.stored_threads().await[..] else { panic!("one conversation has one thread") };
        assert_eq!((thread.held, &*thread.status), (600, "truncated"));
    }

    // Neither statistics nor the list's total tell of more parts than the 500 that are shown.
    a_cut_thread_that_nothing_counts_is_truncated {
        let case = Case::of(WorkspaceSpec { parts_total_is_full: false, ..silent() }).await;
        case.mutate(Mutation::grow(Kind::Conversation, 1).parts(520).ago(4_000));
        let stub = &case.live(Kind::Conversation)[0];
        let mut object = stub.value();
        object["statistics"] = serde_json::Value::Null;
        assert!(case.workspace.put_raw(Kind::Conversation, &stub.id, object.to_string()));
        let case = case.synced().await;
        let status = case.status().await;
        assert_eq!((status.threads.truncated, status.threads.complete), (1, 0));
        assert_eq!(status.notes[0].code, "truncated_threads");
    }

    a_total_that_counts_only_what_is_shown_hides_no_truncation {
        let case = Case::of(WorkspaceSpec { parts_total_is_full: false, ..silent() }).await;
        case.mutate(Mutation::grow(Kind::Conversation, 1).parts(520).ago(4_000));
        let case = case.synced().await;
        assert_eq!(case.status().await.threads.truncated, 1);
    }
}

cases! {
    threads_beyond_500_parts_are_truncated_and_say_so {
        let spec = WorkspaceSpec { conversations: 6, conversations_over_500: 2, ..tiny() };
        let case = Case::of(spec).await.connect().await;
        case.until_complete().await;
        assert_eq!(case.status().await.threads.truncated, 2);
        case.assert_exact().await;
    }

    a_thread_that_changes_twice_in_one_second_is_read_again {
        let case = Case::of(WorkspaceSpec { conversations: 20, ..tiny() }).await.connect().await;
        case.until_complete().await;
        case.settle().await;
        let begun = Instant::now();
        let ids = case.mutate(Mutation::grow(Kind::Conversation, 1));
        case.resync(Mode::Incremental).await;
        // The thread is fetched within its own second, so it is not complete yet, whatever comes next.
        case.until("the thread was fetched", |_| case.calls("get_conversation") > 0).await;
        case.mutate(Mutation::grow(Kind::Conversation, 1).ids(ids));
        let in_one_second = begun.elapsed() < Duration::from_secs(1);
        case.until_complete().await;
        // On a machine too busy for this test it became an ordinary change, which only a poll brings.
        if in_one_second {
            let truth = case.workspace.truth();
            let parts = truth.iter().filter(|line| line.kind == Kind::Part).count();
            assert_eq!(case.stored_parts().await.len(), parts, "no poll has come by");
        }
        // The stub of the same second comes with the next poll, which looks a minute back.
        case.resync(Mode::Incremental).await;
        case.until_complete().await;
        case.assert_exact().await;
    }
}

cases! {
    // If each part's own `updated_at` is compared with one bookmark, sixty percent of the threads lack parts.
    parts_older_than_the_watermark_are_read {
        let case = Case::of(WorkspaceSpec { conversations: 1, parts: 0.0, ..tiny() }).await.synced_with(1).await;
        // Parts that are hours older than the watermark come to light with a later change of their conversation.
        case.mutate(Mutation::grow(Kind::Conversation, 1).parts(5).ago(7_200));
        case.mutate(Mutation::grow(Kind::Conversation, 1).parts(1).ago(10));
        case.poll_exact(1).await;
        let [thread] = &case.stored_threads().await[..] else { panic!("one conversation has one thread") };
        assert_eq!((thread.held, thread.expected), (6, 6));
    }

    // A strict `>` on the last second seen loses the second change of that second.
    the_second_change_within_a_second_is_read {
        let case = Case::at("2026-05-05T10:00:00Z", WorkspaceSpec { conversations: 2, parts: 2.0, ..tiny() }).await;
        let case = case.synced().await;
        let ids = case.ids(Kind::Conversation);
        for seed in 0..2 {
            case.world.simulator.clock().set_now(unix("2026-05-05T10:10:00Z"));
            case.mutate(Mutation::grow(Kind::Conversation, 1).ids(ids[..1].to_vec()).seed(seed));
            case.poll().await;
            // Its thread, and once more, because it was fetched within two seconds of its change.
            case.assert_calls_within(2 + 2);
            case.world.simulator.clock().set_now(unix("2026-05-05T10:10:05Z"));
            case.poll_exact(1).await;
        }
    }

    // A filter of parts by `created_at` never reads an edit of an old part.
    edits_of_old_parts_are_read {
        let case = Case::of(WorkspaceSpec { conversations: 3, parts: 6.0, ..tiny() }).await.synced().await;
        for seed in 0..4 {
            case.mutate(Mutation::update(Kind::Conversation, 3).seed(seed).ago(60 - 10 * seed as u32));
            case.poll_exact(3).await;
        }
    }

    notes_are_internal_and_nothing_else_is {
        let case = Case::of(WorkspaceSpec { conversations: 12, parts: 12.0, ..tiny() }).await.synced().await;
        let parts = case.stored_parts().await;
        assert!(parts.iter().all(|part| part.internal == (part.kind == "note")), "{parts:?}");
        assert!(parts.iter().any(|part| part.internal));
    }

    a_thread_that_answers_404_is_gone_and_keeps_its_parts {
        let case = Case::of(WorkspaceSpec { conversations: 4, parts: 4.0, ..tiny() }).await.synced().await;
        let threads = case.status().await.threads;
        let id = case.workspace.truth().into_iter().find(|line| line.kind == Kind::Part).unwrap().parent.unwrap();
        let parts = |case: &Case| case.workspace.truth().iter().filter(|line| line.kind == Kind::Part).count();
        let before = parts(&case);
        case.mutate(Mutation::grow(Kind::Conversation, 1).ids([id.clone()]).ago(10));
        // It is deleted between its stub's page and its own call.
        case.inject(Fault::status(404).path(format!("/conversations/{id}")));
        case.poll().await;
        // Both polls, and two looks at the thread.
        case.assert_calls_within(2 + 2);
        let status = case.status().await.threads;
        assert_eq!((status.gone, status.complete), (1, threads.complete - 1));
        assert_eq!(case.stored_parts().await.len(), before);
    }

    a_thread_that_cannot_be_read_blocks_itself_alone_and_heals {
        let case = Case::of(WorkspaceSpec { conversations: 4, parts: 4.0, ..tiny() }).await;
        let action = FaultAction::Garble { how: Garble::WrongTypes, id: None, place: 0, part: true };
        let garbled = case.inject(Fault::new(action).operation("get_conversation").times(1));
        let case = case.connect().await;
        case.until("one thread is blocked", |status| status.threads.blocked == 1 && status.threads.pending == 0).await;
        case.until_run_ends().await;
        assert_eq!(case.hits(garbled), 1);
        let open = case.quarantined().await;
        assert!(open.len() == 1 && open[0].0.starts_with("part/"), "{open:?}");
        case.assert_calls_within(case.first_floor());
        case.full_walk(1).await;
        case.assert_exact().await;
        assert_eq!(case.status().await.threads.blocked, 0);
    }

    a_thread_that_stays_behind_its_stub_is_read_ever_less {
        let case = Case::of(WorkspaceSpec { conversations: 1, parts: 4.0, ..tiny() }).await.synced().await;
        case.settle().await;
        // Its second call and its third wait to be let go: what the answer before left, stands.
        let hold = || case.inject(held().operation("get_conversation").skip(1).times(1));
        let (second, third) = (hold(), hold());
        case.expect_newer_threads().await;
        let due_at = async |attempts: i64| -> f64 {
            let [thread] = &case.stored_threads().await[..] else { panic!("one conversation has one thread") };
            assert_eq!(thread.attempts, attempts);
            thread.due_at.unwrap()
        };
        case.until_hit(second).await;
        let first = due_at(1).await;
        case.clear_fault(second);
        case.until_hit(third).await;
        let wait = due_at(2).await - first;
        assert!(wait >= 6.0, "{wait} s after it was due it is due again: after the first answer it waited for three");
        assert!(!case.status().await.complete, "and nothing calls itself complete meanwhile");
        case.assert_calls_within(3);
        case.clear_fault(third);
    }
}

/// A call asks Postgres whether its slice still has its lease, and beside the calls the slice stores what was answered.
#[tokio::test(flavor = "multi_thread")]
async fn calls_wait_for_no_session_that_their_own_slice_needs() {
    let world = World::with(&[("CONVERSATION_CONCURRENCY", "4")]).await;
    // Later than a check of the lease is good for.
    world.simulator.set_latency(Latency::Between(50, 250));
    let mut tenants = Vec::new();
    // Twice as many slices as there are sessions.
    for seed in 0..16 {
        let spec = WorkspaceSpec {
            seed,
            conversations: 20,
            ..tiny()
        };
        tenants.push(world.case(spec).await.connect().await);
    }
    let _fleet = world.fleet(1);
    for case in &tenants {
        // A slice that waits in vain fails, and requests again what was answered.
        case.first_sync(0).await;
    }
}
