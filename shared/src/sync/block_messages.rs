//! What a customer reads about a blocked stream or connection: a sentence, and the next step.

use crate::{
    domain::{Stream, permission},
    intercom::wire::ReferenceKind,
    store::ConnectionError,
};

pub(super) fn missing_scope(stream: Stream) -> ConnectionError {
    missing_permissions(stream.objects(), stream.permissions())
}

/// Names the refused lists, and the permissions that they need.
pub(super) fn missing_lists(kinds: &[ReferenceKind]) -> ConnectionError {
    let (mut lists, mut permissions): (Vec<&str>, Vec<&str>) =
        kinds.iter().map(|kind| list(*kind)).unzip();
    // Neighbours in the order of the kinds share a list's name or a permission.
    lists.dedup();
    permissions.dedup();
    missing_permissions(&enumerate(&lists), &permissions)
}

fn missing_permissions(objects: &str, permissions: &[&str]) -> ConnectionError {
    let quoted: Vec<String> = permissions
        .iter()
        .map(|permission| format!("\"{permission}\""))
        .collect();
    let quoted: Vec<&str> = quoted.iter().map(String::as_str).collect();
    let noun = if permissions.len() == 1 {
        "permission"
    } else {
        "permissions"
    };
    ConnectionError {
        code: "missing_scope".to_owned(),
        message: format!("Intercom does not allow this app to read {objects}."),
        action: format!(
            "Grant the app the {noun} {} in Intercom's Developer Hub, then reconnect the workspace.",
            enumerate(&quoted)
        ),
    }
}

/// What a list holds.
pub(super) const fn list_name(kind: ReferenceKind) -> &'static str {
    list(kind).0
}

/// What a list holds, and the permission that it needs.
const fn list(kind: ReferenceKind) -> (&'static str, &'static str) {
    match kind {
        ReferenceKind::Admin => ("admins", permission::READ_ADMINS),
        ReferenceKind::Team => ("teams", permission::READ_ADMINS),
        ReferenceKind::Tag => ("tags", permission::READ_TAGS),
        ReferenceKind::Segment => ("segments", permission::READ_CONTACTS),
        ReferenceKind::ContactAttribute | ReferenceKind::CompanyAttribute => {
            ("attributes", permission::READ_CONTACTS)
        }
        ReferenceKind::ConversationAttribute => {
            ("conversation attributes", permission::READ_CONVERSATIONS)
        }
    }
}

pub(super) fn plan_restricted(stream: Stream) -> ConnectionError {
    ConnectionError {
        code: "api_plan_restricted".to_owned(),
        message: format!(
            "The workspace's Intercom plan does not include API access to {}.",
            stream.objects()
        ),
        action: "Upgrade the Intercom plan to one that includes it. We check again within minutes at first, and later \
                 every day."
            .to_owned(),
    }
}

pub(super) fn scroll_taken() -> ConnectionError {
    ConnectionError {
        code: "scroll_taken".to_owned(),
        message: "This workspace's companies are already being read, and Intercom allows only one reader at a time."
            .to_owned(),
        action: "You do not need to do anything. We try again every minute. If this message stays for hours, ask the \
                 owners of your other Intercom apps whether one of them reads companies all the time."
            .to_owned(),
    }
}

/// For a run that ends although threads wait for their next attempt.
pub(super) fn waiting_threads(count: i64) -> ConnectionError {
    let threads = match count {
        1 => "1 thread".to_owned(),
        _ => format!("{count} threads"),
    };
    ConnectionError {
        code: "waiting_threads".to_owned(),
        message: format!("{threads} could not be fetched yet."),
        action: "You do not need to do anything. We try again on our own.".to_owned(),
    }
}

pub(super) fn token_refused() -> ConnectionError {
    ConnectionError {
        code: "token_revoked".to_owned(),
        message: "Intercom no longer accepts this connection's token, because the app was uninstalled or its access was \
                  revoked."
            .to_owned(),
        action: "Connect the workspace again.".to_owned(),
    }
}

pub(super) fn app_suspended() -> ConnectionError {
    ConnectionError {
        code: "app_suspended".to_owned(),
        message: "Intercom has suspended our app for this workspace.".to_owned(),
        action: "You do not need to do anything. Our operators resolve this with Intercom."
            .to_owned(),
    }
}

/// `a`, `a and b`, `a, b and c`.
fn enumerate(items: &[&str]) -> String {
    match items {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(why: &ConnectionError) -> String {
        format!("{}\n  {}\n  {}\n", why.code, why.message, why.action)
    }

    #[test]
    fn every_sentence_reads_as_committed() {
        let mut text = String::new();
        for stream in Stream::ALL {
            text += &render(&missing_scope(*stream));
            text += &render(&plan_restricted(*stream));
        }
        for kind in ReferenceKind::ALL {
            text += &render(&missing_lists(&[kind]));
        }
        text += &render(&missing_lists(&ReferenceKind::ALL));
        text += &render(&waiting_threads(1));
        text += &render(&waiting_threads(2));
        for why in [scroll_taken(), token_refused(), app_suspended()] {
            text += &render(&why);
        }
        assert_eq!(text, include_str!("block_messages.txt"));
    }
}
