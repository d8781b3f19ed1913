//! What was taken back leaves no trace in any column, any raw bytes, or the quarantine.

use intercom_simulator::{Kind, Mutation};

use super::silent;
use crate::support::{Case, cases, held};

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
    an_edited_part_leaves_no_trace_of_what_it_said {
        let case = Case::of(silent()).await;
        case.mutate(Mutation::grow(Kind::Conversation, 1).parts(3).ago(4_000));
        let part = case.ids(Kind::Part)[1].clone();
        say(&case, Some(&part), "<p>the number is 4111-1111</p>");
        let case = case.synced().await;
        assert_eq!(case.places_of("4111-1111").await, 1);
        say(&case, Some(&part), "<p>never mind</p>");
        case.mutate(Mutation::grow(Kind::Conversation, 1).parts(0).ago(10));
        case.poll_exact(1).await;
        assert_eq!((case.places_of("4111-1111").await, case.places_of("never mind").await), (0, 1));
    }

    a_redacted_part_leaves_no_trace_of_what_it_said {
        let case = Case::of(silent()).await;
        case.mutate(Mutation::grow(Kind::Conversation, 1).parts(1).ago(4_000));
        let part = case.ids(Kind::Part)[0].clone();
        say(&case, Some(&part), "<p>the number is 4111-1111</p>");
        let case = case.synced().await;
        assert_eq!(case.places_of("4111-1111").await, 1);
        case.mutate(Mutation::redact(1).ago(10));
        case.poll_exact(1).await;
        assert_eq!(case.places_of("4111-1111").await, 0);
    }

    a_redacted_first_message_leaves_no_trace_of_what_it_said {
        let case = Case::of(silent()).await;
        say(&case, None, "<p>the number is 4111-1111</p>");
        let case = case.synced_with(1).await;
        assert_eq!(case.places_of("4111-1111").await, 2, "in the stub and in its first message");
        case.mutate(Mutation::redact(1).ago(10));
        case.poll_exact(1).await;
        assert_eq!(case.places_of("4111-1111").await, 0);
    }

    a_redaction_is_not_undone_by_an_answer_that_was_under_way {
        let case = Case::of(silent()).await;
        case.mutate(Mutation::grow(Kind::Conversation, 1).parts(1).ago(4_000));
        let part = case.ids(Kind::Part)[0].clone();
        say(&case, Some(&part), "<p>the number is 4111-1111</p>");
        let late = case.inject(held().operation("get_conversation").times(1));
        let case = case.connect().await;
        case.until_hit(late).await;
        case.mutate(Mutation::redact(1));
        case.clear_fault(late);
        case.until_complete().await;
        case.assert_calls_within(case.first_floor());
        // Its thread, and once more if it was fetched within two seconds of its change.
        case.poll_exact(2).await;
        assert_eq!(case.places_of("4111-1111").await, 0);
    }

    a_bad_part_that_is_redacted_leaves_no_trace_in_quarantine {
        let case = Case::of(silent()).await;
        case.mutate(Mutation::grow(Kind::Conversation, 1).parts(1).ago(4_000));
        let part = case.workspace.truth().into_iter().find(|line| line.kind == Kind::Part).unwrap();
        // A date that is text makes the part unreadable, and the text is what must vanish.
        let mut bad = part.value();
        bad["created_at"] = "the number is 4111-1111".into();
        assert!(case.workspace.put_raw(Kind::Part, &part.id, bad.to_string()));
        let case = case.connect().await;
        case.until("the thread is blocked", |status| status.threads.blocked == 1).await;
        assert_eq!(case.places_of("4111-1111").await, 1);
        case.assert_calls_within(case.first_floor());
        let mut good = part.value();
        good["redacted"] = true.into();
        assert!(case.workspace.put_raw(Kind::Part, &part.id, good.to_string()));
        case.mutate(Mutation::grow(Kind::Conversation, 1).parts(0).ago(10));
        case.poll_exact(1).await;
        assert_eq!(case.places_of("4111-1111").await, 0);
    }
}
