//! A target per parser of what comes from outside: no panic, and what must hold of whatever they make of it.
//!
//! As plain tests they replay what was kept (`__fuzz__/*/corpus`) and try some random bytes more. `make fuzz`
//! has libFuzzer look for what they have never met.

#![expect(clippy::unwrap_used, reason = "a test says what it expects")]

mod answers;
mod objects;
mod tickets;

use serde_json::Value;

/// What libFuzzer varies as bytes reaches most parsers as the text of an answer.
fn text(bytes: &[u8]) -> String {
    shared::intercom::wire::readable(bytes.to_vec())
}

/// Text that every column can hold.
fn holdable(text: &str) {
    assert!(!text.contains('\0'), "NUL in {text:?}");
}

/// The same for all that a document says; what serde_json has read has no lone surrogates left.
fn holdable_whole(value: &Value) {
    match value {
        Value::String(text) => holdable(text),
        Value::Array(list) => list.iter().for_each(holdable_whole),
        Value::Object(map) => map.iter().for_each(|(name, value)| {
            holdable(name);
            holdable_whole(value);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
