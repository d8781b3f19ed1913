//! `/me` and the small lists: admins, teams, tags, segments, attributes.

use serde_json::{Value, json};

use super::Call;
use crate::errors::ApiError;
use crate::reply::Reply;
use crate::store::Store;
use crate::versions::Version;

/// `GET /me`: the admin that installed the app, and the workspace.
pub(crate) fn me(call: &Call<'_>) -> Reply {
    let spec = &call.workspace.world.spec;
    let reference = &call.shelf.store.reference;
    let Some(admin) = reference.admins.first() else {
        return Reply::json(200, "null");
    };
    reply(&json!({
        "type": "admin",
        "id": admin.id.to_string(),
        "email": admin.email,
        "name": admin.name,
        "job_title": "Support",
        "away_mode_enabled": false,
        "away_mode_reassign": false,
        "team_ids": admin.team_ids,
        "email_verified": true,
        "app": {
            "type": "app",
            "id_code": &*call.workspace.id_code,
            "name": spec.name,
            "created_at": reference.created_at,
            "secure": false,
            "identity_verification": false,
            "timezone": spec.timezone,
            "region": spec.region,
        },
        "avatar": {"type": "avatar", "image_url": admin.avatar},
        "has_inbox_seat": true,
    }))
}

pub(crate) fn admins(call: &Call<'_>) -> Reply {
    let avatar = call.query.is_true("display_avatar");
    let admins: Vec<Value> = call
        .shelf
        .store
        .reference
        .admins
        .iter()
        .map(|admin| admin.json(avatar))
        .collect();
    reply(&json!({"type": "admin.list", "admins": admins}))
}

/// `GET /admins/{id}`: 404 for former admins.
pub(crate) fn admin(call: &Call<'_>) -> Result<Reply, ApiError> {
    call.shelf
        .store
        .reference
        .admins
        .iter()
        .find(|admin| admin.id.to_string() == call.id)
        .map(|admin| reply(&admin.json(false)))
        .ok_or_else(|| ApiError::new(404, "admin_not_found", "Admin not found"))
}

pub(crate) fn teams(call: &Call<'_>) -> Reply {
    let teams = &call.shelf.store.reference.teams;
    let teams: Vec<Value> = teams.iter().map(crate::generate::Team::json).collect();
    reply(&json!({"type": "team.list", "teams": teams}))
}

pub(crate) fn tags(call: &Call<'_>) -> Reply {
    let tags = &call.shelf.store.reference.tags;
    reply(&json!({"type": "list", "data": tags}))
}

pub(crate) fn segments(call: &Call<'_>) -> Reply {
    let store = &call.shelf.store;
    let counted = call.query.is_true("include_count");
    let segments: Vec<Value> = store
        .reference
        .segments
        .iter()
        .map(|segment| segment.json(counted.then(|| members(store, &segment.id))))
        .collect();
    reply(&json!({"type": "segment.list", "segments": segments}))
}

fn members(store: &Store, segment: &str) -> usize {
    store
        .contacts
        .iter()
        .filter(|entry| entry.head.state.is_live())
        .filter(|entry| entry.segments.iter().any(|id| id == segment))
        .count()
}

/// `GET /data_attributes?model=`: from 2.16 on conversations have a call of their own.
pub(crate) fn data_attributes(call: &Call<'_>) -> Result<Reply, ApiError> {
    let models: &[&str] = match call.query.get("model") {
        None => &["contact", "company"],
        Some("contact") => &["contact"],
        Some("company") => &["company"],
        Some("conversation") if call.version < Version::V2_16 => &["conversation"],
        Some("conversation") => {
            return Err(ApiError::new(
                422,
                "parameter_invalid",
                "model=conversation is no longer supported. Use GET /conversations/attributes \
                 instead",
            ));
        }
        Some(_) => return Err(ApiError::parameter("model must be contact or company")),
    };
    let archived = call.query.is_true("include_archived");
    let at = call.shelf.store.reference.created_at;
    let data: Vec<Value> = models
        .iter()
        .flat_map(|model| attributes(model))
        .filter(|(.., gone)| archived || !gone)
        .map(|attribute| data_attribute(attribute, at, call.version))
        .collect();
    Ok(reply(&json!({"type": "list", "data": data})))
}

