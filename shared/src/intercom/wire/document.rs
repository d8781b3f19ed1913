//! JSON objects of the customer's own making, such as custom attributes: kept as text, so that numbers keep their digits.

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::{Map, Value, value::RawValue};

use crate::domain::JsonText;

/// In bytes. Postgres holds longer numbers up to a limit, beyond which it would refuse the whole page.
const MAX_NUMBER_BYTES: usize = 1000;
/// Postgres stores a number with this many decimal places and more, but not with any number of them.
const MAX_EXPONENT_DIGITS: usize = 3;

/// An object as it was sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Document(pub JsonText);

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        // Taken as it is, the text would bring any depth into the database. The parser has a limit.
        serde_json::from_str::<Map<String, Value>>(text.get()).map_err(D::Error::custom)?;
        if has_absurd_number(text.get()) {
            return Err(D::Error::custom("a number is too long"));
        }
        Ok(Self(text.into()))
    }
}

/// Whether a number of the text has more digits than the database can hold. The text is valid JSON.
fn has_absurd_number(json: &str) -> bool {
    let (mut in_text, mut escaped) = (false, false);
    let (mut digits, mut exponent) = (0_usize, None::<usize>);
    for byte in json.bytes() {
        if in_text {
            in_text = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'0'..=b'9' => {
                digits += 1;
                exponent = exponent.map(|digits| digits + 1);
            }
            b'.' | b'-' | b'+' => {}
            // Also the one in `true` and `false`, after which no digit comes.
            b'e' | b'E' => exponent = Some(0),
            _ => (digits, exponent) = (0, None),
        }
        if digits > MAX_NUMBER_BYTES || exponent > Some(MAX_EXPONENT_DIGITS) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<String> {
        let document: Document = serde_json::from_str(json).ok()?;
        Some(document.0.get().to_owned())
    }

    #[test]
    fn numbers_keep_their_digits() {
        for json in [
            r#"{"a":123456789012345678901234567890}"#,
            r#"{"a":0.1234567890123456789012345}"#,
            r#"{"a":[18446744073709551617,-9223372036854775809],"b":1e308}"#,
            r#"{"text":"1e99999 and \" more","deep":{"true":true,"false":false,"e":1}}"#,
        ] {
            assert_eq!(read(json).as_deref(), Some(json));
        }
    }

    #[test]
    fn what_the_database_cannot_hold_is_not_read() {
        let deep = format!("{}1{}", r#"{"a":"#.repeat(200), "}".repeat(200));
        let long = format!(r#"{{"a":0.{}1}}"#, "0".repeat(20_000));
        for json in [
            "[]",
            "7",
            r#"{"a":1e400}"#,
            r#"{"a":1e-20000}"#,
            &deep,
            &long,
        ] {
            assert_eq!(read(json), None, "{}", &json[..json.len().min(40)]);
        }
    }
}
