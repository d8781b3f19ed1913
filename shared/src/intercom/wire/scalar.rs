//! Scalars as Intercom sends them: ids as strings or integers, times as integers, text or null.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};
use serde_json::Number;

/// In bytes. Intercom's ids have at most 24 characters, and names of attributes some more. Postgres refuses
/// an index entry of 2,704 bytes, which would fail the whole page.
pub(super) const MAX_ID_BYTES: usize = 255;

/// Text, or a number as text, or nothing. Ids were integers in older versions and are strings now.
#[derive(Clone, Debug, Default)]
pub(super) struct Text(pub Option<String>);

impl Text {
    /// The text, unless it is missing or empty.
    pub(super) fn some(self) -> Option<String> {
        self.0.filter(|text| !text.is_empty())
    }

    /// An id that an index needs. `None` if it is missing or empty.
    ///
    /// # Errors
    /// When the id is too long for an index.
    pub(super) fn key(self) -> Result<Option<String>, &'static str> {
        match self.some() {
            Some(id) if id.len() > MAX_ID_BYTES => Err("an id is too long"),
            id => Ok(id),
        }
    }

    /// An id, which 2.16 sends as 0 where older versions send null.
    pub(super) fn id(self) -> Option<String> {
        self.some().filter(|id| id != "0")
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl Visitor<'_> for TextVisitor {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text, a number or null")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(Some(text.to_owned())))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Text, E> {
                Ok(Text(Some(number.to_string())))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Text, E> {
                Ok(Text(Some(number.to_string())))
            }

            fn visit_unit<E: Error>(self) -> Result<Text, E> {
                Ok(Text(None))
            }
        }

        deserializer.deserialize_any(TextVisitor)
    }
}

/// Unix seconds, or nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seconds(pub Option<DateTime<Utc>>);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Some(seconds) = Option::<f64>::deserialize(deserializer)? else {
            return Ok(Self(None));
        };
        // A time after the year 9999 is garbage.
        let time = (0.0..253_402_300_800.0)
            .contains(&seconds)
            .then(|| DateTime::from_timestamp(seconds as i64, 0))
            .flatten()
            .ok_or_else(|| D::Error::custom(format!("{seconds} is not a time in Unix seconds")))?;
        Ok(Self(Some(time)))
    }
}

/// A boolean. A missing one is false.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flag(pub bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(
            // Older versions leave a false flag out or send null.
            Option::<bool>::deserialize(deserializer)?.unwrap_or_default(),
        ))
    }
}

/// A whole number with all its digits. Some counts arrive as decimals. An absurd number is read as missing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Whole(pub Option<i64>);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let whole = |number: Number| {
            let of_decimal = || number.as_f64().filter(|number| number.abs() < 9e15);
            number
                .as_i64()
                .or_else(|| of_decimal().map(|number| number as i64))
        };
        Ok(Self(
            Option::<Number>::deserialize(deserializer)?.and_then(whole),
        ))
    }
}

impl Whole {
    /// A count of objects. A negative one is read as missing.
    pub(super) fn count(self) -> Option<i32> {
        self.0
            .filter(|count| *count >= 0)
            .and_then(|count| i32::try_from(count).ok())
    }
}
