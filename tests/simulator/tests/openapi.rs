//! Every successful answer has the shape of the official API description, but for a listed few
//! deviations that are seen in live answers. A listed deviation that no longer occurs fails too.

#[expect(dead_code, reason = "the other tests use the rest of it")]
mod client;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use client::Client;
use intercom_simulator::{Kind, Mutation, Options, Simulator, WorkspaceSpec};
use serde_json::{Map, Value, json};

/// Where an answer may differ: place (response schema, then fields), what differs, where that comes from.
const DEVIATIONS: &[(&str, &str, &str)] = &[
    (
        "/company_list/pages/next",
        "a URL string, not a cursor object",
        URLS,
    ),
    (
        "/contact_list/email",
        "null for leads without an address",
        LEADS,
    ),
    (
        "/contact_list/email_domain",
        "null without an address",
        LEADS,
    ),
    ("/contact/email", "null for leads without an address", LEADS),
    ("/contact/email_domain", "null without an address", LEADS),
    (
        "/company_attached_contacts/email",
        "null for leads without an address",
        LEADS,
    ),
    (
        "/company_attached_contacts/email_domain",
        "null without an address",
        LEADS,
    ),
    (
        "/company/custom_attributes",
        "values that are no strings",
        ATTRIBUTES,
    ),
    (
        "/company_list/custom_attributes",
        "values that are no strings",
        ATTRIBUTES,
    ),
    (
        "/company_scroll/custom_attributes",
        "values that are no strings",
        ATTRIBUTES,
    ),
    ("/conversation/custom_attributes", "booleans", ATTRIBUTES),
    (
        "/conversation_list/custom_attributes",
        "booleans",
        ATTRIBUTES,
    ),
    (
        "/conversation/statistics",
        "null until a moment is reached",
        SNAPSHOTS,
    ),
    (
        "/conversation_list/statistics",
        "null until a moment is reached",
        SNAPSHOTS,
    ),
    (
        "/conversation/source/subject",
        "null where there is none",
        SNAPSHOTS,
    ),
    (
        "/conversation_list/source/subject",
        "null where there is none",
        SNAPSHOTS,
    ),
    (
        "/conversation/source/attachments",
        "null as the width and height of a file that is no picture",
        FILES,
    ),
    (
        "/conversation_list/source/attachments",
        "null as the width and height of a file that is no picture",
        FILES,
    ),
];

const URLS: &str = "company lists are numbered by page, and calls of that kind link the next page by URL; the \
                    description reuses the cursor schema for them";
const LEADS: &str = "a lead need not have an address; whether that is null or an empty string is not confirmed, and \
                     null is the harder case for a reader";
const ATTRIBUTES: &str = "the description's own examples hold numbers and booleans";
const FILES: &str = "whether a file without a width has null or no field is not confirmed, and null is the harder case \
                     for a reader";
const SNAPSHOTS: &str = "recorded 2.16 answers in the test snapshots of a public connector";

/// Answers by the schema they must have.
type Answers = BTreeMap<&'static str, Vec<Value>>;

#[tokio::test]
async fn answers_have_the_official_shape() {
    let path = std::env::var_os("INTERCOM_OPENAPI").map_or_else(
        || {
            PathBuf::from(env!("CARGO_MANIFEST_DIR"))
                .join("../..")
                .join("../shared/intercom/openapi.yaml")
        },
        PathBuf::from,
    );
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!(
            "SKIPPED: no OpenAPI description at {}; set INTERCOM_OPENAPI",
            path.display()
        );
        return;
    };
    let description: Value = serde_saphyr::from_str(&text).expect("YAML");
    let schemas = Value::Object(definitions(&description));
    let answers = answers().await;
    let mut met = BTreeSet::new();
    let mut wrong = Vec::new();
    for (name, values) in &answers {
        assert!(schemas.get(name).is_some(), "{name} is in the description");
        let schema = json!({"$ref": format!("#/$defs/{name}"), "$defs": schemas});
        let validator = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .build(&schema)
            .expect("a schema");
        for value in values {
            for error in validator.iter_errors(value) {
                let place = place(name, &error.instance_path().to_string());
                match DEVIATIONS.iter().find(|(known, ..)| covers(known, &place)) {
                    Some((known, ..)) => drop(met.insert(*known)),
                    None => {
                        let detail: String = error.to_string().chars().take(200).collect();
                        wrong.push(format!("{place}: {detail}"));
                    }
                }
            }
        }
    }
    wrong.sort();
    wrong.dedup();
    wrong.truncate(20);
    assert!(
        wrong.is_empty(),
        "not listed as deviations:\n{}",
        wrong.join("\n")
    );
    let gone: Vec<_> = DEVIATIONS
        .iter()
        .filter(|(known, ..)| !met.contains(known))
        .collect();
    assert!(
        gone.is_empty(),
        "listed, but they no longer occur: {gone:#?}"
    );
}

/// `/schema/field/…` without array positions and list wrappers.
fn place(schema: &str, instance: &str) -> String {
    let fields = instance.split('/').filter(|part| {
        !part.is_empty()
            && part.parse::<usize>().is_err()
            && !matches!(*part, "data" | "conversations")
    });
    std::iter::once(schema)
        .chain(fields)
        .fold(String::new(), |path, part| path + "/" + part)
}

/// Whether a listed place is this one or one above it.
fn covers(known: &str, place: &str) -> bool {
    // A conversation carries its company whole.
    let place = place.replace("/conversation/company/", "/company/");
    let place = place.replace("/conversation_list/company/", "/company_list/");
    place == known
        || place
            .strip_prefix(known)
            .is_some_and(|rest| rest.starts_with('/'))
}

