//! Reads one object alone. The result is a record, or poison with the object's bytes and the reason.

use serde::{Deserialize, de::DeserializeOwned};
use uuid::Uuid;

use super::{
    object::Object,
    repair::repair,
    scalar::{MAX_ID_BYTES, Text},
};
use crate::domain::records::Poison;

/// A larger object is quarantined, because every reader of its row would pay for it.
const MAX_OBJECT_BYTES: usize = 8 << 20;
/// In bytes. The parser's reason quotes text of the object, which may be long.
const MAX_REASON_BYTES: usize = 200;

/// Reads one object of a kind. The second argument of `into` says whether its text was repaired.
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
    if raw.len() > MAX_OBJECT_BYTES {
        return bad(format!("the object is {} bytes long", raw.len()));
    }
    // Repaired for the parser only. The stored bytes stay as they were sent.
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

/// Reads fields that an object can do without. If the object itself cannot be read, none of them is set.
pub(super) fn read_extras<W: DeserializeOwned + Default>(raw: &str) -> W {
    serde_json::from_str::<Object<W>>(&repair(raw))
        .map_or_else(|_| W::default(), |Object(wire)| wire)
}

/// Poison for a record that is too large for any response, named by its outline. It has no bytes, because
/// a replay of the outline would pass for a record without its long fields.
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

/// The parser's reason, cut to a bounded length.
pub(super) fn brief(error: &serde_json::Error) -> String {
    let mut reason = error.to_string();
    if reason.len() > MAX_REASON_BYTES {
        let end = (0..=MAX_REASON_BYTES)
            .rev()
            // A cut inside a character would panic.
            .find(|at| reason.is_char_boundary(*at))
            .unwrap_or_default();
        reason.truncate(end);
        reason.push('…');
    }
    reason
}

/// Intercom's id of an object that cannot be read whole, or a digest of its bytes if it has no id.
fn id_of(raw: &str) -> String {
    #[derive(Deserialize)]
    struct Id {
        id: Text,
    }
    serde_json::from_str::<Object<Id>>(&repair(raw))
        .ok()
        .and_then(|Object(object)| object.id.some())
        .filter(|id| id.len() <= MAX_ID_BYTES)
        .unwrap_or_else(|| {
            format!(
                "digest-{}",
                Uuid::new_v5(&Uuid::NAMESPACE_OID, raw.as_bytes())
            )
        })
}
