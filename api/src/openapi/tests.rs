//! The description is sound, and it describes what is mounted.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::*;

/// The operations, each with its method and path.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(move |(method, operation)| (format!("{method} {path}"), operation))
    });
    operations.collect()
}

/// Every reference below a value.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                found.insert(reference.to_owned());
            }
            members.values().for_each(|value| references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

/// The schemas that a value leads to, by name.
fn reached(document: &Value, from: &Value) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut left = BTreeSet::new();
    references(from, &mut left);
    while let Some(reference) = left.pop_first() {
        let Some(name) = reference.strip_prefix("#/components/schemas/") else {
            continue;
        };
        if names.insert(name.to_owned()) {
            references(&document["components"]["schemas"][name], &mut left);
        }
    }
    names
}

/// The schemas of the answers, and those of the bodies of requests.
fn schemas_by_use(document: &Value) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut answers, mut bodies) = (BTreeSet::new(), BTreeSet::new());
    for (_, operation) in operations(document) {
        answers.extend(reached(document, &operation["responses"]));
        bodies.extend(reached(document, &operation["requestBody"]));
    }
    (answers, bodies)
}

#[test]
fn every_reference_leads_somewhere_and_nothing_is_left_over() {
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in &found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    let named: BTreeSet<String> = ["schemas", "headers"]
        .iter()
        .flat_map(|kind| {
            let members = document["components"][kind].as_object().unwrap().keys();
            members.map(move |name| format!("#/components/{kind}/{name}"))
        })
        .collect();
    assert_eq!(named, found);
    assert!(document["components"]["schemas"].as_object().unwrap().len() > 25);
}

#[test]
fn every_operation_has_a_name_a_group_and_the_problems_of_every_call() {
    let document = document();
    let groups: BTreeSet<&str> = GROUPS.iter().map(|(name, _)| *name).collect();
    let (mut names, mut used) = (BTreeSet::new(), BTreeSet::new());
    for (place, operation) in operations(&document) {
        assert!(
            names.insert(operation["operationId"].as_str().unwrap()),
            "{place}"
        );
        assert!(operation["summary"].is_string(), "{place}");
        let tags = operation["tags"].as_array().unwrap();
        assert_eq!(tags.len(), 1, "{place}");
        used.insert(tags[0].as_str().unwrap());
        let keys = operation["security"].as_array().unwrap();
        assert!(keys.contains(&json!({"service_key": []})), "{place}");
        for status in ["400", "401", "403", "429", "500", "503"] {
            let answer = &operation["responses"][status]["content"]["application/problem+json"];
            assert_eq!(
                answer["schema"]["$ref"], "#/components/schemas/Problem",
                "{place} {status}"
            );
        }
        let parameters = operation["parameters"].as_array().unwrap();
        let has = |name: &str| parameters.iter().any(|parameter| parameter["name"] == name);
        assert_eq!(
            has("Idempotency-Key"),
            place.starts_with("post "),
            "{place}"
        );
        assert_eq!(has("If-None-Match"), place.starts_with("get "), "{place}");
        assert_eq!(
            has("Pathbound-Tenant"),
            place != "post /v1/tenants",
            "{place}"
        );
    }
    assert_eq!(used, groups);
}

/// What is always sent is required, and what is left out if there is none is never null.
#[test]
fn a_member_of_an_answer_is_required_or_not_null() {
    let document = document();
    let (answers, _) = schemas_by_use(&document);
    let mut nullable = 0;
    for name in &answers {
        let schema = &document["components"]["schemas"][name];
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        for (member, schema) in schema["properties"].as_object().into_iter().flatten() {
            let is_null = schema.to_string().contains("\"null\"");
            nullable += usize::from(is_null);
            assert!(
                !is_null || required.contains(&json!(member)),
                "{name}.{member} may be absent, so it is never null: say so, or that it is required"
            );
        }
    }
    assert!(nullable > 20, "{nullable}");
}

#[test]
fn a_body_is_closed_and_its_numbers_have_bounds() {
    let document = document();
    let (answers, bodies) = schemas_by_use(&document);
    let mut closed = 0;
    for name in &bodies {
        let schema = &document["components"]["schemas"][name];
        if schema["type"] == "object" {
            assert_eq!(schema["additionalProperties"], false, "{name}");
            closed += 1;
        }
        for (member, schema) in schema["properties"].as_object().into_iter().flatten() {
            assert!(
                schema["type"] != "integer" || schema["maximum"].is_number(),
                "{name}.{member}"
            );
        }
    }
    assert_eq!(closed, 28);
    let optional = |(place, operation): &(String, &Value)| {
        (operation["requestBody"]["required"] == false).then(|| place.clone())
    };
    let optional: Vec<String> = operations(&document).iter().filter_map(optional).collect();
    assert_eq!(
        optional,
        [
            "put /v1/identity_rules",
            "post /v1/integrations/intercom/connect",
            "put /v1/merge_rules",
            "post /v1/sessions"
        ]
    );
    for name in &answers {
        let schema = &document["components"]["schemas"][name];
        assert_ne!(
            schema["additionalProperties"], false,
            "{name} may get members"
        );
    }
    for (place, operation) in operations(&document) {
        for parameter in operation["parameters"].as_array().unwrap() {
            let schema = &parameter["schema"];
            assert!(
                !schema.to_string().contains("\"null\""),
                "{place}: {parameter}"
            );
            assert!(
                schema["type"] != "integer"
                    || schema["minimum"].is_number() && schema["maximum"].is_number(),
                "{place}: {parameter}"
            );
        }
    }
}

/// Two types of one name would be described as one of them.
#[test]
fn every_name_is_of_one_schema() {
    let mut known: BTreeMap<String, Value> = BTreeMap::new();
    for call in router::described() {
        for (name, schema) in call.schemas {
            let schema = json!(schema);
            let first = known.entry(name.clone()).or_insert_with(|| schema.clone());
            assert_eq!(*first, schema, "{name}");
        }
    }
    assert!(known.len() > 40, "{}", known.len());
}

/// Every other route is here with its reason to have no description.
#[test]
fn what_is_mounted_is_described() {
    const NOT_CALLS: [&str; 8] = [
        // The description itself.
        "/openapi.json",
        "/docs",
        "/docs/problems/{code}",
        // A browser's.
        "/oauth/intercom/start",
        "/oauth/intercom/callback",
        // A protocol of its own, which describes itself by `tools/list`.
        "/mcp",
        // For its clients.
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/mcp",
    ];
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let router = std::fs::read_to_string(source.join("router.rs")).unwrap();
    let literals = router.split(".route(").skip(1).filter_map(|call| {
        let argument = call.trim_start().strip_prefix('"')?;
        argument.split('"').next()
    });
    assert_eq!(literals.collect::<Vec<_>>(), NOT_CALLS);

    // An annotated handler that no line mounts would look described to its reader.
    let mut annotated = BTreeSet::new();
    let mut folders = vec![source.join("routes")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(path).unwrap();
            for annotation in text.split("operation_id = \"").skip(1) {
                annotated.insert(annotation.split('"').next().unwrap().to_owned());
            }
        }
    }
    let document = document();
    let described: BTreeSet<String> = operations(&document)
        .into_iter()
        .map(|(_, operation)| operation["operationId"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(annotated, described);
}
