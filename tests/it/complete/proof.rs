//! What is held, what is missing and why, at any time; and the daily audit of what is called complete.

use chrono::{TimeDelta, Utc};
use intercom_simulator::{Fault, FaultAction, Garble, Kind, Mutation, TokenState, WorkspaceSpec};
use shared::{
    completeness::Reason,
    domain::{Mode, Stream},
    store::ConnectionState,
};

use super::{Case, OBJECTS, cases, tiny};
use crate::floors::{reference, threads, unread};

/// The answer has one reason of this code: the sentence speaks of it, or counts it among others, and the stream's
/// own reason is there. Returns it.
async fn told(case: &Case, code: &str) -> Reason {
    case.until(code, |status| {
        status.reasons.iter().any(|reason| reason.code == code)
    })
    .await;
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

/// A day goes by, in which the connection was never audited; then its reference data is due.
async fn an_audit_is_due(case: &Case) {
    case.world.until_run_ends(case.connected()).await;
    case.sql(
        "WITH older AS (
            UPDATE connections SET connected_at = connected_at - interval '2 days' WHERE id = $1 RETURNING id
         ), again AS (
            UPDATE audits SET audited_at = audited_at - interval '2 days' WHERE connection_id = $1
         )
         UPDATE streams SET due_at = now(), ticketed_at = NULL
         WHERE connection_id = $1 AND stream = 'reference' RETURNING stream, ''",
    )
    .await;
}

/// Waits for an audit that found this: contacts and conversations missing, threads that differ.
async fn audited(case: &Case, found: (i64, i64, i32)) {
    case.until("an audit", |status| {
        status.audit.is_some_and(|audit| {
            let missing = |count: Option<i64>| count.unwrap_or(-1);
            (
                missing(audit.contacts_missing),
                missing(audit.conversations_missing),
                audit.threads_differing,
            ) == found
        })
    })
    .await;
}