/// Model, name, type, custom, archived.
type Attribute = (&'static str, &'static str, &'static str, bool, bool);

fn attributes(model: &str) -> Vec<Attribute> {
    const ALL: &[Attribute] = &[
        ("contact", "name", "string", false, false),
        ("contact", "email", "string", false, false),
        ("contact", "external_id", "string", false, false),
        ("contact", "created_at", "date", false, false),
        ("contact", "updated_at", "date", false, false),
        ("contact", "last_seen_at", "date", false, false),
        ("contact", "plan_tier", "string", true, false),
        ("contact", "seats", "integer", true, false),
        ("contact", "is_champion", "boolean", true, false),
        ("contact", "score", "float", true, false),
        ("contact", "The One Ring", "string", true, false),
        ("contact", "legacy_field", "string", true, true),
        ("company", "name", "string", false, false),
        ("company", "company_id", "string", false, false),
        ("company", "created_at", "date", false, false),
        ("company", "monthly_spend", "float", false, false),
        ("company", "paid_subscriber", "boolean", true, false),
        ("company", "crm_id", "string", true, false),
        ("company", "average_basket", "float", true, false),
        ("company", "renewal_note", "string", true, false),
        ("conversation", "Issue type", "string", true, false),
        ("conversation", "Has attachments", "boolean", true, false),
        ("conversation", "CX Score rating", "integer", true, false),
    ];
    ALL.iter().filter(|row| row.0 == model).copied().collect()
}

fn data_attribute(attribute: Attribute, at: i64, version: Version) -> Value {
    let (model, name, kind, custom, archived) = attribute;
    // From 2.17 on standard timestamps report the finer type.
    let kind = if kind == "date" && !custom && version >= Version::V2_17 {
        "datetime"
    } else {
        kind
    };
    let mut shown = json!({
        "type": "data_attribute",
        "name": name,
        "full_name": if custom { format!("custom_attributes.{name}") } else { name.to_owned() },
        "label": name,
        "description": "",
        "data_type": kind,
        "api_writable": true,
        "ui_writable": custom,
        "messenger_writable": true,
        "custom": custom,
        "archived": archived,
        "model": model,
    });
    if custom {
        shown["id"] = json!(30 + name.len() + model.len());
        shown["created_at"] = json!(at);
        shown["updated_at"] = json!(at);
        shown["admin_id"] = json!("991267784");
    }
    shown
}

/// `GET /conversations/attributes` (2.16 and later).
pub(crate) fn conversation_attributes(call: &Call<'_>) -> Reply {
    let at = call.shelf.store.reference.created_at;
    let one = |id: u32, name: &str, kind: &str, archived: bool, extra: Value| {
        let mut attribute = json!({
            "type": "conversation_attribute",
            "id": id,
            "name": name,
            "description": "",
            "data_type": kind,
            "required": false,
            "visible_to_team_ids": [],
            "archived": archived,
            "created_at": at,
            "updated_at": at,
            "admin_id": "16",
        });
        if let (Some(map), Value::Object(extra)) = (attribute.as_object_mut(), extra) {
            map.extend(extra);
        }
        attribute
    };
    let option = |n: u32, label: &str| json!({"id": format!("a1b2c3d4-e5f6-7890-abcd-ef12345678{n:02}"), "label": label, "archived": false});
    let options =
        json!({"options": [option(1, "Billing"), option(2, "Bug"), option(3, "Häufige Frage")]});
    let mut data = vec![
        one(2, "Issue type", "list", false, options),
        one(3, "Has attachments", "boolean", false, json!({})),
        one(4, "CX Score rating", "integer", false, json!({})),
        one(
            5,
            "CX Score explanation",
            "string",
            false,
            json!({"multiline": true}),
        ),
    ];
    if call.query.is_true("include_archived") {
        data.push(one(
            6,
            "Old reason",
            "string",
            true,
            json!({"multiline": false}),
        ));
    }
    reply(&json!({"type": "list", "data": data}))
}

fn reply(body: &Value) -> Reply {
    Reply::json(200, body.to_string())
}
