//! Faults that pass: waited out, and never taken for data.

use intercom_simulator::{Fault, FaultAction, WorkspaceSpec};
use shared::{completeness::StreamActivity, domain::Stream};

use crate::support::{Case, cases, tiny, wait_for};

fn workspace() -> WorkspaceSpec {
    WorkspaceSpec {
        contacts: 200,
        companies: 120,
        conversations: 60,
        ..tiny()
    }
}

cases! {
    passing_faults_are_waited_out_and_never_taken_for_data {
        let case = Case::of(workspace()).await;
        let mut faults = Vec::new();
        for operation in ["list_contacts", "scroll_companies", "search_conversations", "get_conversation", "list_tags"] {
            for action in [
                FaultAction::Status { status: 503, body: None, headers: Vec::new() },
                FaultAction::Reset,
                FaultAction::Truncate { keep: 60 },
                FaultAction::Html { status: 200 },
                FaultAction::Html { status: 502 },
                FaultAction::Empty,
            ] {
                // Each call of an operation meets the next fault, until all are spent.
                faults.push(case.inject(Fault::new(action).operation(operation).times(1)));
            }
        }
        let case = case.connect().await;
        // The last fault of the scroll.
        case.until_hit(faults[11]).await;
        // The one that was cut short is open in Intercom, and its minute need not be waited for.
        case.workspace.release_scroll();
        case.until_complete().await;
        case.assert_exact().await;
        let hit = faults.iter().filter(|fault| case.hits(**fault) > 0).count();
        assert_eq!(hit, faults.len(), "every fault was met");
    }

    an_outage_of_threads_is_waited_out_and_blocks_none {
        let case = Case::of(WorkspaceSpec { conversations: 60, ..tiny() }).await;
        let outage = case.inject(Fault::status(503).operation("get_conversation"));
        let case = case.connect().await;
        // Calls that were made count, however few the breaker lets go.
        wait_for("threads have failed three times", async || {
            let failed = case.failed_attempts_of(Stream::Threads).await;
            if failed >= 3 { Ok(()) } else { Err(format!("{failed} times")) }
        })
        .await;
        assert_eq!(case.stream(Stream::Threads).await.status, StreamActivity::Failed);
        assert_eq!(case.runs().await[0].1, "running", "a run without its threads has not ended");
        case.clear_fault(outage);
        case.until_complete().await;
        assert_eq!(case.status().await.threads.blocked, 0);
        case.assert_exact().await;
    }

    // An answer may be an error and have the form of an empty page.
    error_bodies_are_not_taken_for_data {
        let case = Case::of(WorkspaceSpec { contacts: 160, ..tiny() }).await;
        let body = r#"{"type":"list","data":[],"total_count":0,"errors":[{"code":"x"}]}"#;
        for (operation, status) in [("list_contacts", 429), ("scroll_companies", 500), ("search_conversations", 503), ("list_tags", 500), ("get_conversation", 502)] {
            let action = FaultAction::Status { status, body: Some(body.to_owned()), headers: vec![("retry-after".to_owned(), "1".to_owned())] };
            case.inject(Fault::new(action).operation(operation).times(1));
        }
        // The refused window interrupts the lists of reference data, which then come once more.
        case.synced_with(5 + 8).await;
    }
}
