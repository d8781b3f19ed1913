//! Threads: one call each, the newest 500 parts, and what was said before it was edited or taken back.

use intercom_simulator::{Fault, FaultAction, Garble, Kind, Mutation, WorkspaceSpec};

use super::{Case, cases, rows, tiny};

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
    case.change(
        Mutation::grow(Kind::Conversation, 1)
            .parts(parts)
            .ago(4_000),
    );
    let case = case.synced().await;
    assert_eq!(case.status().await.threads.truncated, truncated);
    let held = case
        .sql("SELECT held::text, expected::text FROM threads WHERE connection_id = $1")
        .await;
    assert_eq!(held, [(parts.min(500).to_string(), parts.to_string())]);
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
    case.change(Mutation::grow(Kind::Conversation, 1).parts(3).ago(4_000));
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

/// Every place where a text could be left: columns and raw bytes, quarantine included.
async fn traces(case: &Case, text: &str) -> usize {
    let rows = case
        .sql(
            "SELECT coalesce(p.body, '') || convert_from(p.raw, 'UTF8'), 'part' FROM parts p
             JOIN conversations c ON c.tenant_id = p.tenant_id AND c.id = p.conversation_id WHERE c.connection_id = $1
             UNION ALL SELECT convert_from(raw, 'UTF8'), 'conversation' FROM conversations WHERE connection_id = $1
             UNION ALL SELECT convert_from(raw, 'UTF8'), 'quarantine' FROM quarantine WHERE connection_id = $1",
        )
        .await;
    assert!(!rows.is_empty());
    rows.iter().filter(|(held, _)| held.contains(text)).count()
}

