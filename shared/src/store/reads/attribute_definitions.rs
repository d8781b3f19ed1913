//! What a workspace declares of its attributes.

use super::super::{StoreError, Tx, roles::Api};
use crate::domain::{ConnectionId, JsonText};

/// What an attribute is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributeOwner {
    Contact,
    Company,
    Conversation,
}

/// An attribute, as a workspace declares it.
#[derive(Clone, Debug)]
pub struct AttributeDefinition {
    pub connection: ConnectionId,
    /// The path such as `custom_attributes.plan`, or Intercom's id where there is no path.
    pub source_id: String,
    pub name: Option<String>,
    /// Intercom's own words: `data_type`, `description`, `options`, `custom`, `archived` and so on.
    pub doc: JsonText,
}

impl AttributeOwner {
    /// The kind of the reference items.
    const fn kind(self) -> &'static str {
        match self {
            Self::Contact => "contact_attribute",
            Self::Company => "company_attribute",
            Self::Conversation => "conversation_attribute",
        }
    }
}

impl Tx<Api> {
    /// The attributes that the tenant's workspaces declare, by path. Those that are no longer listed are left out.
    #[tracing::instrument(name = "db.attribute_definitions", level = "debug", skip_all)]
    pub async fn attribute_definitions(
        &mut self,
        owner: AttributeOwner,
    ) -> Result<Vec<AttributeDefinition>, StoreError> {
        let tenant = self.tenant().0;
        // A workspace has some hundred attributes at most.
        let rows = sqlx::query!(
            r#"SELECT connection_id, source_id, name, doc::text AS "doc!" FROM reference_items
               WHERE tenant_id = $1 AND kind = $2 AND removed_at IS NULL
               ORDER BY source_id, connection_id"#,
            tenant,
            owner.kind(),
        )
        .fetch_all(self.session())
        .await?;
        rows.into_iter()
            .map(|row| {
                let doc = serde_json::value::RawValue::from_string(row.doc);
                Ok(AttributeDefinition {
                    connection: ConnectionId(row.connection_id),
                    source_id: row.source_id,
                    name: row.name,
                    doc: doc
                        .map_err(|error| StoreError::Inconsistent {
                            table: "reference_items",
                            what: error.to_string(),
                        })?
                        .into(),
                })
            })
            .collect()
    }
}
