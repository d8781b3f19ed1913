//! JSON documents that are passed on as they came.

use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

/// A JSON document as text. A parsed one would hold numbers as 64 bits, and a longer number would lose digits.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JsonText(Box<RawValue>);

impl JsonText {
    /// The document's text.
    #[must_use]
    pub fn get(&self) -> &str {
        self.0.get()
    }

    /// The parsed document, in which long numbers are rounded. Null if it cannot be parsed.
    #[must_use]
    pub fn parsed(&self) -> Value {
        serde_json::from_str(self.get()).unwrap_or_default()
    }
}

impl Default for JsonText {
    /// An object without members.
    fn default() -> Self {
        // Never fails, because the text is JSON.
        Self(RawValue::from_string("{}".to_owned()).unwrap_or_default())
    }
}

impl From<Box<RawValue>> for JsonText {
    fn from(text: Box<RawValue>) -> Self {
        Self(text)
    }
}

impl PartialEq for JsonText {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}
