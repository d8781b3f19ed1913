//! Merges: a contact that was merged keeps a row that leads to the survivor, and both parts of a merge stay readable.

use intercom_simulator::{Change, Kind, Mutation, WorkspaceSpec};

use crate::support::{Case, cases, tiny};

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
        let gone = case.mutate(Mutation::merge(2).ago(10));
        case.poll_exact(0).await;
        assert_eq!(case.merged().await.len(), gone.len());
    }

    a_merge_with_an_unmoved_survivor_comes_with_the_next_walk {
        let case = Case::of(WorkspaceSpec { survivor_moves: false, ..people() }).await.synced().await;
        let gone = case.mutate(Mutation::merge(2));
        case.poll().await;
        case.assert_calls_within(2);
        assert_eq!(case.merged().await, [], "no search shows it");
        case.full_walk(0).await;
        assert_eq!(case.merged().await.len(), gone.len());
        case.assert_exact().await;
    }

    a_contact_merged_on_and_on_leads_to_the_last_survivor {
        let case = Case::of(people()).await.synced().await;
        for seed in 0..4 {
            case.mutate(Mutation::merge(2).seed(seed).ago(10));
            case.poll_exact(0).await;
        }
        assert!(case.merged().await.len() >= 6);
    }

    a_merge_without_a_history_is_followed_by_its_410 {
        let case = Case::of(WorkspaceSpec { contacts: 3, leads: 0.0, ..people() }).await.synced().await;
        let first = case.ids(Kind::Contact)[0].clone();
        case.mutate(Mutation::merge(1).ids([first.clone()]).ago(10));
        // The simulator chooses the survivor.
        let survivor = |id: &str| case.workspace.truth().into_iter().find(|line| line.id == id).unwrap().merged_into.unwrap();
        let second = survivor(&first);
        case.mutate(Mutation::merge(1).ids([second.clone()]).ago(10));
        let last = survivor(&second);
        // The history of the first merge went with the contact that it was merged into.
        case.poll().await;
        case.assert_calls_within(2);
        assert_eq!(case.merged().await, [(second.clone(), last.clone())]);
        case.full_walk(0).await;
        case.full_walk(1).await;
        assert_eq!(case.calls("get_contact"), 1);
        let mut both = vec![(first, last.clone()), (second, last)];
        both.sort();
        assert_eq!(case.merged().await, both);
        case.assert_exact().await;
    }

    merged_conversations_are_both_held_and_the_second_is_closed {
        let case = Case::of(WorkspaceSpec { conversations: 6, ..tiny() }).await.synced().await;
        let secondary = case.mutate(Mutation::new(Change::Merge, Kind::Conversation, 1).ago(10));
        case.poll_exact(2).await;
        let mut events = case.stored_parts().await;
        events.retain(|part| part.kind == "merged_primary_conversation");
        assert!(events.len() == 1 && events[0].conversation != secondary[0], "{events:?}");
        let states = case.conversation_states().await;
        assert!(states.contains(&(secondary[0].clone(), "closed".to_owned())));
    }
}
