//! Lists of raw objects, with a limit on their length.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

/// Far more than any list has. Pages have 150 objects, and a workspace has some thousands of tags. Without
/// this limit, a list of millions of empty values within 32 MiB would take a hundred times its size.
pub(super) const MAX_ITEMS: usize = 20_000;

/// The objects of a list, each as it was sent.
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
                    if items.len() == MAX_ITEMS {
                        return Err(A::Error::custom(format_args!(
                            "it has more than {MAX_ITEMS} items"
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