/// Asks for everything that has a schema.
async fn answers() -> Answers {
    let simulator = Simulator::start(Options::default())
        .await
        .expect("a simulator");
    let workspace = simulator.add_workspace(WorkspaceSpec {
        contacts: 140,
        conversations: 140,
        contacts_over_10_companies: 0.1,
        contacts_over_10_tags: 0.1,
        deleted_conversations: 30,
        merged_contacts: 6,
        limit_per_window: u32::MAX,
        ..WorkspaceSpec::default()
    });
    for kind in [Kind::Contact, Kind::Company, Kind::Conversation] {
        workspace.mutate(Mutation::update(kind, 10));
        workspace.mutate(Mutation::add(kind, 5));
        workspace.mutate(Mutation::grow(kind, 5));
    }
    workspace.mutate(Mutation::redact(10));
    let client = Client::new(&simulator, &workspace);
    let mut answers = Answers::new();
    for (schema, path) in [
        ("admin_with_app", "/me"),
        ("admin_list", "/admins"),
        ("team_list", "/teams"),
        ("tag_list", "/tags"),
        ("segment_list", "/segments?include_count=true"),
        (
            "data_attribute_list",
            "/data_attributes?include_archived=true",
        ),
        (
            "conversation_attribute_list",
            "/conversations/attributes?include_archived=true",
        ),
        (
            "contact_list",
            "/contacts?per_page=100&include_merge_history=true",
        ),
        ("conversation_list", "/conversations?per_page=100"),
        ("company_list", "/companies?per_page=20"),
        ("company_scroll", "/companies/scroll"),
        (
            "deleted_conversation_list",
            "/conversations/deleted?per_page=20",
        ),
    ] {
        answers
            .entry(schema)
            .or_default()
            .push(client.get(path).await.ok());
    }
    let list = client
        .call("POST", "/companies/list", None)
        .await
        .expect("an answer")
        .ok();
    answers.entry("company_list").or_default().push(list);
    for (schema, path, field) in [
        ("contact_list", "/contacts/search", "role"),
        ("conversation_list", "/conversations/search", "state"),
    ] {
        let query = json!({"field": field, "operator": "!=", "value": "x"});
        let page = client.post(path, &json!({"query": query})).await.ok();
        answers.entry(schema).or_default().push(page);
    }
    for line in workspace.truth().into_iter().filter(|line| !line.deleted) {
        let id = &line.id;
        let of_one: &[(&'static str, String)] = &match line.kind {
            Kind::Contact => vec![
                ("contact", format!("/contacts/{id}")),
                (
                    "contact_attached_companies",
                    format!("/contacts/{id}/companies?per_page=5"),
                ),
                ("tag_list", format!("/contacts/{id}/tags")),
                ("note_list", format!("/contacts/{id}/notes")),
                ("contact_segments", format!("/contacts/{id}/segments")),
            ],
            Kind::Company => vec![
                ("company", format!("/companies/{id}")),
                (
                    "company_attached_contacts",
                    format!("/companies/{id}/contacts?per_page=5"),
                ),
            ],
            Kind::Conversation => vec![("conversation", format!("/conversations/{id}"))],
            Kind::Admin => vec![("admin", format!("/admins/{id}"))],
            _ => Vec::new(),
        };
        for (schema, path) in of_one {
            let answer = client.get(path).await.ok();
            if *schema == "contact_attached_companies" {
                // The description puts them under `companies`, its example and live answers under
                // `data`, so that the schema alone would check nothing.
                let companies = answer["data"].as_array().expect("companies").clone();
                answers.entry("company").or_default().extend(companies);
            }
            answers.entry(schema).or_default().push(answer);
        }
        if line.kind == Kind::Contact && line.value()["role"] == "user" {
            let path = format!("/contacts/{id}/merge_history");
            answers
                .entry("merge_history_list")
                .or_default()
                .push(client.get(&path).await.ok());
        }
    }
    answers
}

/// The component schemas as JSON Schema definitions.
fn definitions(description: &Value) -> Map<String, Value> {
    let components = &description["components"]["schemas"];
    components
        .as_object()
        .expect("schemas")
        .iter()
        .map(|(name, schema)| (name.clone(), convert(schema)))
        .collect()
}

/// OpenAPI 3.0 to JSON Schema: references move, `nullable` becomes "null, or else".
fn convert(schema: &Value) -> Value {
    let Value::Object(map) = schema else {
        return schema.clone();
    };
    let mut converted = Map::new();
    for (key, value) in map {
        let value = match (key.as_str(), value) {
            ("$ref", Value::String(target)) => {
                json!(target.replace("#/components/schemas/", "#/$defs/"))
            }
            ("properties", Value::Object(properties)) => Value::Object(
                properties
                    .iter()
                    .map(|(name, schema)| (name.clone(), convert(schema)))
                    .collect(),
            ),
            ("allOf" | "anyOf" | "oneOf", Value::Array(list)) => {
                Value::Array(list.iter().map(convert).collect())
            }
            ("items" | "additionalProperties" | "not", value) => convert(value),
            // Annotations, and OpenAPI words without a meaning in JSON Schema.
            ("type" | "enum" | "required" | "minimum" | "maximum" | "pattern", value) => {
                value.clone()
            }
            _ => continue,
        };
        converted.insert(key.clone(), value);
    }
    let converted = Value::Object(converted);
    if map.get("nullable") == Some(&json!(true)) {
        // Not `anyOf`: its errors would not say where inside the object they lie.
        return json!({"if": {"type": "null"}, "else": converted});
    }
    converted
}
