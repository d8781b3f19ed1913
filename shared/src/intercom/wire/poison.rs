//! One object read alone: a record, or poison with its bytes and the reason.

use serde::{Deserialize, de::DeserializeOwned};
use uuid::Uuid;

use super::{repair::repair, scalar::Text};
use crate::domain::records::Poison;

/// A larger object is quarantined whole: it would cost every reader of its page.
const LARGEST_OBJECT: usize = 8 << 20;

/// What became of one object.
#[derive(Debug)]
pub enum Read<T> {
    Good(T),
    Bad(Poison),
}

/// Reads one object of a kind; `sanitised` says whether its text had to be repaired.
pub(super) fn read_object<W: DeserializeOwned, T>(
    kind: &'static str,
    raw: &str,
    into: impl FnOnce(W, bool) -> Result<T, &'static str>,
) -> Read<T> {
    let bad = |reason: String| Read::Bad(Poison { kind, source_id: id_of(raw), reason, raw: raw.as_bytes().to_vec() });
    if raw.len() > LARGEST_OBJECT {
        return bad(format!("the object is {} bytes long", raw.len()));
    }
    let text = repair(raw);
    let sanitised = matches!(text, std::borrow::Cow::Owned(_));
    match serde_json::from_str::<W>(&text) {
        Ok(wire) => match into(wire, sanitised) {
            Ok(record) => Read::Good(record),
            Err(reason) => bad(reason.to_owned()),
        },
        Err(error) => bad(error.to_string()),
    }
}

/// Intercom's id of an object that cannot be read whole; a digest of its bytes where even that fails.
fn id_of(raw: &str) -> String {
    #[derive(Deserialize)]
    struct Id {
        id: Text,
    }
    serde_json::from_str::<Id>(&repair(raw))
        .ok()
        .and_then(|object| object.id.some())
        .filter(|id| id.len() <= 64)
        .unwrap_or_else(|| format!("digest-{}", Uuid::new_v5(&Uuid::NAMESPACE_OID, raw.as_bytes())))
}
