//! What has ended goes once it is old enough, and what is needed stays.

mod ages;
mod janitors;
mod runs;
mod year;

use std::time::Duration;

use intercom_simulator::WorkspaceSpec;
use shared::{config::Retention, store::EndedKind};

use crate::support::tiny;

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a kind is kept.
fn kept_for(retention: &Retention, kind: EndedKind) -> Duration {
    match kind {
        EndedKind::Runs => retention.runs,
        EndedKind::DeadLetters => retention.dead_letters,
        EndedKind::BulkActions => retention.dead_letters,
        EndedKind::Quarantine => retention.quarantine,
        EndedKind::ApiKeys => retention.api_keys,
        EndedKind::OauthFlows => retention.oauth_flows,
        EndedKind::IdempotencyKeys => retention.idempotency_keys,
        EndedKind::OperatorEvents => retention.operator_events,
        EndedKind::AuditEvents => retention.audit_events,
        EndedKind::BrowserSessions => retention.browser_sessions,
        EndedKind::OperatorActions => retention.audit_events,
    }
}

/// Another workspace of the same world.
fn another() -> WorkspaceSpec {
    WorkspaceSpec { seed: 2, ..tiny() }
}
