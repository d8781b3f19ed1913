//! Merges: who was merged away keeps a row that leads to the survivor, and both parts of a merge stay readable.

use intercom_simulator::{Change, Kind, Mutation, WorkspaceSpec};

use super::{Case, cases, tiny};

/// Whom each merged contact leads to, by our own word.
async fn merged(case: &Case) -> Vec<(String, String)> {
    case.sql("SELECT source_id, merged_into FROM contact_sources WHERE connection_id = $1 AND merged_into IS NOT NULL")
        .await
}

fn people() -> WorkspaceSpec {
    WorkspaceSpec {
        contacts: 12,
        leads: 0.5,
        companies: 0,
        ..tiny()
    }
}

cases! {
    a_merge_whose_survivor_moves_is_followed_by_the_next_poll {
        let case = Case::of(people()).await.synced().await;
        let gone = case.change(Mutation::merge(2).ago(10));
        case.run(0).await;
        assert_eq!(merged(&case).await.len(), gone.len());
    }

    a_merge_with_an_unmoved_survivor_comes_with_the_next_walk {
        let case = Case::of(WorkspaceSpec { survivor_moves: false, ..people() }).await.synced().await;
        let gone = case.change(Mutation::merge(2));
        case.poll().await;
        case.within(2);
        assert_eq!(merged(&case).await, [], "no search shows it");
        case.sweep(0).await;
        assert_eq!(merged(&case).await.len(), gone.len());
        case.exact().await;
    }

    a_contact_merged_on_and_on_leads_to_the_last_survivor {
        let case = Case::of(people()).await.synced().await;
        for seed in 0..4 {
            case.change(Mutation::merge(2).seed(seed).ago(10));
            case.run(0).await;
        }
        assert!(merged(&case).await.len() >= 6);
    }

    a_merge_without_a_history_is_followed_by_its_410 {
        let case = Case::of(WorkspaceSpec { contacts: 3, leads: 0.0, ..people() }).await.synced().await;
        let first = case.ids(Kind::Contact)[0].clone();
        case.change(Mutation::merge(1).ids([first.clone()]).ago(10));
        let survivor = |id: &str| case.workspace.truth().into_iter().find(|line| line.id == id).unwrap().merged_into.unwrap();
        let second = survivor(&first);
        case.change(Mutation::merge(1).ids([second.clone()]).ago(10));
        let last = survivor(&second);
        // The history of who was merged first went with whom it was merged into.
        case.poll().await;
        case.within(2);
        assert_eq!(merged(&case).await, [(second.clone(), last.clone())]);
        case.sweep(0).await;
        case.sweep(1).await;
        assert_eq!(case.calls("get_contact"), 1);
        let mut both = vec![(first, last.clone()), (second, last)];
        both.sort();
        let mut held = merged(&case).await;
        held.sort();
        assert_eq!(held, both);
        case.exact().await;
    }

    contacts_merged_before_we_came_are_no_records_and_no_ghosts {
        let case = Case::of(WorkspaceSpec { merged_contacts: 3, deleted_contacts: 2, archived_contacts: 1, ..people() }).await;
        let case = case.synced().await;
        assert_eq!(merged(&case).await, []);
    }

    merged_conversations_are_both_held_and_the_second_is_closed {
        let case = Case::of(WorkspaceSpec { conversations: 6, ..tiny() }).await.synced().await;
        let secondary = case.change(Mutation::new(Change::Merge, Kind::Conversation, 1).ago(10));
        case.run(2).await;
        let events = case
            .sql("SELECT p.kind, c.source_id FROM parts p JOIN conversations c ON c.tenant_id = p.tenant_id AND c.id = p.conversation_id
                  WHERE c.connection_id = $1 AND p.kind = 'merged_primary_conversation'")
            .await;
        assert!(events.len() == 1 && events[0].1 != secondary[0], "{events:?}");
        let states = case.sql("SELECT source_id, state FROM conversations WHERE connection_id = $1").await;
        assert!(states.contains(&(secondary[0].clone(), "closed".to_owned())));
    }
}
