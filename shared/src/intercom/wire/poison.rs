//! One object read alone: a record, or poison with its bytes and the reason.

use serde::{Deserialize, de::DeserializeOwned};
use uuid::Uuid;

use super::{
    object::Object,
    repair::repair,
    scalar::{LONGEST_ID, Text},
};
use crate::domain::records::Poison;

/// A larger object is quarantined whole: it would cost every reader of its page.
const LARGEST_OBJECT: usize = 8 << 20;
/// A reason quotes what it is about, which may be all of it.
const LONGEST_REASON: usize = 200;

/// Reads one object of a kind; `sanitised` says whether its text had to be repaired.
pub(super) fn read_object<W: DeserializeOwned, T>(
    kind: &'static str,
    raw: &str,
    into: impl FnOnce(W, bool) -> Result<T, &'static str>,
) -> Result<T, Poison> {
    let bad = |reason: String| {
        Err(Poison {
            kind,
            source_id: id_of(raw),
            reason,
            raw: raw.as_bytes().to_vec(),
        })
    };
    if raw.len() > LARGEST_OBJECT {
        return bad(format!("the object is {} bytes long", raw.len()));
    }
    let text = repair(raw);
    let sanitised = matches!(text, std::borrow::Cow::Owned(_));
    match serde_json::from_str::<Object<W>>(&text) {
        Ok(Object(wire)) => match into(wire, sanitised) {
            Ok(record) => Ok(record),
            Err(reason) => bad(reason.to_owned()),
        },
        Err(error) => bad(brief(&error)),
    }
}

/// A record that no answer can hold, by the short fields that its outline has. No bytes: they are not all of it, and
/// read again later they would pass for a record without the rest.
#[must_use]
pub fn oversized(kind: &'static str, outline: &str, largest: usize) -> Poison {
    let reason = format!("a page of this object alone is larger than {largest} bytes");
    Poison {
        kind,
        source_id: id_of(outline),
        reason,
        raw: Vec::new(),
    }
}

/// Why JSON could not be read, however long the text that it quotes.
pub(super) fn brief(error: &serde_json::Error) -> String {
    let mut reason = error.to_string();
    if reason.len() > LONGEST_REASON {
        let end = (0..=LONGEST_REASON)
            .rev()
            .find(|at| reason.is_char_boundary(*at))
            .unwrap_or_default();
        reason.truncate(end);
        reason.push('…');
    }
    reason
}

/// Intercom's id of an object that cannot be read whole; a digest of its bytes where even that fails.
fn id_of(raw: &str) -> String {
    #[derive(Deserialize)]
    struct Id {
        id: Text,
    }
    serde_json::from_str::<Object<Id>>(&repair(raw))
        .ok()
        .and_then(|Object(object)| object.id.some())
        .filter(|id| id.len() <= LONGEST_ID)
        .unwrap_or_else(|| {
            format!(
                "digest-{}",
                Uuid::new_v5(&Uuid::NAMESPACE_OID, raw.as_bytes())
            )
        })
}
