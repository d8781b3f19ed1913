//! The full response of one conversation: its stub and its parts.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    conversation::{read_conversation, read_part},
    items::Items,
    object::Object,
    poison::brief,
    scalar::Whole,
};
use crate::{
    domain::records::{Conversation, Poison, Thread},
    intercom::Error,
};

#[derive(Deserialize)]
struct Full<'a> {
    #[serde(borrow, default)]
    conversation_parts: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Parts<'a> {
    #[serde(borrow)]
    conversation_parts: Items<'a>,
    #[serde(borrow, default)]
    total_count: Option<&'a RawValue>,
}

/// The response of `GET /conversations/{id}`, split into its stub and its parts.
#[derive(Debug)]
pub struct SentThread<'a> {
    pub conversation: Result<Conversation, Poison>,
    /// Each as it was sent.
    pub parts: Vec<&'a str>,
    /// `conversation_parts.total_count`. `None` if it cannot be read, which costs only the count and not the thread.
    pub total_count: Option<i32>,
}

/// Splits the response of `GET /conversations/{id}`.
///
/// # Errors
/// [`Error::Unavailable`] when the list of parts is missing, because a thread without parts has an empty
/// list.
pub fn split_thread(body: &str) -> Result<SentThread<'_>, Error> {
    let Object(full): Object<Full<'_>> = serde_json::from_str(body).map_err(|error| {
        Error::Unavailable(format!("the answer is not a thread: {}", brief(&error)))
    })?;
    let parts_raw = full
        .conversation_parts
        .ok_or_else(|| Error::Unavailable("the answer has no parts".to_owned()))?
        .get();
    let Object(list): Object<Parts<'_>> = serde_json::from_str(parts_raw).map_err(|error| {
        Error::Unavailable(format!("the parts are not a list: {}", brief(&error)))
    })?;
    let Items(parts) = list.conversation_parts;
    Ok(SentThread {
        conversation: read_conversation(&without_member(body, "conversation_parts", parts_raw)),
        parts: parts.into_iter().map(RawValue::get).collect(),
        total_count: list
            .total_count
            .and_then(|count| serde_json::from_str::<Whole>(count.get()).ok())
            .and_then(Whole::count),
    })
}

/// Reads the response of `GET /conversations/{id}`: the thread, and the parts that could not be read.
///
/// # Errors
/// As [`split_thread`].
pub fn read_thread(body: &str) -> Result<(Result<Thread, Poison>, Vec<Poison>), Error> {
    let sent = split_thread(body)?;
    let conversation = match sent.conversation {
        Ok(conversation) => conversation,
        Err(poison) => return Ok((Err(poison), Vec::new())),
    };
    let (mut parts, mut poisons) = (Vec::with_capacity(sent.parts.len()), Vec::new());
    for raw in sent.parts {
        match read_part(raw) {
            Ok(part) => parts.push(part),
            Err(poison) => poisons.push(poison_of_part(&conversation, poison)),
        }
    }
    let thread = Thread {
        conversation,
        parts,
        total_count: sent.total_count,
    };
    Ok((Ok(thread), poisons))
}

/// A part's poison under its name in quarantine. A part's id is unique within its conversation only.
#[must_use]
pub fn poison_of_part(conversation: &Conversation, poison: Poison) -> Poison {
    Poison {
        source_id: format!("{}/{}", conversation.source_id, poison.source_id),
        ..poison
    }
}

/// The object's text without one member, whose value is a slice of that text. The rest is the stub, byte
/// for byte as a list shows it.
fn without_member(object: &str, name: &str, value: &str) -> String {
    let value_at = value.as_ptr() as usize - object.as_ptr() as usize;
    // Searched backwards from the value, because an earlier text may contain the name as well.
    let Some(name_at) = object[..value_at].rfind(&format!("\"{name}\"")) else {
        return object.to_owned();
    };
    let (before, after) = (
        object[..name_at].trim_end(),
        object[value_at + value.len()..].trim_start(),
    );
    match (before.strip_suffix(','), after.strip_prefix(',')) {
        (Some(before), _) => format!("{before}{after}"),
        (None, Some(after)) => format!("{before}{after}"),
        (None, None) => format!("{before}{after}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intercom::wire::conversation::tests::STUB;

    #[test]
    fn a_thread_is_its_stub_and_its_parts() {
        for (before, after) in [(",", "}"), ("", ",\"id\":\"215\"}")] {
            let parts = r#""conversation_parts":{"conversation_parts":[
                {"id":1,"part_type":"note","created_at":5,"body":"x"},
                {"id":"2","part_type":"brand_new_event","created_at":6,"updated_at":7},
                {"id":"3","created_at":"no"}],"total_count":3}"#;
            let head = if after == "}" {
                r#"{"id":"215","created_at":1,"updated_at":2"#
            } else {
                r#"{"created_at":1,"updated_at":2,"x":"#
            };
            let body = if after == "}" {
                format!("{head}{before}{parts}{after}")
            } else {
                format!("{head}1,{parts}{after}")
            };
            let (Ok(thread), poisons) = read_thread(&body).unwrap() else {
                panic!("{body}")
            };
            assert_eq!(
                thread
                    .parts
                    .iter()
                    .map(|part| part.source_id.as_str())
                    .collect::<Vec<_>>(),
                ["1", "2"]
            );
            assert!(thread.parts[0].internal && !thread.parts[1].internal);
            assert_eq!((poisons.len(), poisons[0].source_id.as_str()), (1, "215/3"));
            assert!(
                !thread.conversation.raw.contains("conversation_parts"),
                "{}",
                thread.conversation.raw
            );
        }
    }

    #[test]
    fn an_answer_without_parts_is_not_an_empty_thread() {
        assert!(read_thread(STUB).is_err());
        assert!(read_thread(r#"{"id":"1","conversation_parts":null}"#).is_err());
    }
}
