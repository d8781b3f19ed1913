//! A first sync brings everything, within the calls that it needs, and only by reading.

mod companies;
mod contacts;
mod conversations;
mod side_by_side;

use intercom_simulator::{Fault, FaultAction, Kind, Mutation, WorkspaceSpec};
use shared::domain::{Region, Stream};

pub(crate) use conversations::stubs;

use crate::support::{Case, World, cases, of, refusal, rows, tiny};

#[tokio::test(flavor = "multi_thread")]
async fn a_first_sync_is_exact_and_costs_the_floor() {
    let world = World::new().await;
    let case = world
        .connect(WorkspaceSpec {
            contacts: 700,
            companies: 250,
            conversations: 400,
            limit_per_window: 100_000,
            ..WorkspaceSpec::default()
        })
        .await;
    let _fleet = world.fleet(2);
    case.until_complete().await;
    case.assert_exact().await;

    let with_parts = case
        .live(Kind::Conversation)
        .iter()
        // A stub that counts no parts needs no call. A stub that does not count needs one.
        .filter(|line| line.value()["statistics"]["count_conversation_parts"] != 0)
        .count() as u64;
    // Pages of 150 contacts, 100 companies and the empty page that ends the scroll, pages of 150 stubs, a call a thread.
    assert_eq!(case.calls("list_contacts"), 5);
    assert_eq!(case.calls("scroll_companies"), 4);
    assert_eq!(case.calls("search_conversations"), 3);
    assert_eq!(case.calls("get_conversation"), with_parts);
    assert_eq!(case.workspace.ledger().throttled, 0);
}

/// A workspace of this size, with nothing in it that has ended.
async fn a_small_workspace_is_exact(
    contacts: u32,
    companies: u32,
    conversations: u32,
    spec: WorkspaceSpec,
) {
    let spec = WorkspaceSpec {
        contacts,
        companies,
        conversations,
        merged_contacts: 0,
        deleted_contacts: 0,
        archived_contacts: 0,
        deleted_conversations: 0,
        ..spec
    };
    Case::of(spec).await.synced().await;
}

fn dublin() -> WorkspaceSpec {
    WorkspaceSpec {
        region: "EU".to_owned(),
        timezone: "Europe/Dublin".to_owned(),
        ..tiny()
    }
}

rows! { a_small_workspace_is_exact:
    an_empty_workspace_is_exact(0, 0, 0, tiny());
    a_full_page_of_everything_is_exact(150, 100, 150, tiny());
    one_of_everything_in_another_region_is_exact(1, 1, 1, dublin());
}

pub(crate) fn everything() -> WorkspaceSpec {
    WorkspaceSpec {
        contacts: 20,
        companies: 6,
        conversations: 15,
        parts: 5.0,
        leads: 0.4,
        ..tiny()
    }
}

async fn a_first_sync_is_exact(version: &'static str) {
    Case::of(everything()).await.version(version).synced().await;
}

rows! { a_first_sync_is_exact:
    a_first_sync_is_exact_in_2_15("2.15");
    a_first_sync_is_exact_in_2_16("2.16");
    a_first_sync_is_exact_in_2_17("2.17");
}

cases! {
    // Pages move while they are read, so a record can move to a page that was read before.
    pages_that_move_lose_no_record {
        let case = Case::of(WorkspaceSpec { contacts: 320, conversations: 320, parts: 0.0, companies: 0, ..tiny() }).await;
        let late = [case.hold_second_page("list_contacts"), case.hold_second_page("search_conversations")];
        let case = case.connect().await;
        for late in late {
            case.until_hit(late).await;
        }
        let contacts = case.mutate(Mutation::add(Kind::Contact, 5));
        let conversations = case.mutate(Mutation::add(Kind::Conversation, 5));
        for late in late {
            case.clear_fault(late);
        }
        case.until_complete().await;
        let status = case.status().await;
        let counted = |stream| (of(&status, stream).held, of(&status, stream).expected);
        assert_eq!(counted(Stream::Contacts), (320 + contacts.len() as i64, Some(325)));
        assert_eq!(counted(Stream::Conversations), (320 + conversations.len() as i64, Some(325)));
        // Once more the threads that were fetched within two seconds of their beginning.
        case.assert_exact_within(case.first_floor() + 5).await;
    }

    a_workspace_of_another_region_is_found_from_the_wrong_door {
        let case = Case::of(WorkspaceSpec { region: "AU".to_owned(), ..tiny() }).await.region(Region::Eu);
        // The European host does not know the token. The American one leads on.
        let refused = case.inject(Fault::new(refusal(401, "unauthorized")).operation("me").times(1));
        let case = case.synced_with(1).await;
        assert_eq!(case.hits(refused), 1);
        assert_eq!(case.connection_row().await.region, Region::Au);
    }

    a_region_that_no_answer_names_is_the_one_that_answered {
        let case = Case::of(tiny()).await.region(Region::Eu);
        // The European host does not know the token. The American one does, and does not say where the workspace is.
        let refused = case.inject(Fault::new(refusal(401, "unauthorized")).operation("me").times(1));
        let nowhere = FaultAction::Edit { id: None, pointer: "/app/region".to_owned(), value: None };
        let nowhere = case.inject(Fault::new(nowhere).operation("me").times(1));
        let case = case.synced_with(1).await;
        assert_eq!((case.hits(refused), case.hits(nowhere)), (1, 1));
        assert_eq!(case.connection_row().await.region, Region::Us);
    }

    a_guessed_region_that_is_down_does_not_spend_the_flow {
        let case = Case::of(WorkspaceSpec { region: "EU".to_owned(), ..tiny() }).await;
        // The American host is away, and so is the customer's guess with it.
        let away = case.inject(Fault::new(FaultAction::Html { status: 502 }).operation("me").times(1));
        let case = case.synced_with(1).await;
        assert_eq!(case.hits(away), 1);
        assert_eq!(case.connection_row().await.region, Region::Eu);
    }

    contacts_merged_before_we_came_are_no_records {
        let case = Case::of(WorkspaceSpec { merged_contacts: 3, deleted_contacts: 2, archived_contacts: 1, ..tiny() }).await;
        let case = case.synced().await;
        assert_eq!(case.merged().await, []);
    }

    conversations_deleted_before_we_came_are_no_records {
        Case::of(WorkspaceSpec { deleted_conversations: 3, ..tiny() }).await.synced().await;
    }
}
