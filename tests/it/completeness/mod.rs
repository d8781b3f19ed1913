//! What is held, and what is missing and why, at any time.

mod audits;

use intercom_simulator::{Change, Fault, Garble, Kind, Mutation, TokenState, WorkspaceSpec};
use pathbound::exact::without_conversations;
use shared::{
    completeness::Reason,
    domain::{Mode, Stream},
    store::ConnectionState,
};

use crate::support::{Case, cases, floors::unread, garbled, held, tiny};

/// The answer has one reason of this code: the sentence speaks of it, or counts it among others, and the stream's
/// own reason is there. Returns it.
async fn told(case: &Case, code: &str) -> Reason {
    case.until(code, |status| {
        status.reasons.iter().any(|reason| reason.code == code)
    })
    .await;
    // Both are read from one status, so that the sentence fits its reasons.
    let status = case.status().await;
    assert!(!status.complete && status.proven_at.is_none());
    assert!(
        status.sentence.starts_with("Not complete: "),
        "{}",
        status.sentence
    );
    let reason = status
        .reasons
        .into_iter()
        .find(|reason| reason.code == code)
        .expect(code);
    assert!(
        reason.message.ends_with('.') && !reason.action.is_empty(),
        "{reason:?}"
    );
    if let Some(stream) = reason.stream {
        let own = status
            .streams
            .iter()
            .find(|status| status.stream == stream)
            .unwrap();
        assert!(!own.complete && own.reason.is_some(), "{own:?}");
    }
    reason
}

/// The copy is complete, and this is told beside it.
async fn noted(case: &Case, code: &str) -> Reason {
    case.until(code, |status| {
        status.complete && status.notes.iter().any(|note| note.code == code)
    })
    .await;
    let status = case.status().await;
    assert!(
        status.sentence.starts_with("Complete as of ") && status.sentence.contains("Please note: "),
        "{}",
        status.sentence
    );
    status
        .notes
        .into_iter()
        .find(|note| note.code == code)
        .expect(code)
}

cases! {
    a_complete_copy_says_what_is_held {
        let case = Case::of(tiny()).await.synced().await;
        let status = case.status().await;
        assert!(status.reasons.is_empty() && status.streams.iter().all(|stream| stream.reason.is_none()));
        let begins = format!("Complete as of {}", status.proven_at.unwrap().format("%Y-%m-%d %H:%M:%S UTC"));
        assert!(status.sentence.starts_with(&begins), "{}", status.sentence);
        assert!(status.sentence.contains("6 contacts, 3 companies, 4 conversations"), "{}", status.sentence);
    }

    a_walk_under_way_says_how_far_it_is {
        let spec = WorkspaceSpec { contacts: 200, ..tiny() };
        let case = Case::of(spec).await;
        let late = case.hold_second_page("list_contacts");
        let case = case.connect().await;
        let walking = "The first sync of contacts is under way, with 150 stored so far.";
        case.until("the first page", |status| status.reasons.iter().any(|reason| reason.message == walking)).await;
        told(&case, "first_walk").await;
        told(&case, "run_open").await;
        case.clear_fault(late);
        case.first_sync(0).await;
    }

    what_fails_says_how_often_and_when_it_is_tried_again {
        let case = Case::of(tiny()).await.synced().await;
        let fault = case.inject(Fault::status(503).operation("search_contacts"));
        case.begin_run(Mode::Incremental, &[Stream::Contacts]).await;
        let reason = told(&case, "retrying").await;
        assert_eq!(reason.stream, Some(Stream::Contacts));
        assert!(reason.message.contains("contacts failed") && reason.until.is_some(), "{reason:?}");
        case.clear_fault(fault);
        case.retry_now().await;
        case.assert_exact_within(case.hits(fault) + 1 + case.retry_floor()).await;
    }

    what_waits_to_be_fetched_is_counted {
        let case = Case::of(tiny()).await;
        let late = case.inject(held().operation("get_conversation"));
        let case = case.connect().await;
        let reason = told(&case, "pending_threads").await;
        assert_eq!(reason.stream, Some(Stream::Threads));
        assert!(reason.count.unwrap() > 0);
        case.clear_fault(late);
        case.first_sync(0).await;
    }

    what_cannot_be_read_is_named {
        let case = Case::of(tiny()).await.synced().await;
        let changed = case.mutate(Mutation::update(Kind::Contact, 1).ago(5));
        case.inject(garbled(Garble::WrongTypes, 0).operation("search_contacts"));
        case.begin_run(Mode::Incremental, &[Stream::Contacts]).await;
        let reason = told(&case, "quarantined").await;
        assert!(reason.message.contains(&changed[0]), "{reason:?}");
        case.assert_calls_within(1);
    }

    a_plan_without_conversations_is_a_sentence_with_a_next_step {
        let case = Case::of(tiny()).await;
        case.workspace.set_plan(false);
        let case = case.connect().await;
        let reason = told(&case, "api_plan_restricted").await;
        assert!(reason.message.contains("plan") && reason.until.is_some(), "{reason:?}");
        assert!(!reason.action.is_empty());
        // No stub, no thread. The refusal is asked about four times more.
        case.assert_calls_within(case.first_floor() - unread(&case.workspace.truth()) + 4);
        case.until("every other stream is held", |status| status.streams.iter()
            .all(|of| of.last_ok_at.is_some() || [Stream::Conversations, Stream::Threads].contains(&of.stream))).await;
        case.until_run_ends().await;
        case.assert_exact_with(&without_conversations(&case.workspace.truth())).await;
        // The plan is upgraded, and a resync does not wait for the next day's retry.
        case.workspace.set_plan(true);
        case.sync(Mode::Full, Stream::ALL).await;
        case.assert_exact().await;
    }

    a_dead_token_speaks_first {
        let case = Case::of(tiny()).await.synced().await;
        case.workspace.set_token_state(TokenState::Revoked);
        case.resync(Mode::Incremental).await;
        case.until_state(ConnectionState::ReauthRequired).await;
        let reason = told(&case, "token_revoked").await;
        assert_eq!(case.status().await.reasons[0], reason);
    }

    a_truncated_thread_says_how_much_was_never_shown {
        let case = Case::of(tiny()).await;
        case.mutate(Mutation::grow(Kind::Conversation, 1).parts(700).ago(4_000));
        let case = case.connect().await;
        let note = noted(&case, "truncated_threads").await;
        case.assert_calls_within(case.first_floor());
        let mut short = case.stored_threads().await;
        short.retain(|thread| thread.status == "truncated");
        assert_eq!((note.count, short.len()), (Some(1), 1));
        assert!(note.message.contains(&format!("{} older parts", short[0].expected - short[0].held)), "{note:?}");
    }

    an_absence_is_told_until_it_is_settled {
        let case = Case::of(tiny()).await.synced().await;
        case.mutate(Mutation::new(Change::Delete, Kind::Contact, 1).ago(10));
        case.full_walk(0).await;
        assert_eq!(noted(&case, "absent").await.count, Some(1));
        case.full_walk(1).await;
        assert!(case.status().await.notes.is_empty());
    }
}