/// Puts a text into the body of a part, or of the first message where there is none, as Intercom would send it.
fn say(case: &Case, part: Option<&str>, text: &str) {
    let truth = case.workspace.truth();
    let (kind, id) = part.map_or(
        (Kind::Conversation, case.ids(Kind::Conversation)[0].clone()),
        |id| (Kind::Part, id.to_owned()),
    );
    let mut object = truth
        .iter()
        .find(|line| line.kind == kind && line.id == id)
        .unwrap()
        .value();
    if part.is_some() {
        object["body"] = text.into();
    } else {
        object["source"]["body"] = text.into();
    }
    assert!(case.workspace.put_raw(kind, &id, object.to_string()));
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
        case.change(Mutation::grow(Kind::Conversation, 1).parts(2).ago(4_000));
        let case = case.synced().await;
        case.change(Mutation::grow(Kind::Conversation, 1).parts(0).ago(10));
        case.run(1).await;
        case.run(0).await;
    }

    a_thread_that_grows_past_500_keeps_what_was_shown_once {
        let case = Case::of(silent()).await;
        case.change(Mutation::grow(Kind::Conversation, 1).parts(480).ago(4_000));
        let case = case.synced().await;
        case.change(Mutation::grow(Kind::Conversation, 1).parts(60).ago(10));
        case.run(1).await;
        let status = case.status().await.threads;
        assert_eq!((status.complete, status.truncated), (1, 0), "all 540 were shown while they were among the newest");
        let held = case.sql("SELECT held::text, expected::text FROM threads WHERE connection_id = $1").await;
        assert_eq!(held, [("540".to_owned(), "540".to_owned())]);
    }

    a_thread_that_grows_by_more_than_500_is_marked_truncated {
        let case = Case::of(silent()).await;
        case.change(Mutation::grow(Kind::Conversation, 1).parts(100).ago(4_000));
        let case = case.synced().await;
        case.change(Mutation::grow(Kind::Conversation, 1).parts(700).ago(10));
        case.run(1).await;
        let held = case.sql("SELECT held::text, status FROM threads WHERE connection_id = $1").await;
        assert_eq!(held, [("600".to_owned(), "truncated".to_owned())]);
    }

    a_total_that_counts_only_what_is_shown_hides_no_truncation {
        let case = Case::of(WorkspaceSpec { parts_total_is_full: false, ..silent() }).await;
        case.change(Mutation::grow(Kind::Conversation, 1).parts(520).ago(4_000));
        let case = case.synced().await;
        assert_eq!(case.status().await.threads.truncated, 1);
    }

    an_edited_part_leaves_no_trace_of_what_it_said {
        let case = Case::of(silent()).await;
        case.change(Mutation::grow(Kind::Conversation, 1).parts(3).ago(4_000));
        let part = case.ids(Kind::Part)[1].clone();
        say(&case, Some(&part), "<p>the number is 4111-1111</p>");
        let case = case.synced().await;
        assert_eq!(traces(&case, "4111-1111").await, 1);
        say(&case, Some(&part), "<p>never mind</p>");
        case.change(Mutation::grow(Kind::Conversation, 1).parts(0).ago(10));
        case.run(1).await;
        assert_eq!((traces(&case, "4111-1111").await, traces(&case, "never mind").await), (0, 1));
    }

    a_redacted_part_leaves_no_trace_of_what_it_said {
        let case = Case::of(silent()).await;
        case.change(Mutation::grow(Kind::Conversation, 1).parts(1).ago(4_000));
        let part = case.ids(Kind::Part)[0].clone();
        say(&case, Some(&part), "<p>the number is 4111-1111</p>");
        let case = case.synced().await;
        assert_eq!(traces(&case, "4111-1111").await, 1);
        case.change(Mutation::redact(1).ago(10));
        case.run(1).await;
        assert_eq!(traces(&case, "4111-1111").await, 0);
    }

    a_redacted_first_message_leaves_no_trace_of_what_it_said {
        let case = Case::of(silent()).await;
        say(&case, None, "<p>the number is 4111-1111</p>");
        let case = case.synced_with(1).await;
        assert_eq!(traces(&case, "4111-1111").await, 2, "in the stub and in its first message");
        case.change(Mutation::redact(1).ago(10));
        case.run(1).await;
        assert_eq!(traces(&case, "4111-1111").await, 0);
    }

    a_redaction_is_not_undone_by_an_answer_that_was_under_way {
        let case = Case::of(silent()).await;
        case.change(Mutation::grow(Kind::Conversation, 1).parts(1).ago(4_000));
        let part = case.ids(Kind::Part)[0].clone();
        say(&case, Some(&part), "<p>the number is 4111-1111</p>");
        let late = case.fault(Fault::new(FaultAction::Hold { after: 0 }).operation("get_conversation").times(1));
        let case = case.connect().await;
        case.until_hit(late).await;
        case.change(Mutation::redact(1));
        case.let_go(late);
        case.complete().await;
        case.within(case.first());
        // Its thread; and once more where it was fetched within two seconds of its change.
        case.run(2).await;
        assert_eq!(traces(&case, "4111-1111").await, 0);
    }

    a_bad_part_that_is_redacted_leaves_no_trace_in_quarantine {
        let case = Case::of(silent()).await;
        case.change(Mutation::grow(Kind::Conversation, 1).parts(1).ago(4_000));
        let part = case.workspace.truth().into_iter().find(|line| line.kind == Kind::Part).unwrap();
        let mut bad = part.value();
        bad["created_at"] = "the number is 4111-1111".into();
        assert!(case.workspace.put_raw(Kind::Part, &part.id, bad.to_string()));
        let case = case.connect().await;
        case.until("the thread is blocked", |status| status.threads.blocked == 1).await;
        assert_eq!(traces(&case, "4111-1111").await, 1);
        case.within(case.first());
        let mut good = part.value();
        good["redacted"] = true.into();
        assert!(case.workspace.put_raw(Kind::Part, &part.id, good.to_string()));
        case.change(Mutation::grow(Kind::Conversation, 1).parts(0).ago(10));
        case.run(1).await;
        assert_eq!(traces(&case, "4111-1111").await, 0);
    }

    notes_are_internal_and_nothing_else_is {
        let case = Case::of(WorkspaceSpec { conversations: 12, parts: 12.0, ..tiny() }).await.synced().await;
        let wrong = case
            .sql("SELECT p.kind, p.internal::text FROM parts p JOIN conversations c ON c.tenant_id = p.tenant_id AND c.id = p.conversation_id
                  WHERE c.connection_id = $1 AND p.internal <> (p.kind = 'note')")
            .await;
        assert_eq!(wrong, []);
        let notes = case
            .sql("SELECT p.kind, p.source_id FROM parts p JOIN conversations c ON c.tenant_id = p.tenant_id AND c.id = p.conversation_id
                  WHERE c.connection_id = $1 AND p.internal")
            .await;
        assert!(!notes.is_empty());
    }

    a_thread_that_answers_404_is_gone_and_keeps_its_parts {
        let case = Case::of(WorkspaceSpec { conversations: 4, parts: 4.0, ..tiny() }).await.synced().await;
        let threads = case.status().await.threads;
        let id = case.workspace.truth().into_iter().find(|line| line.kind == Kind::Part).unwrap().parent.unwrap();
        let parts = |case: &Case| case.workspace.truth().iter().filter(|line| line.kind == Kind::Part).count();
        let before = parts(&case);
        case.change(Mutation::grow(Kind::Conversation, 1).ids([id.clone()]).ago(10));
        // It is deleted between its stub's page and its own call.
        case.fault(Fault::status(404).path(format!("/conversations/{id}")));
        case.poll().await;
        case.within(2 + 1);
        let status = case.status().await.threads;
        assert_eq!((status.gone, status.complete), (1, threads.complete - 1));
        let held = case
            .sql("SELECT p.source_id, '' FROM parts p JOIN conversations c ON c.tenant_id = p.tenant_id AND c.id = p.conversation_id
                  WHERE c.connection_id = $1 AND p.source_id <> 'source'")
            .await;
        assert_eq!(held.len(), before);
    }

    a_thread_that_cannot_be_read_blocks_itself_alone_and_heals {
        let case = Case::of(WorkspaceSpec { conversations: 4, parts: 4.0, ..tiny() }).await;
        let garbled = FaultAction::Garble { how: Garble::WrongTypes, id: None, place: 0, part: true };
        case.fault(Fault::new(garbled).operation("get_conversation").times(1));
        let case = case.connect().await;
        case.until("one thread is blocked", |status| status.threads.blocked == 1 && status.threads.pending == 0).await;
        case.world.until_run_ends(case.connected()).await;
        case.within(case.first());
        case.sweep(1).await;
        case.exact().await;
        assert_eq!(case.status().await.threads.blocked, 0);
    }

    a_thread_that_stays_behind_its_stub_is_read_ever_less {
        let case = Case::of(WorkspaceSpec { conversations: 1, parts: 4.0, ..tiny() }).await.synced().await;
        case.world.until_run_ends(case.connected()).await;
        case.workspace.ledger().reset();
        // Its second call and its third wait to be let go: what the answer before left, stands.
        let hold = || case.fault(Fault::new(FaultAction::Hold { after: 0 }).operation("get_conversation").skip(1).times(1));
        let (second, third) = (hold(), hold());
        // As a stub said that is newer than whatever the thread's own call shows.
        case.sql(
            "WITH owed AS (
                UPDATE threads SET status = 'pending', due_at = now(), wanted_version = wanted_version + interval '1 hour'
                WHERE connection_id = $1
             )
             UPDATE streams SET due_at = now(), ticketed_at = NULL WHERE connection_id = $1 AND stream = 'threads'
             RETURNING stream, ''",
        )
        .await;
        let state = async |attempts: &str| -> f64 {
            let (tried, due) = case
                .sql("SELECT attempts::text, extract(epoch FROM due_at)::text FROM threads WHERE connection_id = $1")
                .await
                .remove(0);
            assert_eq!(tried, attempts);
            due.parse().unwrap()
        };
        case.until_hit(second).await;
        let first = state("1").await;
        case.let_go(second);
        case.until_hit(third).await;
        let wait = state("2").await - first;
        assert!(wait >= 6.0, "{wait} s after it was due it is due again: after the first answer it waited for three");
        assert!(!case.status().await.complete, "and nothing calls itself complete meanwhile");
        case.within(3);
        case.let_go(third);
    }
}
