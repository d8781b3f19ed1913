//! Each kind of break is found, and what only adds is none.

use serde_json::{Value, json};

use super::changes;

/// A small description with one of everything.
fn description() -> Value {
    json!({
        "paths": {
            "/v1/things": {
                "get": {
                    "parameters": [
                        {"name": "limit", "in": "query", "required": false,
                         "schema": {"type": "integer", "minimum": 1, "maximum": 200}},
                        {"name": "kind", "in": "query", "required": false,
                         "schema": {"$ref": "#/components/schemas/Kind"}},
                    ],
                    "security": [{"service_key": []}, {"tenant_key": ["things:read"]}],
                    "responses": {
                        "200": {
                            "headers": {"ETag": {}},
                            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ThingList"}}},
                        },
                        "404": {"content": {"application/problem+json": {"schema": {"type": "object"}}}},
                    },
                },
                "post": {
                    "requestBody": {
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/NewThing"}}},
                    },
                    "responses": {"201": {}},
                },
            },
        },
        "components": {"schemas": {
            "Kind": {"type": "string", "enum": ["small", "large"]},
            "NewThing": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "maxLength": 200},
                    "size": {"type": ["integer", "null"]},
                    "at": {"type": "string"},
                },
            },
            "Thing": {
                "type": "object",
                "required": ["id", "kind"],
                "properties": {
                    "id": {"type": "string", "format": "uuid"},
                    "kind": {"$ref": "#/components/schemas/Kind"},
                    "size": {"type": "integer"},
                    "owner": {"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/Kind"}]},
                    "notes": {"type": "object", "additionalProperties": {"type": "string"}},
                },
            },
            "ThingList": {
                "type": "object",
                "required": ["items"],
                "properties": {"items": {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}}},
            },
        }},
    })
}

/// What is found if one value of the description is replaced, or removed if there is no other.
fn found(pointer: &str, value: Option<Value>) -> Vec<String> {
    let mut new = description();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = new.pointer_mut(parent).unwrap();
    let name = name.replace("~1", "/");
    match (parent, value) {
        (Value::Array(list), None) => {
            list.remove(name.parse().unwrap());
        }
        (Value::Array(list), Some(value)) => list.push(value),
        (Value::Object(members), None) => {
            members.remove(&name).unwrap();
        }
        (Value::Object(members), Some(value)) => {
            members.insert(name, value);
        }
        _ => panic!("{pointer}"),
    }
    changes(&description(), &new)
}

#[test]
fn every_kind_of_break_is_found_once() {
    const GET: &str = "/paths/~1v1~1things/get";
    const POST: &str = "/paths/~1v1~1things/post";
    const SCHEMAS: &str = "/components/schemas";
    let at = |base: &str, rest: &str| format!("{base}{rest}");
    let answer = "GET /v1/things, answer 200.items.[]";
    for (pointer, value, expected) in [
        (
            at("/paths/~1v1~1things", ""),
            None,
            "/v1/things: the path is gone".to_owned(),
        ),
        (
            at(POST, ""),
            None,
            "POST /v1/things: the operation is gone".to_owned(),
        ),
        (
            at(GET, "/parameters/0"),
            None,
            "GET /v1/things, parameter limit: it is gone".to_owned(),
        ),
        (
            at(GET, "/parameters/0/required"),
            Some(json!(true)),
            "GET /v1/things, parameter limit: it is now required".to_owned(),
        ),
        (
            at(GET, "/parameters/new"),
            Some(json!({"name": "since", "in": "query", "required": true, "schema": {}})),
            "GET /v1/things: the new parameter since is required".to_owned(),
        ),
        (
            at(GET, "/parameters/0/schema/maximum"),
            Some(json!(100)),
            "GET /v1/things, parameter limit: maximum is 100 now".to_owned(),
        ),
        (
            at(GET, "/parameters/0/schema/minimum"),
            Some(json!(2)),
            "GET /v1/things, parameter limit: minimum is 2 now".to_owned(),
        ),
        (
            at(GET, "/parameters/0/schema/type"),
            Some(json!("string")),
            "GET /v1/things, parameter limit: integer became string".to_owned(),
        ),
        (
            at(SCHEMAS, "/Kind/enum/0"),
            None,
            "GET /v1/things, parameter kind: \"small\" is no longer accepted".to_owned(),
        ),
        (
            at(GET, "/security/1"),
            None,
            "GET /v1/things: the key {\"tenant_key\":[\"things:read\"]} is no longer enough"
                .to_owned(),
        ),
        (
            at(GET, "/responses/404"),
            None,
            "GET /v1/things, answer 404: the status is gone".to_owned(),
        ),
        (
            at(GET, "/responses/404/content/application~1problem+json"),
            None,
            "GET /v1/things, answer 404: application/problem+json is gone".to_owned(),
        ),
        (
            at(GET, "/responses/200/headers/ETag"),
            None,
            "GET /v1/things, answer 200: the header ETag is gone".to_owned(),
        ),
        (
            at(SCHEMAS, "/Thing/properties/size"),
            None,
            format!("{answer}.size: the field is gone"),
        ),
        (
            at(SCHEMAS, "/Thing/properties/size/type"),
            Some(json!("string")),
            format!("{answer}.size: integer became string"),
        ),
        (
            at(SCHEMAS, "/Thing/properties/size/type"),
            Some(json!(["integer", "null"])),
            format!("{answer}.size: integer became integer or null"),
        ),
        (
            at(SCHEMAS, "/Thing/properties/id/format"),
            None,
            format!("{answer}.id: the format uuid became none"),
        ),
        (
            at(SCHEMAS, "/Thing/required/1"),
            None,
            format!("{answer}.kind: the field may now be absent"),
        ),
        (
            at(SCHEMAS, "/Thing/properties/notes/additionalProperties/type"),
            Some(json!("integer")),
            format!("{answer}.notes.*: string became integer"),
        ),
        (
            at(POST, "/requestBody/required"),
            Some(json!(true)),
            "POST /v1/things, body: it is now required".to_owned(),
        ),
        (
            at(POST, "/requestBody/content/application~1json"),
            None,
            "POST /v1/things, body: application/json is no longer accepted".to_owned(),
        ),
        (
            at(SCHEMAS, "/NewThing/properties/size"),
            None,
            "POST /v1/things, body.size: the field is gone".to_owned(),
        ),
        (
            at(SCHEMAS, "/NewThing/properties/size/type"),
            Some(json!("integer")),
            "POST /v1/things, body.size: integer or null became integer".to_owned(),
        ),
        (
            at(SCHEMAS, "/NewThing/properties/name/maxLength"),
            Some(json!(10)),
            "POST /v1/things, body.name: maxLength is 10 now".to_owned(),
        ),
        (
            at(SCHEMAS, "/NewThing/properties/name/pattern"),
            Some(json!("^a")),
            "POST /v1/things, body.name: it must match \"^a\" now".to_owned(),
        ),
        (
            at(SCHEMAS, "/NewThing/properties/at/format"),
            Some(json!("date-time")),
            "POST /v1/things, body.at: the format none became date-time".to_owned(),
        ),
        (
            at(SCHEMAS, "/NewThing/properties/at/enum"),
            Some(json!(["now"])),
            "POST /v1/things, body.at: only some words are accepted now".to_owned(),
        ),
        (
            at(SCHEMAS, "/NewThing/required/new"),
            Some(json!("at")),
            "POST /v1/things, body.at: the field is now required".to_owned(),
        ),
        (
            at(SCHEMAS, "/NewThing/additionalProperties"),
            Some(json!(false)),
            "POST /v1/things, body: unknown fields are no longer accepted".to_owned(),
        ),
    ] {
        assert_eq!(found(&pointer, value), [expected], "{pointer}");
    }
}

