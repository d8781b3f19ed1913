//! JSON objects of the customer's own making, such as custom attributes: kept as text, so that numbers keep their digits.

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::{Map, Value, value::RawValue};

use crate::domain::JsonText;

/// In bytes. Postgres holds longer numbers up to a limit, beyond which it would refuse the whole page.
const MAX_NUMBER_BYTES: usize = 1000;
/// Postgres stores a number with this many decimal places and more, but not with any number of them.
const MAX_EXPONENT_DIGITS: usize = 3;
/// Any number of so many digits is within the range of numbers, if it has no exponent.
const PLAIN_DIGITS: usize = 300;
/// As deep as the parser goes.
const MAX_DEPTH: usize = 127;

/// An object as it was sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Document(pub JsonText);

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        if !text.get().starts_with('{') {
            return Err(D::Error::custom("expected an object"));
        }
        // Taken as it is, the text would bring anything into the database that is JSON by its form.
        match Numbers::of(text.get()) {
            Numbers::Short => {}
            Numbers::Large => {
                serde_json::from_str::<Map<String, Value>>(text.get()).map_err(D::Error::custom)?;
            }
            Numbers::TooLong => return Err(D::Error::custom("a number is too long")),
            Numbers::TooDeep => return Err(D::Error::custom("it is nested too deeply")),
        }
        Ok(Self(text.into()))
    }
}

/// What the numbers of a text need. The text is valid JSON.
#[derive(Debug, PartialEq, Eq)]
enum Numbers {
    Short,
    /// The parser has to say whether one is beyond the range of numbers.
    Large,
    /// One has more digits than the database can hold.
    TooLong,
    TooDeep,
}

impl Numbers {
    /// One scan, because every contact and company comes by here, both when it is stored and when it is shown.
    fn of(json: &str) -> Self {
        let (mut in_text, mut escaped) = (false, false);
        let (mut digits, mut exponent) = (0_usize, None::<usize>);
        let (mut depth, mut is_large) = (0_usize, false);
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
                b'{' | b'[' => depth += 1,
                b'}' | b']' => {
                    depth = depth.saturating_sub(1);
                    (digits, exponent) = (0, None);
                }
                _ => (digits, exponent) = (0, None),
            }
            is_large |= digits > PLAIN_DIGITS || digits > 0 && exponent.is_some();
            if digits > MAX_NUMBER_BYTES || exponent > Some(MAX_EXPONENT_DIGITS) {
                return Self::TooLong;
            }
            if depth > MAX_DEPTH {
                return Self::TooDeep;
            }
        }
        if is_large { Self::Large } else { Self::Short }
    }
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
    fn the_scan_takes_what_the_parser_takes() {
        let nested = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
        let deep = (120..135).map(nested);
        let lists = (120..135)
            .map(|depth| format!(r#"{{"a":{}{}}}"#, "[".repeat(depth), "]".repeat(depth)));
        let digits = (298..320).map(|digits| format!(r#"{{"a":{}}}"#, "9".repeat(digits)));
        let powers = (300..320).map(|power| format!(r#"{{"a":[1e{power},true]}}"#));
        for json in deep.chain(lists).chain(digits).chain(powers) {
            let is_parsed = serde_json::from_str::<Value>(&json).is_ok();
            assert_eq!(read(&json).is_some(), is_parsed, "{json}");
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
