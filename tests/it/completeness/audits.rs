//! The daily audit of what is called complete, by another way than the walks.

use chrono::{TimeDelta, Utc};
use intercom_simulator::{Fault, FaultAction, WorkspaceSpec};
use shared::domain::Mode;

use super::noted;
use crate::support::{
    Case, OBJECTS, cases,
    floors::{reference, threads},
    tiny,
};

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
    an_audit_of_an_exact_copy_makes_nothing_due {
        let case = Case::of(tiny()).await.synced().await;
        case.reset_calls();
        case.make_audit_due().await;
        audited(&case, (0, 0, 0)).await;
        case.until_complete().await;
        // The lists, the deletions, two counts, a call for each thread of the sample.
        let sample = threads(&case.workspace.truth()).min(4);
        assert_eq!(case.all_calls(), audit(&case));
        assert_eq!(case.status().await.audit.unwrap().threads_read, sample as i32);
        case.assert_exact().await;
    }

    an_audit_finds_a_lost_contact_and_a_full_walk_brings_it_back {
        let case = Case::of(tiny()).await.synced().await;
        case.lose_a_contact().await;
        assert!(case.status().await.complete, "nothing has noticed yet: that is the point");
        case.settle().await;
        case.make_audit_due().await;
        audited(&case, (1, 0, 0)).await;
        case.until_complete().await;
        // And the walk through contacts.
        case.assert_exact_within(audit(&case) + 1).await;
    }

    an_audit_finds_a_lost_conversation {
        let case = Case::of(tiny()).await.synced().await;
        case.lose_a_conversation().await;
        case.settle().await;
        case.make_audit_due().await;
        audited(&case, (0, 1, 0)).await;
        case.until_complete().await;
        // And the walk through conversations, and the thread of the lost one.
        case.assert_exact_within(audit(&case) + 1 + 1).await;
    }

    an_audit_finds_a_short_thread_and_rereads_every_thread {
        let case = Case::of(WorkspaceSpec { conversations: 9, ..tiny() }).await.synced().await;
        // One part of each thread: more than a sample shows.
        let lost = case.lose_a_part_of_each_thread().await;
        assert!(lost > 4, "{lost}");
        assert!(case.status().await.complete, "nothing has noticed yet: that is the point");
        case.settle().await;
        case.make_audit_due().await;
        audited(&case, (0, 0, 4)).await;
        // Not complete from that moment on.
        case.until_complete().await;
        // And the walk through conversations, with every thread.
        case.assert_exact_within(audit(&case) + 1 + threads(&case.workspace.truth())).await;
    }

    a_reconcile_run_reads_every_thread_again_and_repairs_it {
        let case = Case::of(tiny()).await.synced().await;
        case.lose_all_parts().await;
        case.full_walk(0).await;
        assert_eq!(case.calls("get_conversation"), 0, "a full walk trusts what is called complete");
        case.sync(Mode::Reconcile, OBJECTS).await;
        case.assert_exact_within(case.walk_floor() + threads(&case.workspace.truth())).await;
        assert_eq!(case.calls("get_conversation"), threads(&case.workspace.truth()));
    }

    a_count_that_is_always_off_costs_one_walk_and_is_told {
        let case = Case::of(tiny()).await.synced().await;
        let body = r#"{"type":"list","data":[],"total_count":8,"pages":{"type":"pages","page":1,"total_pages":1}}"#;
        let answer = FaultAction::Status { status: 200, body: Some(body.to_owned()), headers: Vec::new() };
        case.inject(Fault::new(answer).operation("search_contacts"));
        case.settle().await;
        for _ in 0..2 {
            case.make_audit_due().await;
            audited(&case, (2, 0, 0)).await;
            case.until("the audit is new", |status| {
                status.complete && status.audit.is_some_and(|audit| audit.audited_at > Utc::now() - TimeDelta::hours(1))
            })
            .await;
            assert_eq!(case.calls("list_contacts"), 1);
        }
        // Twice the audit, and once the walk through contacts.
        case.assert_calls_within(2 * audit(&case) + 1);
        assert_eq!(noted(&case, "count_differs").await.count, Some(2));
    }
}