#[test]
fn a_new_required_field_is_found() {
    let mut new = description();
    new["components"]["schemas"]["NewThing"]["properties"]["owner"] = json!({"type": "string"});
    new["components"]["schemas"]["NewThing"]["required"] = json!(["name", "owner"]);
    assert_eq!(
        changes(&description(), &new),
        ["POST /v1/things, body.owner: the new field is required"]
    );
}

#[test]
fn what_only_adds_is_no_break() {
    let mut new = description();
    new["paths"]["/v1/others"] = json!({"get": {"responses": {"200": {}}}});
    let things = &mut new["paths"]["/v1/things"];
    things["delete"] = json!({"responses": {"204": {}}});
    things["get"]["responses"]["409"] = json!({});
    things["get"]["parameters"][0]["schema"]["maximum"] = json!(500);
    things["get"]["parameters"].as_array_mut().unwrap().push(
        json!({"name": "since", "in": "query", "required": false, "schema": {"type": "string"}}),
    );
    let schemas = &mut new["components"]["schemas"];
    schemas["Kind"]["enum"]
        .as_array_mut()
        .unwrap()
        .push(json!("medium"));
    schemas["Thing"]["properties"]["color"] = json!({"type": "string"});
    schemas["Thing"]["required"]
        .as_array_mut()
        .unwrap()
        .push(json!("size"));
    schemas["Thing"]["properties"]["owner"] = json!({"$ref": "#/components/schemas/Kind"});
    schemas["NewThing"]["properties"]["color"] = json!({"type": "string"});
    schemas["NewThing"]["required"] = json!([]);
    schemas["NewThing"]["properties"]["size"] = json!({"type": ["number", "null"]});
    assert_eq!(changes(&description(), &new), Vec::<String>::new());
    assert_eq!(
        changes(&description(), &description()),
        Vec::<String>::new()
    );
}

#[test]
fn a_pattern_may_gain_a_word_and_lose_none() {
    let is_break = |old: &str, new: &str| {
        let pointer = "/components/schemas/NewThing/properties/name/pattern";
        let with = |pattern: &str| {
            let mut document = description();
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            document.pointer_mut(parent).unwrap()[name] = json!(pattern);
            document
        };
        !changes(&with(old), &with(new)).is_empty()
    };
    assert!(!is_break("^/a(/[a-z]+)*$", "^/a(/[a-z]+)*$"));
    assert!(!is_break("^/a(/[a-z]+)*$", "^/(a|b)(/[a-z]+)*$"));
    assert!(!is_break("^/a$", "^/(c|a)$"));
    for (old, new) in [
        ("^/a(/[a-z]+)*$", "^/(b|c)(/[a-z]+)*$"),
        ("^/(a|b)$", "^/a$"),
        ("^/ab+$", "^/(ab|c)+$"),
        ("^/a$", "^/(a|b)x$"),
        ("^/.$", "^/(.|b)$"),
    ] {
        assert!(is_break(old, new), "{old} {new}");
    }
}
