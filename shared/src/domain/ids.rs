//! Ids, with a type for each, so that a tenant's id cannot be passed for a connection's.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::{Uuid, Variant, Version};

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

/// The id of an event.
#[must_use]
pub fn event_id(connection: ConnectionId, source_id: &str) -> Uuid {
    derive(connection, "event", source_id)
}

/// The id of a part. It is derived on every read, because a column of it would take a lot of space.
#[must_use]
pub fn part_id(conversation: Uuid, source_id: &str) -> Uuid {
    Uuid::new_v5(&conversation, source_id.as_bytes())
}

/// A UUIDv8: sixty bits by which the ids of one connection sort as Intercom gave them, and a digest.
///
/// Random ids would scatter what a sync writes over the whole of every index. These ones go where the last ones went.
fn derive(connection: ConnectionId, kind: &str, source_id: &str) -> Uuid {
    let mut name = Vec::with_capacity(kind.len() + 1 + source_id.len());
    name.extend_from_slice(kind.as_bytes());
    name.push(b':');
    name.extend_from_slice(source_id.as_bytes());
    let digest = Uuid::new_v5(&connection.0, &name).as_u128();
    let order = order_of(source_id).unwrap_or((digest >> 68) as u64);
    let (first, second) = (u128::from(order) >> 12, u128::from(order) & 0xfff);
    let ordered = first << 80 | second << 64 | digest & u128::from(u64::MAX);
    uuid::Builder::from_u128(ordered)
        .with_version(Version::Custom)
        .with_variant(Variant::RFC4122)
        .into_uuid()
}

/// Sixty bits of an id of Intercom's that grow with the time of its creation. Conversations have decimal numbers, and
/// contacts and companies have 24 hexadecimal digits that begin with the time.
fn order_of(source_id: &str) -> Option<u64> {
    let is = |digit: fn(&u8) -> bool| source_id.bytes().all(|byte| digit(&byte));
    let order = if source_id.len() == 24 && is(u8::is_ascii_hexdigit) {
        u64::from_str_radix(&source_id[..15], 16).ok()?
    } else if is(u8::is_ascii_digit) {
        source_id.parse().ok()?
    } else {
        return None;
    };
    (order < 1 << 60).then_some(order)
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
    fn ids_sort_as_the_source_ids_do() {
        let connection = ConnectionId::new();
        let numbers = ["9", "10", "215472938475120", "215472938475121"];
        let objects = [
            "65f0c0ffee00000000000000",
            "65F0C0FFEE00100000000000",
            "66f0c0ffee00000000000000",
        ];
        assert!(numbers.is_sorted_by_key(|id| conversation_id(connection, id)));
        assert!(objects.is_sorted_by_key(|id| contact_id(connection, id)));
    }

    #[test]
    fn any_text_has_an_id_of_its_own() {
        let connection = ConnectionId::new();
        let odd = [
            "",
            "7",
            "007",
            "é",
            "no-number",
            "1e3",
            "+7",
            "99999999999999999999",
            "65f0c0ffee00000000000000é",
        ];
        let ids: std::collections::HashSet<Uuid> =
            odd.iter().map(|id| contact_id(connection, id)).collect();
        assert_eq!(ids.len(), odd.len());
        assert!(
            ids.iter()
                .all(|id| id.get_version() == Some(Version::Custom)
                    && id.get_variant() == Variant::RFC4122)
        );
    }

    #[test]
    fn a_contact_and_a_company_with_one_source_id_differ() {
        let connection = ConnectionId::new();
        assert_ne!(contact_id(connection, "1"), company_id(connection, "1"));
    }
}
