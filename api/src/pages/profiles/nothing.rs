//! Why a list is empty, and what to do.

use maud::{Markup, html};
use shared::{
    completeness,
    domain::Stream,
    store::{ApiTx, ConnectionState},
};

use crate::pages::notice::Refusal;

/// Why there are no contacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Emptiness {
    /// No workspace is connected.
    NotConnected,
    /// Contacts are on their way.
    FirstSync,
    /// The connection or its stream of contacts is stopped.
    Stopped,
    /// The workspace was read to its end.
    NoContacts,
}

/// Asks why the tenant has no contacts.
///
/// # Errors
/// When Postgres fails.
pub(super) async fn why_no_contacts(tx: &mut ApiTx) -> Result<Emptiness, Refusal> {
    let mut why = Emptiness::NotConnected;
    for connection in tx.connections().await? {
        if connection.state == ConnectionState::Disconnected {
            continue;
        }
        let Some(facts) = tx.sync_facts(connection.id).await? else {
            continue;
        };
        let status = completeness::judge(&facts);
        let mut streams = status.streams.iter();
        let contacts = streams.find(|stream| stream.stream == Stream::Contacts);
        let is_blocked = contacts.is_some_and(|stream| stream.blocked.is_some());
        why = if connection.state != ConnectionState::Active || is_blocked {
            Emptiness::Stopped
        } else if contacts.is_some_and(|stream| stream.last_ok_at.is_some()) {
            Emptiness::NoContacts
        } else {
            // One that is being read is the best reason to come back.
            return Ok(Emptiness::FirstSync);
        };
    }
    Ok(why)
}

impl Emptiness {
    /// The name, for programs.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::NotConnected => "not_connected",
            Self::FirstSync => "first_sync",
            Self::Stopped => "stopped",
            Self::NoContacts => "no_contacts",
        }
    }

    pub(super) fn card(self) -> Markup {
        let (title, text, action) = match self {
            Self::NotConnected => (
                "Nothing is connected yet",
                "Contacts appear here a few seconds after an Intercom workspace is connected.",
                "Connect Intercom",
            ),
            Self::FirstSync => (
                "The first sync is under way",
                "Contacts appear here as they arrive. Load the page again in a moment.",
                "See how far it is",
            ),
            Self::Stopped => (
                "Contacts cannot be read at the moment",
                "The page of integrations says why, and what to do.",
                "See what to do",
            ),
            Self::NoContacts => (
                "There are no contacts",
                "The workspace was read to its end, and it has none. New ones appear here by themselves.",
                "See the integrations",
            ),
        };
        html! {
            section class="card" data-state=(self.code()) {
                h2 { (title) }
                p { (text) }
                p { a class="button" href="/integrations" { (action) } }
            }
        }
    }
}
