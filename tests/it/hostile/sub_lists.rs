//! Lists inside objects that are missing, null or cut: what they do not show is unknown, and never gone.

use intercom_simulator::{Fault, FaultAction, Kind, Mutation, WorkspaceSpec};
use serde_json::{Value, json};

use crate::support::{Case, cases, rows, tiny};

/// An object shows a list in another way wherever it stands, until the fault is cleared.
fn edited(id: &str, pointer: &str, value: Option<Value>) -> Fault {
    Fault::new(FaultAction::Edit {
        id: Some(id.to_owned()),
        pointer: pointer.to_owned(),
        value,
    })
}

/// A contact with a company, the contact's id first.
fn linked(case: &Case) -> String {
    case.live(Kind::Link)[0].parent.clone().unwrap()
}

/// A changed contact shows its companies in another way, so the whole list is asked for and its links stay.
async fn companies_that_a_contact_does_not_show_stay(pointer: &'static str, value: Option<Value>) {
    let case = Case::of(tiny()).await.synced().await;
    let contact = linked(&case);
    let cut = case.inject(edited(&contact, pointer, value).operation("search_contacts"));
    let contacts = || Mutation::update(Kind::Contact, 1).ids([contact.clone()]);
    case.mutate(contacts().ago(10));
    case.poll().await;
    // The whole list, and a scroll at the most.
    case.assert_calls_within(2 + 1 + 2);
    assert_eq!(case.calls("contact_companies"), 1);
    assert_only_bytes_differ(&case).await;

    // The whole list is cut as well.
    let nothing = FaultAction::Edit {
        id: None,
        pointer: "/data".to_owned(),
        value: Some(json!([])),
    };
    let nothing = case.inject(Fault::new(nothing).operation("contact_companies"));
    case.mutate(contacts().seed(1).ago(5));
    case.poll().await;
    assert_only_bytes_differ(&case).await;
    assert!(case.hits(cut) > 1 && case.hits(nothing) == 1);
    case.clear_fault(cut);
    case.mutate(contacts().seed(2));
    case.poll_exact(2).await;
}

/// One object is stored as it was sent, without the list. Everything that was read from earlier answers is still there.
async fn assert_only_bytes_differ(case: &Case) {
    let report = case.compare(&case.workspace.truth()).await;
    assert_eq!(
        (report.missing, report.extra, report.different),
        (0, 0, 1),
        "{report}"
    );
    assert!(report.to_string().contains("raw is"), "{report}");
}

rows! { companies_that_a_contact_does_not_show_stay:
    companies_of_a_contact_without_a_list_stay("/companies", None);
    companies_of_a_contact_with_null_for_a_list_stay("/companies", Some(Value::Null));
    companies_of_a_contact_with_null_for_entries_stay("/companies/data", Some(Value::Null));
    companies_of_a_contact_without_entries_stay("/companies/data", None);
    companies_beyond_a_list_that_counts_more_stay("/companies/data", Some(json!([])));
}

/// A changed conversation shows its people or tags in another way, in its stub and in its thread.
async fn a_list_that_a_conversation_does_not_show_stays(
    pointer: &'static str,
    value: Option<Value>,
) {
    let spec = WorkspaceSpec {
        conversations: 10,
        ..tiny()
    };
    let case = Case::of(spec).await.synced().await;
    let is_tagged = |line: &Value| {
        line["tags"]["tags"]
            .as_array()
            .is_some_and(|tags| !tags.is_empty())
    };
    let lines = case.live(Kind::Conversation);
    let line = lines
        .iter()
        .find(|line| is_tagged(&line.value()))
        .unwrap_or(&lines[0]);
    let cut = case.inject(edited(&line.id, pointer, value));
    let before = case.tags_and_people(&line.id).await;
    let update = || Mutation::update(Kind::Conversation, 1).ids([line.id.clone()]);
    case.mutate(update().ago(10));
    case.poll().await;
    case.assert_calls_within(2 + 1);
    assert_only_bytes_differ(&case).await;
    assert_eq!(case.tags_and_people(&line.id).await, before);
    assert!(case.hits(cut) > 1, "the stub and the thread");
    case.clear_fault(cut);
    case.mutate(update().seed(1).ago(5));
    case.poll_exact(1).await;
}

rows! { a_list_that_a_conversation_does_not_show_stays:
    people_of_a_conversation_without_a_list_stay("/contacts", None);
    people_of_a_conversation_with_null_stay("/contacts", Some(Value::Null));
    people_of_a_conversation_without_entries_stay("/contacts/contacts", None);
    people_beyond_a_list_that_counts_more_stay("/contacts", Some(json!({"contacts": [], "total_count": 1})));
    tags_of_a_conversation_without_a_list_stay("/tags", None);
    tags_of_a_conversation_with_null_stay("/tags/tags", Some(Value::Null));
    tags_beyond_a_list_that_counts_more_stay("/tags", Some(json!({"tags": [], "total_count": 9})));
}

/// Every page that has a next one names it in this way.
fn next_page(value: Value) -> FaultAction {
    FaultAction::Edit {
        id: None,
        pointer: "/pages/next".to_owned(),
        value: Some(value),
    }
}

/// The first page names the next one in a way that cannot be asked for, which is an error and not the end.
async fn a_page_that_cannot_be_asked_for_is_not_the_end(operation: &'static str, next: Value) {
    let spec = WorkspaceSpec {
        contacts: 160,
        conversations: 160,
        parts: 0.0,
        companies: 0,
        ..tiny()
    };
    let case = Case::of(spec).await;
    let named = case.inject(Fault::new(next_page(next)).operation(operation));
    let case = case.connect().await;
    case.until_hits(named, 2).await;
    assert!(!case.status().await.complete);
    case.clear_fault(named);
    case.retry_now().await;
    case.assert_exact().await;
}

rows! { a_page_that_cannot_be_asked_for_is_not_the_end:
    a_page_of_contacts_named_by_a_number_is_not_the_end("list_contacts", json!(2));
    a_page_of_contacts_named_by_a_count_is_not_the_end("list_contacts", json!({"page": 2}));
    a_page_of_contacts_named_by_a_url_is_not_the_end("list_contacts", json!("https://api.intercom.io/contacts?page=2"));
    a_page_of_stubs_named_by_a_number_is_not_the_end("search_conversations", json!(2));
    a_page_of_stubs_named_by_a_url_is_not_the_end("search_conversations", json!("https://api.intercom.io/conversations?page=2&per_page=150"));
}

cases! {
    a_cursor_in_a_url_is_followed_and_the_url_is_not {
        let spec = WorkspaceSpec { contacts: 320, conversations: 320, parts: 0.0, companies: 0, ..tiny() };
        let case = Case::of(spec).await;
        let urls = case.inject(Fault::new(FaultAction::CursorInUrl));
        let case = case.synced().await;
        assert!(case.hits(urls) > 0 && case.calls("list_contacts") == 3);
    }
}
