//! Objects that are not what they should be, inside pages that otherwise are.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How one object of a page is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Garble {
    /// Objects where text belongs, text where numbers belong.
    WrongTypes,
    /// A string instead of the object.
    NotAnObject,
    /// `null` instead of the object.
    Null,
    /// The object without its id.
    NoId,
    /// A NUL character in a text.
    NulCharacter,
    /// Half of a surrogate pair in a text.
    LoneSurrogate,
    /// A field nested 2,000 levels deep.
    Deep,
    /// A field of two million characters.
    Huge,
    /// Unknown values where an enumeration is documented.
    UnknownEnums,
}

const MARK: &str = "@garble@";

impl Garble {
    /// Breaks the chosen object of a JSON page. `None`: there is no such object.
    pub(crate) fn apply(
        self,
        body: &[u8],
        id: Option<&str>,
        place: usize,
        part: bool,
    ) -> Option<Bytes> {
        let mut page: Value = serde_json::from_slice(body).ok()?;
        let target = find(&mut page, id, place, part)?;
        self.break_it(target);
        let text = page.to_string();
        let quoted = format!("\"{MARK}\"");
        // What serde_json cannot write goes in as text.
        Some(Bytes::from(match self {
            Self::LoneSurrogate => text.replace(&quoted, "\"half \\ud83d a pair\""),
            Self::Deep => {
                let deep = format!("{}1{}", "[".repeat(2000), "]".repeat(2000));
                text.replace(&quoted, &deep)
            }
            _ => text,
        }))
    }

    fn break_it(self, object: &mut Value) {
        match self {
            Self::NotAnObject => *object = json!("not an object"),
            Self::Null => *object = Value::Null,
            Self::WrongTypes => {
                set(object, &["updated_at", "created_at"], &json!("yesterday"));
                set(
                    object,
                    &["name", "title", "body"],
                    &json!({"unexpected": [1, 2]}),
                );
                set(object, &["tags", "contacts", "author"], &json!(17));
            }
            Self::NoId => {
                if let Some(map) = object.as_object_mut() {
                    map.remove("id");
                }
            }
            Self::NulCharacter => set_text(object, &json!("a\u{0}b")),
            Self::LoneSurrogate | Self::Deep => set_text(object, &json!(MARK)),
            Self::Huge => set_text(object, &json!("x".repeat(2_000_000))),
            Self::UnknownEnums => {
                for field in ["role", "state", "priority", "part_type", "type"] {
                    set(object, &[field], &json!("brand_new_value"));
                }
            }
        }
    }
}

/// A search page that names as its next cursor the one of the request. `None`: the request had none.
pub(super) fn repeat_cursor(body: &[u8], request: &[u8]) -> Option<Bytes> {
    let request: Value = serde_json::from_slice(request).ok()?;
    let asked = request["pagination"]["starting_after"].as_str()?;
    let mut page: Value = serde_json::from_slice(body).ok()?;
    page["pages"]["next"] = json!({"page": 2, "starting_after": asked});
    Some(Bytes::from(page.to_string()))
}

/// A page with its objects from last to first.
pub(super) fn reverse(body: &[u8]) -> Option<Bytes> {
    let mut page: Value = serde_json::from_slice(body).ok()?;
    for key in ["data", "conversations"] {
        if let Some(list) = page.get_mut(key).and_then(Value::as_array_mut) {
            list.reverse();
        }
    }
    Some(Bytes::from(page.to_string()))
}

/// A page in which one value is another. `None`: the object or the value's place is not there.
pub(super) fn edit(
    body: &[u8],
    id: Option<&str>,
    pointer: &str,
    value: Option<&Value>,
) -> Option<Bytes> {
    let mut page: Value = serde_json::from_slice(body).ok()?;
    let target = match id {
        Some(id) => find(&mut page, Some(id), 0, false)?,
        None => &mut page,
    };
    let (parent, name) = pointer.rsplit_once('/')?;
    let parent = target.pointer_mut(parent)?.as_object_mut()?;
    match value {
        Some(value) => parent.insert(name.to_owned(), value.clone()),
        None => parent.remove(name),
    };
    Some(Bytes::from(page.to_string()))
}

/// A page that names its next page by a URL. `None`: it is the last one.
pub(super) fn cursor_in_url(body: &[u8]) -> Option<Bytes> {
    let mut page: Value = serde_json::from_slice(body).ok()?;
    let after = page["pages"]["next"]["starting_after"].as_str()?;
    let query: String = [("page", "2"), ("starting_after", after)]
        .map(|(name, value)| format!("{name}={}", value.replace('=', "%3D").replace('+', "%2B")))
        .join("&");
    page["pages"]["next"] = json!(format!("https://elsewhere.example/contacts?{query}"));
    Some(Bytes::from(page.to_string()))
}

/// Sets the fields that the object has.
fn set(object: &mut Value, fields: &[&str], value: &Value) {
    for field in fields {
        if let Some(slot) = object.get_mut(*field) {
            *slot = value.clone();
        }
    }
}

/// Puts `value` where the object carries text that a copy keeps.
fn set_text(object: &mut Value, value: &Value) {
    for field in ["body", "title", "name"] {
        if let Some(slot) = object.get_mut(field) {
            *slot = value.clone();
            return;
        }
    }
    if let Some(map) = object.as_object_mut() {
        map.insert("custom_text".to_owned(), value.clone());
    }
}

fn find<'p>(
    page: &'p mut Value,
    id: Option<&str>,
    place: usize,
    part: bool,
) -> Option<&'p mut Value> {
    let key = if part {
        "conversation_parts"
    } else {
        ["data", "conversations", "admins", "teams", "segments"]
            .into_iter()
            .find(|key| page.get(*key).is_some_and(Value::is_array))
            .unwrap_or("")
    };
    if key.is_empty() {
        // A single object.
        return id.is_none_or(|id| page["id"] == json!(id)).then_some(page);
    }
    let list = if part {
        page.get_mut(key)?.get_mut(key)?
    } else {
        page.get_mut(key)?
    };
    let list = list.as_array_mut()?;
    match id {
        Some(id) => list.iter_mut().find(|object| object["id"] == json!(id)),
        None => list.get_mut(place),
    }
}
