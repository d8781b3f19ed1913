//! `describe_fields`: what contacts, companies and conversations have, and by what they are found.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::store::reads::AttributeDefinition;
use uuid::Uuid;

use super::field_table::{Field, Filter, Object};
use crate::mcp::{
    answer::{Answer, Detail, NextCall},
    call::{Call, Tool},
    freshness::{Freshness, Workspaces},
    refusal::Refusal,
    untrusted::{Untrusted, plain},
};

/// Choices of an attribute that are listed.
const CHOICES: usize = 20;

/// Lists fields.
pub(in crate::mcp) struct DescribeFields;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::mcp) struct Input {
    /// Whose fields to describe.
    object: Object,
    #[serde(default)]
    detail: Detail,
    /// From `next` of the answer before.
    cursor: Option<String>,
}

/// The fields of one kind of object.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::mcp) struct Fields {
    object: Object,
    /// Arguments that find such an object, and the tools that take them.
    found_by: Vec<Filter>,
    /// Fields that every object of the kind may have. Only on the first page.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<Field>,
    attribute_total: usize,
    /// Custom attributes, as the workspaces declare them. Archived ones are among them, because old objects have them.
    attributes: Vec<Attribute>,
    /// How many attributes come after these.
    left: usize,
    /// The call that shows the attributes that are left.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<NextCall>,
    freshness: Freshness,
}

/// A custom attribute.
#[derive(Debug, Serialize, JsonSchema)]
struct Attribute {
    untrusted_name: Untrusted,
    /// `string`, `integer`, `float`, `boolean`, `date` and so on, as Intercom says it.
    r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    untrusted_description: Option<Untrusted>,
    /// Values that it can have, if it is a list of choices.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    untrusted_choices: Vec<Untrusted>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    archived: bool,
    /// The workspace that declares it.
    connection_id: Uuid,
}

/// What is read of a definition.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Declared {
    custom: Option<bool>,
    data_type: Option<String>,
    description: Option<String>,
    options: Option<Vec<Value>>,
    archived: Option<bool>,
}

impl Tool for DescribeFields {
    const NAME: &'static str = "describe_fields";
    const TITLE: &'static str = "Describe fields";
    const DESCRIPTION: &'static str = "Lists what contacts, companies or conversations have: fields with \
        their meaning, the custom attributes that the workspace declares with their types and choices, and \
        the arguments by which such an object is found.";
    type Input = Input;
    type Output = Fields;

    async fn run(call: &Call, input: Input) -> Result<Answer, Refusal> {
        let (object, detail) = (input.object, input.detail);
        let mut tx = call.begin().await?;
        let pager = call.pager(&format!("fields?object={}", json!(object)))?;
        let after: Option<(String, Uuid)> = pager.position(input.cursor.as_deref())?;
        let definitions = tx.attribute_definitions(object.owner()).await?;
        let workspaces = Workspaces::read(&mut tx).await?;
        drop(tx);
        let custom: Vec<(AttributeDefinition, Declared)> =
            definitions.into_iter().filter_map(declared).collect();
        let left: Vec<&(AttributeDefinition, Declared)> = custom
            .iter()
            .filter(|(definition, _)| after.as_ref().is_none_or(|after| mark(definition) > *after))
            .collect();
        Answer::fitting(detail, left.len(), |items| {
            let shown = &left[..items];
            let next = match shown.last() {
                Some((last, _)) if items < left.len() => {
                    let arguments = [
                        ("object", json!(object)),
                        ("detail", json!(detail)),
                        ("cursor", Value::from(pager.cursor(&mark(last))?)),
                    ];
                    Some(NextCall::new(Self::NAME, arguments))
                }
                _ => None,
            };
            let is_first = after.is_none();
            Ok(Fields {
                object,
                found_by: object.found_by().to_vec(),
                fields: if is_first {
                    object.fields().to_vec()
                } else {
                    Vec::new()
                },
                attribute_total: custom.len(),
                attributes: shown
                    .iter()
                    .map(|(definition, declared)| Attribute::of(definition, declared, detail))
                    .collect(),
                left: left.len() - items,
                next,
                freshness: workspaces.freshness(),
            })
        })
    }
}

fn mark(definition: &AttributeDefinition) -> (String, Uuid) {
    (definition.source_id.clone(), definition.connection.0)
}

/// A custom attribute with what it declares. The built-in ones are fields. Those of conversations do not say so.
fn declared(definition: AttributeDefinition) -> Option<(AttributeDefinition, Declared)> {
    let declared: Declared = serde_json::from_str(definition.doc.get()).unwrap_or_default();
    declared
        .custom
        .unwrap_or(true)
        .then_some((definition, declared))
}

impl Attribute {
    fn of(definition: &AttributeDefinition, declared: &Declared, detail: Detail) -> Self {
        let value = detail.value();
        let name = definition.name.as_deref();
        let name = name.unwrap_or_else(|| {
            let path = definition.source_id.as_str();
            path.strip_prefix("custom_attributes.").unwrap_or(path)
        });
        let choices = declared
            .options
            .iter()
            .flatten()
            .take(CHOICES)
            .filter_map(|choice| {
                // Old versions list objects, and newer ones texts.
                let text = choice.get("value").unwrap_or(choice).as_str()?;
                Some(Untrusted::of(text, value))
            });
        let choices = match detail {
            Detail::Concise => Vec::new(),
            Detail::Detailed => choices.collect(),
        };
        Self {
            untrusted_name: Untrusted::of(name, value),
            r#type: plain(declared.data_type.as_deref().unwrap_or("unknown"), value),
            untrusted_description: super::shapes::untrusted(declared.description.as_deref(), value),
            untrusted_choices: choices,
            archived: declared.archived.unwrap_or_default(),
            connection_id: definition.connection.0,
        }
    }
}
