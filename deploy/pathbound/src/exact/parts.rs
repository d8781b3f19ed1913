//! Parts, and the first message, which Intercom keeps apart from them.

use intercom_simulator::TruthLine;
use serde_json::Value;
use shared::{domain::records, store::reads::StoredPart};

use super::{
    fields::Fields,
    truth::{FirstMessage, Shape},
    value,
};

/// The source id of a first message's row.
pub(super) const FIRST_MESSAGE: &str = records::FIRST_MESSAGE;

/// The first difference of a part from the truth.
pub(super) fn differs(
    stored: &StoredPart,
    line: &TruthLine,
    truth: &Value,
    shape: Shape,
) -> Option<String> {
    let mut fields = Fields::default();
    let kind = value::text(&truth["part_type"]).unwrap_or_else(|| "unknown".to_owned());
    fields.same("internal", &stored.internal, &(kind == "note"));
    fields.same("kind", &stored.kind, &kind);
    message(&mut fields, stored, truth);
    fields.time(
        "source_created_at",
        Some(stored.source_created_at),
        &truth["created_at"],
    );
    let updated = if truth["updated_at"].is_null() {
        &truth["created_at"]
    } else {
        &truth["updated_at"]
    };
    fields.time("source_updated_at", Some(stored.source_updated_at), updated);
    if shape == Shape::Current {
        fields.raw(&stored.raw, line.object.get());
    }
    fields.difference()
}

/// The first message that a live conversation must have. `None` if its `source` is empty.
pub(super) fn first_message(conversation: &Value) -> Option<FirstMessage> {
    let source = &conversation["source"];
    let said = ["id", "body"]
        .iter()
        .any(|name| !matches!(source[*name], Value::Null))
        || value::text(&source["type"]).is_some() && !source["author"]["id"].is_null();
    (source.is_object() && said).then(|| FirstMessage {
        source: source.clone(),
        created_at: value::time(&conversation["created_at"]),
        updated_at: value::time(&conversation["updated_at"]),
    })
}

/// The first difference of a first message from the truth.
pub(super) fn first_differs(
    stored: &StoredPart,
    message: &FirstMessage,
    shape: Shape,
) -> Option<String> {
    let mut fields = Fields::default();
    fields.same("internal", &stored.internal, &false);
    fields.same("kind", stored.kind.as_str(), FIRST_MESSAGE);
    self::message(&mut fields, stored, &message.source);
    fields.same(
        "source_created_at",
        &Some(stored.source_created_at),
        &message.created_at,
    );
    // A first message has no time of its own. It has that of a version of the conversation that showed it.
    let updated = Some(stored.source_updated_at);
    if updated < message.created_at || updated > message.updated_at {
        fields.wrong(|| {
            format!("source_updated_at is {updated:?}, which is no time of its conversation")
        });
    }
    if shape == Shape::Current {
        fields.raw(&stored.raw, &message.source.to_string());
    }
    fields.difference()
}

fn message(fields: &mut Fields, stored: &StoredPart, truth: &Value) {
    let author = &truth["author"];
    fields.text(
        "author_kind",
        stored.author_kind.as_deref(),
        &author["type"],
    );
    fields.text(
        "author_source_id",
        stored.author_source_id.as_deref(),
        &author["id"],
    );
    fields.text(
        "author_name",
        stored.author_name.as_deref(),
        &author["name"],
    );
    // An empty body is a body.
    fields.same("body", &stored.body.as_deref(), &truth["body"].as_str());
    fields.same(
        "redacted",
        &stored.redacted,
        &truth["redacted"].as_bool().unwrap_or(false),
    );
}
