//! Where a teammate opens an object in Intercom.

use std::collections::BTreeMap;

use shared::{
    domain::{ConnectionId, Region},
    store::{ApiTx, StoreError},
};

/// The workspaces of the US. Addresses of other regions are not confirmed.
pub(super) struct IntercomLinks(BTreeMap<ConnectionId, String>);

impl IntercomLinks {
    /// # Errors
    /// When Postgres fails.
    pub(super) async fn read(tx: &mut ApiTx) -> Result<Self, StoreError> {
        let connections = tx.connections().await?;
        let us = connections
            .into_iter()
            .filter(|connection| connection.region == Region::Us);
        Ok(Self(
            us.map(|connection| (connection.id, connection.workspace_id))
                .collect(),
        ))
    }

    pub(super) fn contact(&self, connection: ConnectionId, id: &str) -> Option<String> {
        let workspace = self.workspace(connection, id)?;
        Some(format!(
            "https://app.intercom.com/a/apps/{workspace}/users/{id}/all-conversations"
        ))
    }

    pub(super) fn conversation(&self, connection: ConnectionId, number: &str) -> Option<String> {
        let workspace = self.workspace(connection, number)?;
        Some(format!(
            "https://app.intercom.com/a/inbox/{workspace}/inbox/conversation/{number}"
        ))
    }

    /// The workspace of a connection. `None` unless it and the id can stand in an address as they are.
    fn workspace(&self, connection: ConnectionId, id: &str) -> Option<&str> {
        let workspace = self.0.get(&connection)?;
        let is_word = |text: &str| {
            let mut bytes = text.bytes();
            !text.is_empty() && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        (is_word(workspace) && is_word(id)).then_some(workspace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_id_changes_where_a_link_leads() {
        let (known, other) = (ConnectionId::new(), ConnectionId::new());
        let links = IntercomLinks(BTreeMap::from([(known, "abc_1".to_owned())]));
        assert_eq!(
            links.conversation(known, "42").as_deref(),
            Some("https://app.intercom.com/a/inbox/abc_1/inbox/conversation/42")
        );
        assert!(links.contact(known, "5f0c").is_some());
        for id in ["", "../../evil", "4 2", "42?x", "é", "\"><b>"] {
            assert_eq!(links.conversation(known, id), None);
            assert_eq!(links.contact(known, id), None);
        }
        assert_eq!(links.contact(other, "5f0c"), None);
    }
}
