//! The fleet spends exactly the rate limit, with real processes and a real Redis. The simulated fleet is in
//! `tests/simulation`.

mod absurd;
mod breaker;
mod conformance;
mod kept;
mod processes;
mod response_memory;
mod scope;

use intercom_simulator::WorkspaceSpec;

use crate::support::{Case, cases, tiny};

cases! {
    a_tiny_rate_limit_is_kept_and_the_copy_is_exact {
        let spec = WorkspaceSpec { contacts: 10, companies: 5, conversations: 30, limit_per_window: 20, ..tiny() };
        let case = Case::of(spec).await.connect().await;
        case.until_complete().await;
        case.assert_exact().await;
        assert_eq!(case.workspace.ledger().throttled, 0);
    }
}
