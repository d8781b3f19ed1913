//! The parts of the reference data do not depend on each other: a list that fails or is refused stops neither the other
//! lists, nor the deletions, nor the audit.

use intercom_simulator::{Fault, FaultAction, Kind, Mutation};
use shared::domain::{Mode, Stream};

use crate::support::{
    Case, cases, floors::reference, of, proxy_page, refusal, rows, tiny, wait_for,
};

const LISTS: [&str; 4] = ["list_admins", "list_teams", "list_tags", "list_segments"];

/// One part fails until the fault is cleared. All others are read, and are not read again when the part heals.
async fn one_part_fails(action: FaultAction, operation: &str) {
    let case = Case::of(tiny()).await.synced().await;
    case.mutate(Mutation::delete(Kind::Conversation, 1).ago(10));
    let fault = case.inject(Fault::new(action).operation(operation));
    case.begin_run(Mode::Incremental, &[Stream::Reference])
        .await;
    case.until_hit(fault).await;
    case.until_error(Stream::Reference).await;
    for other in LISTS {
        assert!(case.calls(other) > 0, "{other} is read");
    }
    assert!(case.calls("deleted_conversations") > 0);
    assert!(!case.status().await.complete);
    // The next attempt comes by itself. Made due after it, all parts would be read again.
    case.clear_fault(fault);
    case.until_complete().await;
    case.assert_exact_within(reference("2.16") + case.hits(fault))
        .await;
    assert_eq!(case.status().await.threads.gone, 1);
}

rows! { one_part_fails:
    tags_that_fail_stop_no_other_list(refusal(500, "server_error"), "list_tags");
    admins_that_fail_stop_no_other_list(refusal(503, "server_error"), "list_admins");
    segments_that_are_no_list_stop_no_other_list(proxy_page(200), "list_segments");
    teams_behind_a_firewall_stop_no_other_list(proxy_page(403), "list_teams");
    teams_that_are_not_found_stop_no_other_list(refusal(404, "not_found"), "list_teams");
    deletions_that_fail_stop_no_list(refusal(500, "server_error"), "deleted_conversations");
}

cases! {
    a_list_that_never_works_stops_no_deletion_and_no_audit {
        let case = Case::of(tiny()).await.synced().await;
        case.settle().await;
        let broken = case.inject(Fault::new(refusal(500, "server_error")).operation("list_tags"));
        case.mutate(Mutation::delete(Kind::Conversation, 1).ago(10));
        case.make_audit_due().await;
        case.until("it is deleted and audited", |status| {
            status.threads.gone == 1 && status.audit.is_some()
        })
        .await;
        let error = case.until_error(Stream::Reference).await;
        assert!(error.starts_with("tags could not be read: intercom is unavailable"), "{error}");
        // An hour later everything is read again, although the list still fails.
        let before = case.calls("list_admins");
        // Again and again, because an attempt under way saves the time that it has read.
        wait_for("the other lists are read anew", async || {
            if case.calls("list_admins") > before {
                return Ok(());
            }
            case.age_reference(2.0).await;
            Err("they are not".to_owned())
        })
        .await;
        case.clear_fault(broken);
        case.make_due(&[Stream::Reference]).await;
        case.until_complete().await;
        case.assert_exact().await;
    }

    a_refused_list_is_named_and_the_others_stay_fresh {
        let case = Case::of(tiny()).await.synced().await;
        case.settle().await;
        let refused = case.inject(Fault::new(refusal(403, "forbidden")).operation("list_tags"));
        case.request(Mode::Incremental, &[Stream::Reference]).await;
        case.until_blocked(Stream::Reference).await;
        let status = case.status().await;
        let why = of(&status, Stream::Reference).blocked.clone().unwrap();
        assert!(why.message.contains("tags") && why.code == "missing_scope", "{why:?}");
        // The next check reads all of it.
        let before = case.calls("list_admins");
        case.end_blocks().await;
        case.until("the other lists are read anew", |_| case.calls("list_admins") > before).await;
        case.until_slices(0).await;
        assert!(of(&case.status().await, Stream::Reference).blocked.is_some());
        case.clear_fault(refused);
        case.end_blocks().await;
        case.until_complete().await;
        case.assert_exact().await;
    }
}
