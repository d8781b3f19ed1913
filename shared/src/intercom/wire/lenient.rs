//! Fields that a record can do without.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A value that is empty if it cannot be read. The record is read all the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Lenient<T>(pub T);

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = <&'de RawValue>::deserialize(deserializer)?;
        Ok(Self(serde_json::from_str(value.get()).unwrap_or_default()))
    }
}
