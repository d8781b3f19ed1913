//! What an annotation leaves out, because it follows from the key that a call needs, its method and its shape.

use serde_json::{Value, json};

use super::problem;
use crate::{
    caller::{Access, KeyScope},
    codes::Code,
};

/// Adds keys, headers, links and problems to an operation.
pub(super) fn complete(operation: &mut Value, method: &str, access: Access) {
    let codes = codes(operation, method, access);
    let mut parameters = take_list(operation, "parameters");
    let paged = has_parameter(&parameters, "cursor");
    parameters.extend(tenant_header(access));
    match method {
        "post" => parameters.push(request_header(
            "Idempotency-Key",
            false,
            "Makes the call safe to repeat: a repeat within a day gets the first answer.",
            &json!({"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"}),
        )),
        "get" => parameters.push(request_header(
            "If-None-Match",
            false,
            "The `ETag` of an earlier answer. If nothing has changed, the answer is an empty 304.",
            &json!({"type": "string"}),
        )),
        _ => {}
    }
    operation["parameters"] = parameters.into();
    operation["security"] = security(access);
    operation["x-problems"] = codes.iter().map(|code| code.as_str()).collect();
    add_success_headers(operation, method);
    if paged {
        add_next_link(operation);
    }
    if method == "get" {
        operation["responses"]["304"] = json!({
            "description": "Nothing has changed since the answer with this `ETag`. It does not count against the limit.",
            "headers": {"ETag": header("ETag"), "RateLimit-Policy": header("RateLimit-Policy")},
        });
    }
    for (status, response) in problem::of(&codes) {
        operation["responses"][status] = response;
    }
}

/// Every problem of a call, sorted.
fn codes(operation: &Value, method: &str, access: Access) -> Vec<Code> {
    let mut codes = vec![
        Code::Unauthorized,
        Code::TenantNotAllowed,
        Code::RateLimited,
        Code::Internal,
        Code::Unavailable,
        // Of parameters that the call does not have.
        Code::InvalidRequest,
    ];
    match access {
        Access::Service => codes.push(Code::ServiceKeyRequired),
        Access::ServiceForTenant => codes.extend([
            Code::ServiceKeyRequired,
            Code::TenantRequired,
            Code::TenantNotFound,
        ]),
        Access::Scope(_) => codes.extend([
            Code::MissingScope,
            Code::TenantRequired,
            Code::TenantNotFound,
        ]),
    }
    let parameters = operation["parameters"]
        .as_array()
        .map_or(&[][..], |all| all);
    if parameters.iter().any(|parameter| parameter["in"] == "path") {
        codes.push(Code::NotFound);
    }
    if has_parameter(parameters, "cursor") {
        codes.push(Code::InvalidCursor);
    }
    if operation["requestBody"].is_object() {
        codes.extend([Code::PayloadTooLarge, Code::UnsupportedMediaType]);
    }
    if method == "post" {
        codes.extend([Code::IdempotencyInProgress, Code::IdempotencyKeyReused]);
    }
    let own = operation["x-problems"]
        .as_array()
        .map_or(&[][..], |all| all);
    codes.extend(own.iter().filter_map(|code| Code::named(code.as_str()?)));
    codes.sort_unstable();
    codes.dedup();
    codes
}

fn has_parameter(parameters: &[Value], name: &str) -> bool {
    parameters.iter().any(|parameter| parameter["name"] == name)
}

fn take_list(operation: &mut Value, member: &str) -> Vec<Value> {
    match operation[member].take() {
        Value::Array(list) => list,
        _ => Vec::new(),
    }
}

fn tenant_header(access: Access) -> Option<Value> {
    let (required, description) = match access {
        Access::Service => return None,
        Access::ServiceForTenant => (true, "The tenant that the service key acts for."),
        Access::Scope(_) => (
            false,
            "The tenant that the service key acts for. A tenant key must not send it.",
        ),
    };
    let id = json!({"type": "string", "format": "uuid"});
    Some(request_header(
        "Pathbound-Tenant",
        required,
        description,
        &id,
    ))
}

/// A header of the request.
fn request_header(name: &str, required: bool, description: &str, schema: &Value) -> Value {
    json!({
        "name": name,
        "in": "header",
        "required": required,
        "description": description,
        "schema": schema,
    })
}

fn security(access: Access) -> Value {
    match access {
        Access::Service | Access::ServiceForTenant => json!([{"service_key": []}]),
        Access::Scope(scope) => json!([{"service_key": []}, {"tenant_key": [scope.as_str()]}]),
    }
}

fn add_success_headers(operation: &mut Value, method: &str) {
    let Some(responses) = operation["responses"].as_object_mut() else {
        return;
    };
    for (_, response) in responses
        .iter_mut()
        .filter(|(status, _)| status.starts_with('2'))
    {
        for name in ["X-Request-Id", "RateLimit", "RateLimit-Policy"] {
            response["headers"][name] = header(name);
        }
        match method {
            "get" => response["headers"]["ETag"] = header("ETag"),
            "post" => {
                response["headers"]["Idempotency-Replayed"] = header("Idempotency-Replayed");
            }
            _ => {}
        }
    }
}

/// A list goes on with its own cursor.
fn add_next_link(operation: &mut Value) {
    let link = json!({
        "operationId": operation["operationId"],
        "description": "The next page.",
        "parameters": {"query.cursor": "$response.body#/next_cursor"},
    });
    operation["responses"]["200"]["links"]["next"] = link;
}

fn header(name: &str) -> Value {
    json!({"$ref": format!("#/components/headers/{name}")})
}

/// The headers of answers.
pub(super) fn headers() -> Value {
    let text = |description: &str, example: &str| json!({"description": description, "schema": {"type": "string"}, "example": example});
    json!({
        "ETag": text("Names this content for this tenant, whoever asks.", "\"2Xy…\""),
        "Idempotency-Replayed": text("`true` on the answer to a repeat.", "true"),
        "RateLimit": text("What is left of the key's limit, and the seconds until all of it is back.", "\"key\";r=5999;t=1"),
        "RateLimit-Policy": text("The key's limit: requests and seconds.", "\"key\";q=6000;w=60"),
        "Retry-After": {
            "description": "Seconds to wait.",
            "schema": {"type": "integer", "minimum": 1},
            "example": 1,
        },
        "WWW-Authenticate": text("How to prove who calls.", "Bearer"),
        "X-Request-Id": text("By this the logs are searched. A request may bring its own.", "0193…"),
    })
}

/// The two kinds of keys.
pub(super) fn keys() -> Value {
    let scopes: Vec<String> = KeyScope::ALL
        .iter()
        .map(|scope| format!("`{scope}`"))
        .collect();
    json!({
        "service_key": {
            "type": "http",
            "scheme": "bearer",
            "description": "The product backend's key. It acts for any tenant, which it names in `Pathbound-Tenant`.",
        },
        "tenant_key": {
            "type": "http",
            "scheme": "bearer",
            "description": format!("A key of one tenant (`POST /v1/api_keys`), with scopes: {}.", scopes.join(", ")),
        },
    })
}
