//! A proxy or a firewall between Intercom and us answers with a page of its own. That is an outage, whatever its status
//! says: nothing is blocked, deleted or forgotten, and the next good answer brings the data.

use intercom_simulator::{Fault, FaultAction};
use shared::{
    domain::{Mode, Stream},
    store::ConnectionState,
};

use crate::support::{Case, OBJECTS, cases, held, of, proxy_page, raw, rows, tiny};

/// An attempt meets this answer, and the next one waits until the test has looked. Threads meet it until then.
async fn a_page_of_a_proxy_is_an_outage(page: FaultAction, operation: &str, stream: Stream) {
    let case = Case::of(tiny()).await;
    let mut proxy = Fault::new(page).operation(operation);
    if stream != Stream::Threads {
        // A call is tried twice. After a few more attempts a walk looks for a record that is the cause.
        proxy = proxy.times(2);
    }
    let proxy = case.inject(proxy);
    let next = case.inject(held().operation(operation));
    let case = case.connect().await;
    let error = case.until_error(stream).await;
    assert!(error.contains("intercom is unavailable"), "{error}");
    let status = case.status().await;
    assert!(!status.complete && status.streams.iter().all(|s| s.blocked.is_none()));
    assert_eq!(case.connection_row().await.state, ConnectionState::Active);
    case.clear_fault(next);
    case.clear_fault(proxy);
    case.until_complete().await;
    assert_eq!(of(&case.status().await, stream).blocked, None);
    // What was held is the good answer.
    case.assert_exact_within(case.first_floor() + case.hits(proxy))
        .await;
    assert_eq!(case.status().await.threads.gone, 0);
}

/// A page in JSON that is not Intercom's error list.
fn json(status: u16) -> FaultAction {
    raw(
        status,
        br#"{"error":"forbidden","code":"forbidden"}"#.to_vec(),
    )
}

rows! { a_page_of_a_proxy_is_an_outage:
    a_401_page_in_place_of_contacts_is_an_outage(proxy_page(401), "list_contacts", Stream::Contacts);
    a_403_page_in_place_of_contacts_is_an_outage(proxy_page(403), "list_contacts", Stream::Contacts);
    a_407_page_in_place_of_stubs_is_an_outage(proxy_page(407), "search_conversations", Stream::Conversations);
    a_451_page_in_place_of_stubs_is_an_outage(proxy_page(451), "search_conversations", Stream::Conversations);
    a_404_page_in_place_of_the_scroll_is_an_outage(proxy_page(404), "scroll_companies", Stream::Companies);
    a_redirect_in_place_of_the_scroll_is_an_outage(proxy_page(302), "scroll_companies", Stream::Companies);
    a_200_page_in_place_of_stubs_is_an_outage(proxy_page(200), "search_conversations", Stream::Conversations);
    a_401_page_in_place_of_threads_is_an_outage(proxy_page(401), "get_conversation", Stream::Threads);
    a_404_page_in_place_of_threads_is_an_outage(proxy_page(404), "get_conversation", Stream::Threads);
    a_410_page_in_place_of_threads_is_an_outage(proxy_page(410), "get_conversation", Stream::Threads);
    a_403_page_in_place_of_tags_is_an_outage(proxy_page(403), "list_tags", Stream::Reference);
    foreign_json_in_place_of_threads_is_an_outage(json(403), "get_conversation", Stream::Threads);
    foreign_json_in_place_of_contacts_is_an_outage(json(402), "list_contacts", Stream::Contacts);
}

cases! {
    // `/me` decides between a missing scope and a dead token, so its answer must be Intercom's too.
    a_firewall_that_refuses_me_as_well_ends_no_connection {
        let case = Case::of(tiny()).await.synced().await;
        case.settle().await;
        for operation in ["search_contacts", "search_conversations", "me"] {
            case.inject(Fault::new(proxy_page(401)).operation(operation));
        }
        case.request(Mode::Incremental, OBJECTS).await;
        case.until_error(Stream::Contacts).await;
        case.until_error(Stream::Conversations).await;
        assert_eq!(case.connection_row().await.state, ConnectionState::Active);
        assert_eq!(case.calls("me"), 0, "what is no refusal is not asked about");
    }
}
