//! Partial failure as a state: a sentence for a person, and the next step.

use crate::{domain::Stream, intercom::wire::ReferenceKind, store::ConnectionError};

pub(super) fn missing_scope(stream: Stream) -> ConnectionError {
    let permission = match stream {
        Stream::Contacts | Stream::Companies => "Read and list users and companies",
        Stream::Conversations | Stream::Threads => "Read conversations",
        Stream::Reference => "Read admins and Read tags",
    };
    ConnectionError {
        code: "missing_scope".to_owned(),
        message: format!("Intercom does not let this app read {}.", what(stream)),
        action: format!(
            "Grant the permission \"{permission}\" to the app in Intercom's Developer Hub and reconnect."
        ),
    }
}

/// Names the lists that were refused and the permissions that each of them asks for.
pub(super) fn missing_lists(kinds: &[ReferenceKind]) -> ConnectionError {
    let (mut lists, mut permissions): (Vec<&str>, Vec<&str>) =
        kinds.iter().map(|kind| list(*kind)).unzip();
    lists.dedup();
    permissions.dedup();
    ConnectionError {
        code: "missing_scope".to_owned(),
        message: format!("Intercom does not let this app read {}.", lists.join(", ")),
        action: format!(
            "Grant \"{}\" to the app in Intercom's Developer Hub and reconnect.",
            permissions.join("\" and \"")
        ),
    }
}

/// What a list holds, and the permission under which Intercom's Developer Hub offers it.
const fn list(kind: ReferenceKind) -> (&'static str, &'static str) {
    match kind {
        ReferenceKind::Admin => ("admins", "Read admins"),
        ReferenceKind::Team => ("teams", "Read admins"),
        ReferenceKind::Tag => ("tags", "Read tags"),
        ReferenceKind::Segment => ("segments", "Read and list users and companies"),
        ReferenceKind::ContactAttribute | ReferenceKind::CompanyAttribute => {
            ("attributes", "Read and list users and companies")
        }
        ReferenceKind::ConversationAttribute => ("conversation attributes", "Read conversations"),
    }
}

pub(super) fn plan_restricted(stream: Stream) -> ConnectionError {
    ConnectionError {
        code: "api_plan_restricted".to_owned(),
        message: format!(
            "The workspace's Intercom plan does not include {} over the API.",
            what(stream)
        ),
        action: "Activate a subscription that includes it; we look again every day.".to_owned(),
    }
}

pub(super) fn scroll_taken() -> ConnectionError {
    ConnectionError {
        code: "scroll_taken".to_owned(),
        message: "Another walk through this workspace's companies is under way; Intercom allows one at a time."
            .to_owned(),
        action: "None: we try again every minute. If it stays so, another app of the workspace scrolls all the time."
            .to_owned(),
    }
}

pub(super) fn token_refused() -> ConnectionError {
    ConnectionError {
        code: "token_revoked".to_owned(),
        message: "Intercom no longer accepts this connection's token: the app was uninstalled or its access revoked."
            .to_owned(),
        action: "Connect the workspace again.".to_owned(),
    }
}

pub(super) fn app_suspended() -> ConnectionError {
    ConnectionError {
        code: "app_suspended".to_owned(),
        message: "Intercom has suspended our app for this workspace.".to_owned(),
        action: "No step for the customer: our operators have to speak to Intercom.".to_owned(),
    }
}

const fn what(stream: Stream) -> &'static str {
    match stream {
        Stream::Contacts => "contacts",
        Stream::Companies => "companies",
        Stream::Conversations => "conversations",
        Stream::Threads => "conversation threads",
        Stream::Reference => "admins, teams, tags and attributes",
    }
}
