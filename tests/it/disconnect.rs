//! After a disconnect nothing is written, and no token is left.

use intercom_simulator::WorkspaceSpec;
use reqwest::Method;
use shared::{completeness::SyncStatus, domain::Stream};

use crate::support::{Caller, World, held, of};

fn workspace() -> WorkspaceSpec {
    WorkspaceSpec {
        contacts: 60,
        companies: 20,
        conversations: 200,
        limit_per_window: 100_000,
        ..WorkspaceSpec::default()
    }
}

/// Whether all streams but one have ended their walks, so that no call is on its way but those of that one.
fn others_have_ended(status: &SyncStatus, stream: Stream) -> bool {
    let mut others = status.streams.iter().filter(|of| of.stream != stream);
    others.all(|of| of.last_ok_at.is_some())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_after_a_disconnect_in_mid_run() {
    let world = World::with(&[("CONVERSATION_CONCURRENCY", "10")]).await;
    let base = world.api().await;
    let case = world.connect(workspace()).await;
    // Some of a slice's threads are stored, others under way, and most are not asked for yet.
    let late = case.inject(held().operation("get_conversation").skip(20));
    let _fleet = world.fleet(2);
    case.until("some threads are held", |status| {
        let parts = of(status, Stream::Threads).held;
        others_have_ended(status, Stream::Threads)
            && case.hits(late) == 10
            && parts > 0
            && status.threads.pending > 60
    })
    .await;

    let caller = Caller::service(&world, &base, Some(case.tenant));
    // The product backend asks for the end while slices are under way.
    let (status, _) = caller
        .call(
            Method::DELETE,
            &format!("/v1/connections/{}", case.connection()),
            None,
        )
        .await;
    assert_eq!(status, 202);
    let (written, calls) = (case.written().await, case.all_calls());
    // Their answers come now, and find the connection ended.
    case.clear_fault(late);
    case.until_slices(0).await;
    assert_eq!(case.written().await, written);
    assert_eq!(
        case.all_calls(),
        calls,
        "only those finish that were under way"
    );
    assert_eq!(case.tokens().await, Vec::<String>::new());
    // What was held stays readable, and asking again changes nothing.
    assert!(
        !caller.get("/v1/contacts").await["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        caller
            .call(
                Method::DELETE,
                &format!("/v1/connections/{}", case.connection()),
                None
            )
            .await
            .0,
        202
    );
    assert_eq!(
        caller
            .get(&format!("/v1/connections/{}", case.connection()))
            .await["state"],
        "disconnected"
    );
}

/// A page of contacts asks for the companies of each, some at a time, before anything is stored.
#[tokio::test(flavor = "multi_thread")]
async fn no_call_begins_after_a_disconnect_in_mid_page() {
    let world = World::with(&[("CONVERSATION_CONCURRENCY", "10")]).await;
    let base = world.api().await;
    let spec = WorkspaceSpec {
        contacts_over_10_companies: 1.0,
        conversations: 0,
        ..workspace()
    };
    let case = world.case(spec).await;
    let late = case.inject(held().operation("contact_companies").skip(5));
    let case = case.connect().await;
    let _fleet = world.fleet(1);
    case.until("a page is being read", |status| {
        others_have_ended(status, Stream::Contacts) && case.hits(late) == 10
    })
    .await;

    let caller = Caller::service(&world, &base, Some(case.tenant));
    let (status, _) = caller
        .call(
            Method::DELETE,
            &format!("/v1/connections/{}", case.connection()),
            None,
        )
        .await;
    assert_eq!(status, 202);
    let calls = case.all_calls();
    // Ten of sixty get their answers now.
    case.clear_fault(late);
    case.until_slices(0).await;
    assert_eq!(case.all_calls(), calls);
    assert_eq!(case.written().await, (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_leaves_no_row() {
    let world = World::new().await;
    let base = world.api().await;
    let case = world.connect(workspace()).await;
    let _fleet = world.fleet(1);
    case.until_complete().await;
    let caller = Caller::service(&world, &base, Some(case.tenant));
    let path = format!("/v1/connections/{}?data=purge", case.connection());
    assert_eq!(caller.call(Method::DELETE, &path, None).await.0, 202);
    case.until_purged().await;
    for table in ["contacts", "companies", "conversations"] {
        assert_eq!(
            caller.get(&format!("/v1/{table}?include=deleted")).await["items"],
            serde_json::json!([]),
            "{table}"
        );
    }
    assert_eq!(case.written().await, (0, 0));
}
