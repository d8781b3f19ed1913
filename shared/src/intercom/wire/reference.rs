//! Records that others refer to by id: admins, teams, tags, segments, attribute definitions.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    poison::read_object,
    scalar::{MAX_ID_BYTES, Text},
};
use crate::domain::records::{Poison, ReferenceItem};

/// A kind of reference item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReferenceKind {
    Admin,
    Team,
    Tag,
    Segment,
    ContactAttribute,
    CompanyAttribute,
    ConversationAttribute,
}

impl ReferenceKind {
    /// Every kind. Each takes one call.
    pub const ALL: [Self; 7] = [
        Self::Admin,
        Self::Team,
        Self::Tag,
        Self::Segment,
        Self::ContactAttribute,
        Self::CompanyAttribute,
        Self::ConversationAttribute,
    ];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Team => "team",
            Self::Tag => "tag",
            Self::Segment => "segment",
            Self::ContactAttribute => "contact_attribute",
            Self::CompanyAttribute => "company_attribute",
            Self::ConversationAttribute => "conversation_attribute",
        }
    }
}

#[derive(Deserialize)]
struct WireReference {
    #[serde(default)]
    id: Text,
    #[serde(default)]
    name: Text,
    /// Attributes: the path such as `custom_attributes.plan`, present where `id` is not.
    #[serde(default)]
    full_name: Text,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// Reads one item. A built-in attribute has no id, so its full name is used.
pub fn read_reference(kind: ReferenceKind, raw: &str) -> Result<ReferenceItem, Poison> {
    read_object("reference", raw, |wire: WireReference, sanitised| {
        let (id, name, full_name) = (wire.id.key()?, wire.name.some(), wire.full_name.key()?);
        let attribute = matches!(
            kind,
            ReferenceKind::ContactAttribute
                | ReferenceKind::CompanyAttribute
                | ReferenceKind::ConversationAttribute
        );
        let by_name =
            || full_name.or_else(|| name.clone().filter(|name| name.len() <= MAX_ID_BYTES));
        let source_id = if attribute { by_name().or(id) } else { id }
            .ok_or("the item has no id and no name")?;
        let doc = serde_json::to_string(&wire.rest).map_err(|_| "the item cannot be written")?;
        Ok(ReferenceItem {
            kind: kind.as_str(),
            source_id,
            name,
            doc,
            sanitised,
        })
    })
}
