//! Audit events: which actions are kept, and whose they are.

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// Whose action it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The product backend's.
    ServiceKey,
    /// That of a program with the tenant key of this id.
    TenantKey(Uuid),
    /// That of the browser which came back from Intercom. It has no key.
    Browser,
    /// That of a browser which is signed in, with the id of its session.
    BrowserSession(Uuid),
    /// What was asked for earlier, carried out by a process of ours.
    System,
}

impl Actor {
    /// Every kind, as the API names it.
    pub const KINDS: [&str; 4] = ["service_key", "tenant_key", "browser", "system"];

    /// The kind, as the API names it.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::ServiceKey => "service_key",
            Self::TenantKey(_) => "tenant_key",
            Self::Browser | Self::BrowserSession(_) => "browser",
            Self::System => "system",
        }
    }

    /// The id of a tenant key or of a browser's session.
    #[must_use]
    pub const fn id(self) -> Option<Uuid> {
        match self {
            Self::TenantKey(id) | Self::BrowserSession(id) => Some(id),
            Self::ServiceKey | Self::Browser | Self::System => None,
        }
    }
}

/// Declares the actions with their names, and the type of the object of each.
macro_rules! actions {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal, $object:literal;)+) => {
        /// What was done. Names are part of the API, so none is renamed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
        pub enum AuditAction {
            $($(#[doc = $doc])+ #[serde(rename = $text)] $name,)+
        }

        impl AuditAction {
            /// Every action.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The name, as the API has it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }

            /// What its object is.
            #[must_use]
            pub const fn object_type(self) -> &'static str {
                match self {
                    $(Self::$name => $object,)+
                }
            }
        }
    };
}

actions! {
    /// A tenant was created.
    TenantCreated = "tenant.created", "tenant";
    /// A tenant key was made.
    ApiKeyCreated = "api_key.created", "api_key";
    /// A tenant key was revoked.
    ApiKeyRevoked = "api_key.revoked", "api_key";
    /// A sign-in link was made.
    SignInLinkCreated = "sign_in_link.created", "browser_session";
    /// A sign-in link was spent, so a browser is signed in.
    SessionStarted = "browser_session.started", "browser_session";
    /// A browser has signed out.
    SessionEnded = "browser_session.ended", "browser_session";
    /// A start link was made. Its connection is not known yet.
    ConnectStarted = "connect.started", "tenant";
    /// A workspace was connected, for the first time or again.
    ConnectionMade = "connection.made", "connection";
    /// A workspace was disconnected, or the deletion of its data was asked for.
    ConnectionEnded = "connection.ended", "connection";
    /// A run was queued.
    SyncRequested = "sync.requested", "connection";
    /// A source was removed with everything that it has sent.
    SourceRemoved = "source.removed", "source";
    /// The order of sources was changed.
    MergeRulesChanged = "merge_rules.changed", "tenant";
    /// Values were blocked or unblocked.
    IdentityRulesChanged = "identity_rules.changed", "tenant";
    /// Records of a contact were parted.
    SplitMade = "split.made", "contact";
    /// A split of a contact was ended.
    SplitEnded = "split.ended", "contact";
    /// The erasure of a contact was asked for.
    ErasureRequested = "erasure.requested", "contact";
    /// Nothing of an erased contact is left.
    ErasureFinished = "erasure.finished", "contact";
}

/// Whether a call that is safe to repeat has done anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    Changed,
    /// What was asked for was so before.
    Unchanged,
}

/// One action, to be kept.
#[derive(Clone, Debug)]
pub struct NewAuditEvent {
    pub actor: Actor,
    pub action: AuditAction,
    /// The object's id.
    pub object: Uuid,
    /// A JSON object without personal data and secrets.
    pub details: Value,
}

impl NewAuditEvent {
    /// An action without details.
    #[must_use]
    pub fn new(actor: Actor, action: AuditAction, object: Uuid) -> Self {
        Self {
            actor,
            action,
            object,
            details: json!({}),
        }
    }

    /// The same action with details.
    #[must_use]
    pub fn with(self, details: Value) -> Self {
        Self { details, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_reads_back_and_fits_the_table() {
        for action in AuditAction::ALL {
            let name = action.as_str();
            let read: AuditAction = serde_json::from_value(json!(name)).unwrap();
            assert_eq!(read, *action);
            let words: Vec<&str> = name.split('.').collect();
            let is_word = |word: &&str| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            assert!(words.len() == 2 && words.iter().all(is_word), "{name}");
        }
        let actors = [
            Actor::ServiceKey,
            Actor::TenantKey(Uuid::max()),
            Actor::Browser,
            Actor::System,
        ];
        assert_eq!(actors.map(Actor::kind), Actor::KINDS);
        let ids = actors.map(Actor::id);
        assert_eq!(ids, [None, Some(Uuid::max()), None, None]);
        let signed_in = Actor::BrowserSession(Uuid::max());
        assert_eq!(
            (signed_in.kind(), signed_in.id()),
            ("browser", Some(Uuid::max()))
        );
    }
}
