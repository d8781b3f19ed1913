//! JSON Schemas of arguments and answers, made from their types.
//!
//! Clients read a small part of JSON Schema: none follows `$ref` reliably, some refuse formats such as `uint32`, and an
//! optional member is one that may be left out, not one that may be null.

use std::sync::Arc;

use rmcp::model::JsonObject;
use schemars::{
    JsonSchema, Schema,
    generate::SchemaSettings,
    transform::{RecursiveTransform, Transform},
};
use serde_json::Value;

/// The schema of a tool's arguments.
pub(super) fn of_arguments<T: JsonSchema>() -> Arc<JsonObject> {
    made::<T>(SchemaSettings::draft2020_12().for_deserialize())
}

/// The schema of a tool's answer. A member that may be left out is not required.
pub(super) fn of_answer<T: JsonSchema>() -> Arc<JsonObject> {
    made::<T>(SchemaSettings::draft2020_12().for_serialize())
}

fn made<T: JsonSchema>(settings: SchemaSettings) -> Arc<JsonObject> {
    let settings = settings.with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    RecursiveTransform(|schema: &mut Schema| simplify(schema)).transform(&mut schema);
    schema.remove("title");
    Arc::new(schema.as_object().cloned().unwrap_or_default())
}

fn simplify(schema: &mut Schema) {
    let is_number = |schema: &Schema| {
        let kind = schema.get("type").and_then(Value::as_str);
        matches!(kind, Some("integer" | "number"))
    };
    without_null(schema);
    if is_number(schema) {
        schema.remove("format");
    }
    // Its absence says the same.
    if schema.get("default") == Some(&Value::Null) {
        schema.remove("default");
    }
}

/// `["string", "null"]` becomes `"string"`, and a choice between a schema and null becomes the schema.
fn without_null(schema: &mut Schema) {
    if let Some(Value::Array(kinds)) = schema.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [kind] = kinds.as_slice() {
            let kind = kind.clone();
            schema.insert("type".to_owned(), kind);
        }
    }
    let is_null = |choice: &Value| choice.get("type") == Some(&Value::from("null"));
    let Some(Value::Array(choices)) = schema.get_mut("anyOf") else {
        return;
    };
    choices.retain(|choice| !is_null(choice));
    let [Value::Object(only)] = choices.as_slice() else {
        return;
    };
    let only = only.clone();
    schema.remove("anyOf");
    for (name, value) in only {
        // A description beside the choice is the better one.
        if schema.get(&name).is_none() {
            schema.insert(name, value);
        }
    }
}
