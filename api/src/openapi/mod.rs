//! The description of `/v1` as OpenAPI 3.1. It is made from the router, the handlers' annotations and the types.
//!
//! | file | adds |
//! |---|---|
//! | `operation.rs` | what follows from the key that a call needs, and from its shape |
//! | `problem.rs` | the problems of a call |
//! | `words.rs` | the words that a field may have |

mod operation;
mod problem;
pub(crate) mod words;

use std::sync::LazyLock;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema, path::Paths};

use crate::{caller::Access, router};

const ABOUT: &str = "Profiles of your customers' contacts and companies, a read-only copy of their Intercom workspaces, and how complete \
    it is.\n\n\
    The **service key** acts for any tenant and names it in `Pathbound-Tenant`. A **tenant key** is bound to its tenant, \
    has scopes, and sends no such header. Times are RFC 3339 in UTC. Unknown members may be added to any answer.";

/// The calls by what they are about, in the order of the page.
const GROUPS: [(&str, &str); 13] = [
    ("Tenants", "Your customers."),
    ("API keys", "The keys of one tenant."),
    ("Sessions", "Browsers that are signed in to the pages."),
    ("Connections", "The Intercom workspaces of a tenant."),
    ("Syncs", "Runs, and how complete the copy is."),
    ("Sources", "Records that other systems send."),
    ("Contacts", "People, folded from their records."),
    ("Companies", "Companies, folded from their records."),
    (
        "Search",
        "Contacts, companies and conversations by their words.",
    ),
    ("Changes", "The feed of what changed."),
    ("Conversations", "Conversations and their parts."),
    ("Erasure", "People who are removed and kept out."),
    ("Audit", "Who did what."),
];

/// One call: the key that it needs, and what its annotation says.
pub(crate) struct Described {
    pub(crate) access: Access,
    pub(crate) schemas: Vec<(String, RefOr<Schema>)>,
    pub(crate) paths: Paths,
}

/// The description as it is served, without blanks.
pub(crate) static SERVED: LazyLock<Bytes> = LazyLock::new(|| document().to_string().into());

/// The description of this build. Its members are sorted, so that equal descriptions have equal texts.
#[must_use]
pub fn document() -> Value {
    let (mut paths, mut schemas) = (Map::new(), problem::schemas());
    for call in router::described() {
        for (name, schema) in &call.schemas {
            schemas.insert(name.clone(), json!(schema));
        }
        let Value::Object(described) = json!(call.paths) else {
            continue;
        };
        for (path, item) in described {
            let Value::Object(methods) = item else {
                continue;
            };
            let shared = paths.entry(&path).or_insert_with(|| json!({}));
            for (method, mut operation) in methods {
                operation::complete(&mut operation, &method, call.access);
                let body = &mut operation["requestBody"];
                if body.is_object() {
                    // No body at all stands for one without members.
                    body["required"] = needs_members(body, &schemas).into();
                }
                shared[method] = operation;
            }
        }
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Pathbound",
            "version": "1",
            "description": ABOUT,
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": GROUPS.map(|(name, description)| json!({"name": name, "description": description})),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "headers": operation::headers(),
            "securitySchemes": operation::keys(),
        },
    });
    document.sort_all_objects();
    document
}

/// Whether the object that a body has to be has members that must be there. One of several objects says by a member which
/// it is.
fn needs_members(body: &Value, schemas: &Map<String, Value>) -> bool {
    let schema = body["content"]["application/json"]["schema"]["$ref"].as_str();
    let name = schema.and_then(|path| path.rsplit('/').next());
    name.and_then(|name| schemas.get(name))
        .is_none_or(|schema| schema["required"].is_array() || schema["oneOf"].is_array())
}

/// The description as it is committed: one member on each line.
#[must_use]
pub fn text() -> String {
    format!("{:#}\n", document())
}

#[cfg(test)]
mod tests;
