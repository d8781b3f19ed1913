//! Conversations, threads and parts, column by column.

use super::*;

/// A conversation with a first message and one part, and the copy of all three.
pub(super) struct Talk {
    pub(super) truth: Vec<TruthLine>,
    stored: StoredConversation,
    first: StoredPart,
    part: StoredPart,
}

pub(super) fn talk() -> Talk {
    let source = json!({"type": "email", "id": "5", "body": "hi", "author": {"type": "user", "id": "c", "name": "Ann"}, "redacted": false});
    let conversation = json!({
        "id": "v", "title": "T", "state": "open", "open": true, "priority": "high", "admin_assignee_id": 3,
        "team_assignee_id": 4, "tags": {"tags": [{"name": "b"}, {"name": "a"}]}, "source": source,
        "contacts": {"contacts": [{"id": "c"}]}, "created_at": 10, "updated_at": 30, "statistics": {"count_conversation_parts": 1}
    });
    let part = json!({
        "id": "p", "part_type": "note", "body": "<p>x</p>", "author": {"type": "admin", "id": "3", "name": "Bo"},
        "redacted": false, "created_at": 20, "updated_at": 25
    });
    let id = Uuid::from_u128(1);
    let text = |text: &str| Some(text.to_owned());
    let stored = StoredConversation {
        id,
        source_id: "v".to_owned(),
        title: text("T"),
        state: text("open"),
        open: true,
        priority: text("high"),
        admin_assignee_id: text("3"),
        team_assignee_id: text("4"),
        tags: vec!["b".to_owned(), "a".to_owned()],
        contacts: vec!["c".to_owned()],
        source_created_at: at(10),
        source_updated_at: at(30),
        deleted_at: None,
        sanitised: false,
        raw: conversation.to_string().into_bytes(),
        thread: Some(StoredThread {
            status: "complete".to_owned(),
            held: 1,
            expected: Some(1),
        }),
    };
    let held_part = StoredPart {
        conversation_id: id,
        conversation_source_id: "v".to_owned(),
        source_id: "p".to_owned(),
        kind: "note".to_owned(),
        author_kind: text("admin"),
        author_source_id: text("3"),
        author_name: text("Bo"),
        body: text("<p>x</p>"),
        redacted: false,
        internal: true,
        source_created_at: at(20),
        source_updated_at: at(25),
        sanitised: false,
        raw: part.to_string().into_bytes(),
    };
    let first = StoredPart {
        source_id: "source".to_owned(),
        kind: "source".to_owned(),
        author_kind: text("user"),
        author_source_id: text("c"),
        author_name: text("Ann"),
        body: text("hi"),
        internal: false,
        source_created_at: at(10),
        source_updated_at: at(30),
        raw: source.to_string().into_bytes(),
        ..held_part.clone()
    };
    let truth = vec![
        line(Kind::Conversation, "v", None, &conversation),
        line(Kind::Part, "p", Some("v"), &part),
    ];
    Talk {
        truth,
        stored,
        first,
        part: held_part,
    }
}

#[test]
fn each_column_of_a_conversation_and_of_its_thread() {
    let Talk {
        truth,
        stored,
        first,
        part,
    } = talk();
    let feed = |check: &mut Comparison<'_>, stored: &StoredConversation| {
        check.conversation(stored);
        check.part(&first);
        check.part(&part);
    };
    each_is_noticed(
        &truth,
        &stored,
        feed,
        &[
            |v| v.title = None,
            |v| v.state = None,
            |v| v.open = false,
            |v| v.priority = None,
            |v| v.admin_assignee_id = None,
            |v| v.team_assignee_id = None,
            |v| v.tags.reverse(),
            |v| v.contacts.clear(),
            |v| v.source_created_at = at(11),
            |v| v.source_updated_at = at(31),
            |v| v.deleted_at = Some(at(1)),
            |v| v.raw = b"{}".to_vec(),
            |v| v.thread.as_mut().unwrap().status = "pending".to_owned(),
            |v| v.thread.as_mut().unwrap().status = "truncated".to_owned(),
            |v| v.thread.as_mut().unwrap().expected = None,
            |v| v.thread.as_mut().unwrap().expected = Some(2),
        ],
    );
    // A thread that claims more or less than there is differs from the truth and from its own parts.
    for claimed in [0, 2] {
        let mut wrong = stored.clone();
        wrong.thread.as_mut().unwrap().held = claimed;
        assert_eq!(
            found(&truth, |check| feed(check, &wrong)),
            (0, 0, 2),
            "{claimed}"
        );
    }
    let none = StoredConversation {
        thread: None,
        ..stored
    };
    assert_eq!(found(&truth, |check| feed(check, &none)), (0, 0, 2));
}

#[test]
fn each_column_of_a_part_and_of_a_first_message() {
    let Talk {
        truth,
        stored,
        first,
        part,
    } = talk();
    let changes: [fn(&mut StoredPart); 10] = [
        |p| p.kind = "other".to_owned(),
        |p| p.author_kind = None,
        |p| p.author_source_id = None,
        |p| p.author_name = None,
        |p| p.body = None,
        |p| p.redacted = true,
        |p| p.internal = !p.internal,
        |p| p.source_created_at = at(12),
        |p| p.source_updated_at = at(31),
        |p| p.raw = b"{}".to_vec(),
    ];
    let with_part = |check: &mut Comparison<'_>, part: &StoredPart| {
        check.conversation(&stored);
        check.part(&first);
        check.part(part);
    };
    each_is_noticed(&truth, &part, with_part, &changes);
    let with_first = |check: &mut Comparison<'_>, first: &StoredPart| {
        check.conversation(&stored);
        check.part(first);
        check.part(&part);
    };
    each_is_noticed(&truth, &first, with_first, &changes);
}

#[test]
fn a_part_of_another_conversation_does_not_stand_in() {
    let Talk {
        truth,
        stored,
        first,
        mut part,
    } = talk();
    part.conversation_source_id = "w".to_owned();
    let (missing, extra, _) = found(&truth, |check| {
        check.conversation(&stored);
        check.part(&first);
        check.part(&part);
    });
    assert_eq!((missing, extra), (1, 1));
}
