//! Lists of objects that nobody has read yet, no longer than a list may be.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

/// Far more than any list has (pages have 150, a workspace's tags some thousands). Within the bytes that an answer
/// may have, a list of millions of nothings would take a hundred times its size.
pub(super) const MOST_ITEMS: usize = 20_000;

/// A list's objects, each as it was sent.
#[derive(Debug)]
pub(super) struct Items<'a>(pub Vec<&'a RawValue>);

impl<'a, 'de: 'a> Deserialize<'de> for Items<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ItemsVisitor;

        impl<'de> Visitor<'de> for ItemsVisitor {
            type Value = Items<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Items<'de>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    if items.len() == MOST_ITEMS {
                        return Err(A::Error::custom(format_args!(
                            "it has more than {MOST_ITEMS} items"
                        )));
                    }
                    items.push(item);
                }
                Ok(Items(items))
            }
        }

        deserializer.deserialize_seq(ItemsVisitor)
    }
}
