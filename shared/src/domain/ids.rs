//! Ids, with a type for each, so that a tenant's id cannot be passed for a connection's.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Declares a uuid newtype with the conversions that every id needs.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new id. Ids sort by their time of creation (UUIDv7).
            #[must_use]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

id! {
    /// One of Pathbound's customers.
    TenantId
}
id! {
    /// One connected Intercom workspace of a tenant.
    ConnectionId
}
id! {
    /// One requested run of a connection's streams.
    RunId
}

/// The id of a contact that only this connection knows, derived from Intercom's own id.
///
/// Derived ids make writes repeatable without a lookup, because a page fetched twice names the same rows.
#[must_use]
pub fn contact_id(connection: ConnectionId, source_id: &str) -> Uuid {
    derive(connection, "contact", source_id)
}

/// The id of a company that only this connection knows.
#[must_use]
pub fn company_id(connection: ConnectionId, source_id: &str) -> Uuid {
    derive(connection, "company", source_id)
}

/// The id of a conversation.
#[must_use]
pub fn conversation_id(connection: ConnectionId, source_id: &str) -> Uuid {
    derive(connection, "conversation", source_id)
}

/// The id of a part. It is derived on every read, because a column of it would take a lot of space.
#[must_use]
pub fn part_id(conversation: Uuid, source_id: &str) -> Uuid {
    Uuid::new_v5(&conversation, source_id.as_bytes())
}

fn derive(connection: ConnectionId, kind: &str, source_id: &str) -> Uuid {
    let mut name = Vec::with_capacity(kind.len() + 1 + source_id.len());
    name.extend_from_slice(kind.as_bytes());
    name.push(b':');
    name.extend_from_slice(source_id.as_bytes());
    Uuid::new_v5(&connection.0, &name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_source_ids_of_two_connections_are_two_contacts() {
        let (a, b) = (ConnectionId::new(), ConnectionId::new());
        assert_ne!(contact_id(a, "6762"), contact_id(b, "6762"));
        assert_eq!(contact_id(a, "6762"), contact_id(a, "6762"));
    }

    #[test]
    fn a_contact_and_a_company_with_one_source_id_differ() {
        let connection = ConnectionId::new();
        assert_ne!(contact_id(connection, "1"), company_id(connection, "1"));
    }
}