/// What an audit of `tiny` costs: the reference data, two counts, and a sample of its threads.
fn audit(case: &Case) -> u64 {
    reference("2.16") + 2 + threads(&case.workspace.truth()).min(4)
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
        let late = case.late_second_page("list_contacts");
        let case = case.connect().await;
        let walking = "The first sync of contacts is under way, with 150 stored so far.";
        case.until("the first page", |status| status.reasons.iter().any(|reason| reason.message == walking)).await;
        told(&case, "first_walk").await;
        told(&case, "run_open").await;
        case.let_go(late);
        case.first_sync(0).await;
    }

    what_fails_says_how_often_and_when_it_is_tried_again {
        let case = Case::of(tiny()).await.synced().await;
        let fault = case.fault(Fault::status(503).operation("search_contacts"));
        case.world.until_run_ends(case.connected()).await;
        case.workspace.ledger().reset();
        case.world.request(case.connected(), Mode::Incremental, &[Stream::Contacts]).await;
        let reason = told(&case, "retrying").await;
        assert_eq!(reason.stream, Some(Stream::Contacts));
        assert!(reason.message.contains("contacts failed") && reason.until.is_some(), "{reason:?}");
        case.world.simulator.clear_fault(fault);
        case.ask_again().await;
        case.exact_within(case.hits(fault) + 1 + case.asked_again()).await;
    }

    what_waits_to_be_fetched_is_counted {
        let case = Case::of(tiny()).await;
        let late = case.fault(Fault::new(FaultAction::Hold { after: 0 }).operation("get_conversation"));
        let case = case.connect().await;
        let reason = told(&case, "pending_threads").await;
        assert_eq!(reason.stream, Some(Stream::Threads));
        assert!(reason.count.unwrap() > 0);
        case.world.simulator.clear_fault(late);
        case.first_sync(0).await;
    }

    what_cannot_be_read_is_named {
        let case = Case::of(tiny()).await.synced().await;
        let changed = case.change(Mutation::update(Kind::Contact, 1).ago(5));
        let garbled = FaultAction::Garble { how: Garble::WrongTypes, id: None, place: 0, part: false };
        case.fault(Fault::new(garbled).operation("search_contacts"));
        case.world.until_run_ends(case.connected()).await;
        case.workspace.ledger().reset();
        case.world.request(case.connected(), Mode::Incremental, &[Stream::Contacts]).await;
        let reason = told(&case, "quarantined").await;
        assert!(reason.message.contains(&changed[0]), "{reason:?}");
        case.within(1);
    }

    a_plan_without_conversations_is_a_sentence_with_a_next_step {
        let case = Case::of(tiny()).await;
        case.workspace.set_plan(false);
        let case = case.connect().await;
        let reason = told(&case, "api_plan_restricted").await;
        assert!(reason.message.contains("plan") && reason.until.is_some(), "{reason:?}");
        // No stub, no thread.
        case.within(case.first() - unread(&case.workspace.truth()));
    }

    a_dead_token_speaks_first {
        let case = Case::of(tiny()).await.synced().await;
        case.workspace.set_token_state(TokenState::Revoked);
        case.world.resync(case.connected(), Mode::Incremental).await;
        case.world.until_state(case.connected(), ConnectionState::ReauthRequired).await;
        let reason = told(&case, "token_revoked").await;
        assert_eq!(case.status().await.reasons[0], reason);
    }

    a_truncated_thread_says_how_much_was_never_shown {
        let case = Case::of(tiny()).await;
        case.change(Mutation::grow(Kind::Conversation, 1).parts(700).ago(4_000));
        let case = case.connect().await;
        let note = noted(&case, "truncated_threads").await;
        case.within(case.first());
        let short = case.sql("SELECT (expected - held)::text, reason FROM (
            SELECT expected, held, error AS reason FROM threads WHERE connection_id = $1 AND status = 'truncated') AS t").await;
        assert_eq!((note.count, short.len()), (Some(1), 1));
        assert!(note.message.contains(&format!("{} older parts", short[0].0)), "{note:?}");
    }

    who_is_absent_is_told_until_it_is_settled {
        let case = Case::of(tiny()).await.synced().await;
        case.change(Mutation::new(intercom_simulator::Change::Delete, Kind::Contact, 1).ago(10));
        case.sweep(0).await;
        assert_eq!(noted(&case, "absent").await.count, Some(1));
        case.sweep(1).await;
        assert!(case.status().await.notes.is_empty());
    }

    an_audit_of_an_exact_copy_makes_nothing_due {
        let case = Case::of(tiny()).await.synced().await;
        case.workspace.ledger().reset();
        an_audit_is_due(&case).await;
        audited(&case, (0, 0, 0)).await;
        case.complete().await;
        // The lists, the deletions, two counts, a call for each thread of the sample.
        let sample = threads(&case.workspace.truth()).min(4);
        assert_eq!(case.workspace.ledger().total, audit(&case));
        assert_eq!(case.status().await.audit.unwrap().threads_read, sample as i32);
        case.exact().await;
    }

    an_audit_finds_a_lost_contact_and_a_full_walk_brings_it_back {
        let case = Case::of(tiny()).await.synced().await;
        case.sql("WITH lost AS (SELECT source_id FROM contact_sources WHERE connection_id = $1 ORDER BY 1 LIMIT 1)
                  DELETE FROM contact_sources s USING lost WHERE s.connection_id = $1 AND s.source_id = lost.source_id
                  RETURNING s.source_id, ''").await;
        assert!(case.status().await.complete, "nothing has noticed yet: that is the point");
        case.world.until_run_ends(case.connected()).await;
        case.workspace.ledger().reset();
        an_audit_is_due(&case).await;
        audited(&case, (1, 0, 0)).await;
        case.complete().await;
        // And the walk through contacts.
        case.exact_within(audit(&case) + 1).await;
    }

    an_audit_finds_a_lost_conversation {
        let case = Case::of(tiny()).await.synced().await;
        case.sql("WITH lost AS (SELECT id FROM conversations WHERE connection_id = $1 ORDER BY 1 LIMIT 1)
                  DELETE FROM conversations c USING lost WHERE c.id = lost.id RETURNING c.source_id, ''").await;
        case.world.until_run_ends(case.connected()).await;
        case.workspace.ledger().reset();
        an_audit_is_due(&case).await;
        audited(&case, (0, 1, 0)).await;
        case.complete().await;
        // And the walk through conversations, and the thread of the lost one.
        case.exact_within(audit(&case) + 1 + 1).await;
    }

    an_audit_finds_a_short_thread_and_rereads_every_thread {
        let case = Case::of(WorkspaceSpec { conversations: 9, ..tiny() }).await.synced().await;
        // One part of each thread: more than a sample shows.
        let lost = case.sql("WITH lost AS (
                SELECT DISTINCT ON (p.conversation_id) p.conversation_id, p.source_id FROM parts p
                JOIN threads t ON t.conversation_id = p.conversation_id
                WHERE t.connection_id = $1 AND p.source_id <> 'source' ORDER BY 1, 2)
             DELETE FROM parts p USING lost WHERE p.conversation_id = lost.conversation_id AND p.source_id = lost.source_id
             RETURNING p.source_id, ''").await.len();
        assert!(lost > 4, "{lost}");
        assert!(case.status().await.complete, "nothing has noticed yet: that is the point");
        case.world.until_run_ends(case.connected()).await;
        case.workspace.ledger().reset();
        an_audit_is_due(&case).await;
        audited(&case, (0, 0, 4)).await;
        // Not complete from that moment on.
        case.complete().await;
        // And the walk through conversations, with every thread.
        case.exact_within(audit(&case) + 1 + threads(&case.workspace.truth())).await;
    }

    a_reconcile_run_reads_every_thread_again_and_repairs_it {
        let case = Case::of(tiny()).await.synced().await;
        case.sql("DELETE FROM parts p USING threads t WHERE t.connection_id = $1 AND p.conversation_id = t.conversation_id
                  AND p.source_id <> 'source' RETURNING p.source_id, ''").await;
        case.sweep(0).await;
        assert_eq!(case.calls("get_conversation"), 0, "a full walk trusts what is called complete");
        case.ask(Mode::Reconcile, OBJECTS).await;
        case.exact_within(case.walk() + threads(&case.workspace.truth())).await;
        assert_eq!(case.calls("get_conversation"), threads(&case.workspace.truth()));
    }

    a_count_that_is_always_off_costs_one_walk_and_is_told {
        let case = Case::of(tiny()).await.synced().await;
        let body = r#"{"type":"list","data":[],"total_count":8,"pages":{"type":"pages","page":1,"total_pages":1}}"#;
        let answer = FaultAction::Status { status: 200, body: Some(body.to_owned()), headers: Vec::new() };
        case.fault(Fault::new(answer).operation("search_contacts"));
        case.world.until_run_ends(case.connected()).await;
        case.workspace.ledger().reset();
        for _ in 0..2 {
            an_audit_is_due(&case).await;
            audited(&case, (2, 0, 0)).await;
            case.until("the audit is new", |status| {
                status.complete && status.audit.is_some_and(|audit| audit.audited_at > Utc::now() - TimeDelta::hours(1))
            })
            .await;
            assert_eq!(case.calls("list_contacts"), 1);
        }
        // Twice the audit, and once the walk through contacts.
        case.within(2 * audit(&case) + 1);
        assert_eq!(noted(&case, "count_differs").await.count, Some(2));
    }
}
