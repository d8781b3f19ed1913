//! API versions: which one a call asks for, and how objects looked before 2.16.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::errors::ApiError;

/// An API version. `Preview` is newer than any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(u16, u16);

impl Version {
    /// The version in which objects are stored.
    pub(crate) const V2_16: Self = Self(2, 16);
    /// Contact search becomes exact.
    pub(crate) const V2_17: Self = Self(2, 17);

    pub(crate) const fn new(major: u16, minor: u16) -> Self {
        Self(major, minor)
    }

    /// A version that Intercom knows, by its name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        if matches!(name, "Preview" | "Unstable") {
            return Some(Self(u16::MAX, 0));
        }
        let (major, minor) = name.split_once('.')?;
        let plain = |text: &str| {
            text.bytes()
                .all(|b| b.is_ascii_digit())
                .then(|| text.parse::<u16>().ok())
                .flatten()
        };
        match (plain(major)?, plain(minor)?) {
            (1, minor) if minor <= 4 => Some(Self(1, minor)),
            (2, minor) if minor <= 17 => Some(Self(2, minor)),
            _ => None,
        }
    }

    /// The version of a call.
    ///
    /// # Errors
    /// 400 `intercom_version_invalid` for unknown names.
    pub(crate) fn of_call(header: Option<&str>, app: Self) -> Result<Self, ApiError> {
        let Some(name) = header else { return Ok(app) };
        Self::parse(name.trim()).ok_or_else(|| {
            ApiError::new(
                400,
                "intercom_version_invalid",
                format!("The requested version '{name}' is invalid"),
            )
        })
    }
}

/// A contact as `version` shows it.
pub(crate) fn contact(body: &[u8], version: Version) -> Cow<'_, [u8]> {
    older(body, version, |contact| {
        let owner = &contact["owner_id"];
        contact["owner_id"] = owner
            .as_str()
            .and_then(|id| id.parse::<i64>().ok())
            .map_or(Value::Null, Value::from);
        drop_keys(contact, &["email_domain"]);
    })
}

/// A company as `version` shows it.
pub(crate) fn company(body: &[u8], version: Version) -> Cow<'_, [u8]> {
    older(body, version, |company| drop_keys(company, &["notes"]))
}

/// A conversation without its parts, as `version` shows it.
pub(crate) fn conversation(body: &[u8], version: Version) -> Cow<'_, [u8]> {
    older(body, version, |conversation| {
        for assignee in ["admin_assignee_id", "team_assignee_id"] {
            if conversation[assignee] == json!(0) {
                conversation[assignee] = Value::Null;
            }
        }
        let urgent = matches!(
            conversation["priority"].as_str(),
            Some("medium" | "high" | "urgent")
        );
        conversation["priority"] = json!(if urgent { "priority" } else { "not_priority" });
        if let Some(source) = conversation["source"].as_object_mut() {
            if source.get("subject").is_some_and(Value::is_null) {
                source.insert("subject".to_owned(), json!(""));
            }
            if source.get("type") == Some(&json!("unknown")) {
                source.insert("type".to_owned(), Value::Null);
            }
        }
        if let Some(company) = conversation.get_mut("company") {
            drop_keys(company, &["notes"]);
        }
        drop_keys(
            conversation,
            &[
                "channel",
                "external_references",
                "sales_agent",
                "sales_agent_participated",
            ],
        );
        if version < Version::new(2, 15) {
            drop_keys(conversation, &["company"]);
        }
        if version < Version::new(2, 11) {
            drop_keys(conversation, &["ai_agent", "ai_agent_participated"]);
        }
        if version < Version::new(2, 10) {
            drop_keys(conversation, &["linked_objects"]);
        }
    })
}

/// A part as `version` shows it.
pub(crate) fn part(body: &[u8], version: Version) -> Cow<'_, [u8]> {
    if version >= Version::new(2, 14) {
        return Cow::Borrowed(body);
    }
    older(body, version, |part| {
        drop_keys(part, &["metadata"]);
        if version < Version::new(2, 13) {
            drop_keys(
                part,
                &[
                    "email_message_metadata",
                    "state",
                    "tags",
                    "event_details",
                    "app_package_code",
                ],
            );
        }
        // Before 2.6 the finer kinds arrived as comments.
        let fine = !matches!(
            part["part_type"].as_str(),
            Some("comment" | "note" | "open" | "close" | "assignment" | "snoozed")
        );
        if version < Version::new(2, 6) && fine {
            part["part_type"] = json!("comment");
        }
    })
}

fn older(body: &[u8], version: Version, change: impl FnOnce(&mut Value)) -> Cow<'_, [u8]> {
    if version >= Version::V2_16 {
        return Cow::Borrowed(body);
    }
    match serde_json::from_slice::<Value>(body) {
        Ok(mut object @ Value::Object(_)) => {
            change(&mut object);
            Cow::Owned(object.to_string().into_bytes())
        }
        // Foreign bytes stay as they are.
        _ => Cow::Borrowed(body),
    }
}

fn drop_keys(object: &mut Value, keys: &[&str]) {
    if let Some(map) = object.as_object_mut() {
        for key in keys {
            map.remove(*key);
        }
    }
}
