//! What a command prints, held against its shape in `deploy/reference/outputs.json`.

use std::sync::LazyLock;

use serde_json::{Value, json};

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut document = pathbound::outputs::document();
    close(&mut document);
    document
});

/// Readers take members that they do not know. This test does not, so that each one is described.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.values_mut().for_each(close);
            if members.get("properties").is_some_and(Value::is_object) {
                let closed = json!(false);
                members.entry("additionalProperties").or_insert(closed);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// The commands that print data.
pub(crate) fn described_commands() -> Vec<String> {
    let commands = DOCUMENT["commands"].as_object().unwrap();
    commands.keys().cloned().collect()
}

/// Asserts that the output of a command is as it is described.
pub(crate) fn assert_shape(command: &str, output: &Value) {
    let mut schema = DOCUMENT["commands"][command].clone();
    assert!(schema.is_object(), "{command} is not described");
    schema["$defs"] = DOCUMENT["$defs"].clone();
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let faults: Vec<String> = validator
        .iter_errors(output)
        .map(|fault| format!("{}: {fault}", fault.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{command}: {faults:#?} in {output:#}");
}
