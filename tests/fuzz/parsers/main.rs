//! A fuzz target per parser of outside data: no input may make it panic, and the result keeps its invariants. So does
//! the number of workers, whatever is measured.
//!
//! As plain tests they replay the seeds (`seeds/*.tar.gz`) and try some random bytes more. `make fuzz` lets
//! libFuzzer look for inputs that reach new code.

#![expect(clippy::unwrap_used, reason = "a test says what it expects")]

/// `bolero::check!`, with the seeds in place.
macro_rules! check {
    () => {{
        crate::seeds::unpack();
        bolero::check!()
    }};
}

mod answers;
mod autoscale;
mod objects;
mod profiles;
mod raw;
mod seeds;
mod tickets;

use serde_json::Value;

/// libFuzzer varies bytes, but most parsers get the text of an answer.
fn text(bytes: &[u8]) -> String {
    shared::intercom::wire::readable(bytes.to_vec())
}

/// Text that every column can hold.
fn holdable(text: &str) {
    assert!(!text.contains('\0'), "NUL in {text:?}");
}

/// The same for every text of a document. serde_json leaves no lone surrogates.
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
