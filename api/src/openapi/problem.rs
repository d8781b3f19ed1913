//! Problems in the description: their shape, and the answers of each call that are problems.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use crate::codes::Code;

/// The schemas of a problem, by name.
pub(super) fn schemas() -> Map<String, Value> {
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    let mut schemas = Map::new();
    schemas.insert("ProblemCode".to_owned(), json!({
        "type": "string",
        "description": "Stable, because programs decide by it. Each code has a page under `/docs/problems/`.",
        "enum": codes,
    }));
    schemas.insert("Problem".to_owned(), json!({
        "type": "object",
        "description": "Why a request was refused (RFC 9457).",
        "required": ["type", "title", "status", "detail", "code", "instance"],
        "properties": {
            "type": {"type": "string", "format": "uri-reference", "description": "The page of the code."},
            "title": {"type": "string", "description": "The code in words."},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": {"type": "string", "description": "What went wrong here and what to do about it."},
            "code": {"$ref": "#/components/schemas/ProblemCode"},
            "instance": {"type": "string", "description": "The id of the request, by which the logs are searched."},
            "errors": {
                "type": "array",
                "description": "Each fault of the request.",
                "items": {"$ref": "#/components/schemas/FieldError"},
            },
            "retry_after_s": {"type": "integer", "minimum": 1, "description": "Seconds to wait, as in `Retry-After`."},
            "run": {
                "$ref": "#/components/schemas/Run",
                "description": "With `run_already_active`: the run that has not finished.",
            },
        },
        "example": {
            "type": Code::InvalidRequest.page(),
            "title": Code::InvalidRequest.title(),
            "status": 400,
            "detail": "The request has a fault. `errors` names it.",
            "code": Code::InvalidRequest.as_str(),
            "instance": "0193a1f2-7c1e-7b55-9f0a-2d1f0c7e4b11",
            "errors": [{"field": "limit", "detail": "must be 1 to 200"}],
        },
    }));
    schemas.insert("FieldError".to_owned(), json!({
        "type": "object",
        "description": "One fault of a request.",
        "required": ["field", "detail"],
        "properties": {
            "field": {"type": "string", "description": "A path in the body, or the name of a parameter or header."},
            "detail": {"type": "string", "description": "What it must be."},
        },
    }));
    schemas
}

/// The answers that are problems, by status.
pub(super) fn of(codes: &[Code]) -> BTreeMap<String, Value> {
    let mut by_status = BTreeMap::<StatusCode, Vec<Code>>::new();
    for code in codes {
        by_status.entry(code.status()).or_default().push(*code);
    }
    by_status
        .into_iter()
        .map(|(status, codes)| (status.as_str().to_owned(), response(status, &codes)))
        .collect()
}

fn response(status: StatusCode, codes: &[Code]) -> Value {
    let named: Vec<String> = codes.iter().map(|code| format!("`{code}`")).collect();
    let mut headers = vec!["X-Request-Id"];
    match status {
        StatusCode::UNAUTHORIZED => headers.push("WWW-Authenticate"),
        StatusCode::TOO_MANY_REQUESTS => {
            headers.extend(["RateLimit", "RateLimit-Policy", "Retry-After"]);
        }
        StatusCode::SERVICE_UNAVAILABLE => headers.push("Retry-After"),
        _ => {}
    }
    let headers: Map<String, Value> = headers
        .into_iter()
        .map(|name| {
            (
                name.to_owned(),
                json!({"$ref": format!("#/components/headers/{name}")}),
            )
        })
        .collect();
    json!({
        "description": format!("A problem: {}.", named.join(", ")),
        "headers": headers,
        "content": {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}},
        },
    })
}
