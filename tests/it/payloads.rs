//! The official example payloads parse, land and read back.
//!
//! Their licence does not allow us to commit them, so `INTERCOM_EXAMPLES` names their folder. Without it these tests
//! say that they were skipped. The fixtures in `shared/src/intercom/wire` have the same shapes.

use std::{collections::BTreeMap, io::Write as _, path::PathBuf};

use intercom_simulator::{Fault, FaultAction, WorkspaceSpec};
use serde_json::Value;
use shared::intercom::wire;

use crate::support::World;

/// The folder that `INTERCOM_EXAMPLES` names. A folder that is named and missing is a mistake, so it fails the test.
fn folder() -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("INTERCOM_EXAMPLES").map(PathBuf::from) else {
        // Written past the test harness, which hides what a passing test prints.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: set INTERCOM_EXAMPLES to the folder of the official example payloads"
        );
        return None;
    };
    assert!(
        folder.is_dir(),
        "INTERCOM_EXAMPLES: {folder:?} is no folder"
    );
    Some(folder)
}

fn examples() -> Option<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder()?).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            found.insert(
                path.file_stem().unwrap().to_str().unwrap().to_owned(),
                std::fs::read_to_string(&path).unwrap(),
            );
        }
    }
    assert!(found.len() > 30);
    Some(found)
}

/// The answer to an operation, whenever it is asked for.
fn answer(world: &World, operation: &str, body: &str) {
    world.simulator.inject(
        Fault::new(FaultAction::Status {
            status: 200,
            body: Some(body.to_owned()),
            headers: Vec::new(),
        })
        .operation(operation),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_object_lands_and_reads_back() {
    let Some(examples) = examples() else { return };
    let world = World::new().await;
    serve(&world, &examples);
    let case = world
        .connect(WorkspaceSpec {
            contacts: 1,
            companies: 0,
            conversations: 0,
            limit_per_window: 100_000,
            ..WorkspaceSpec::default()
        })
        .await;
    let _fleet = world.fleet(1);
    case.until_walked().await;

    assert_eq!(
        case.ever_quarantined().await,
        [],
        "nothing official is unreadable"
    );
    let contacts = case.stored_contacts().await;
    assert_eq!(contacts.len(), 1);
    assert_eq!(
        serde_json::from_str::<Value>(&contacts[0]).unwrap(),
        serde_json::from_str::<Value>(&examples["contact"]).unwrap()
    );
    assert_eq!(case.stored_companies().await.len(), 1);
    let expected: usize = ["conversation_with_parts", "conversation_redacted_part"]
        .iter()
        .map(|name| {
            let thread = serde_json::from_str::<Value>(&examples[*name]).unwrap();
            let parts = &thread["conversation_parts"]["conversation_parts"];
            parts.as_array().unwrap().len()
        })
        .sum();
    let parts = case.stored_parts().await;
    assert_eq!(parts.len(), expected);
    assert!(parts.iter().any(|part| part.redacted));
}

/// A list's answer.
fn list(key: &str, items: &[&str]) -> String {
    format!(
        r#"{{"type":"list","{key}":[{}],"pages":null,"total_count":{}}}"#,
        items.join(","),
        items.len()
    )
}

/// Intercom answers with the examples.
fn serve(world: &World, examples: &BTreeMap<String, String>) {
    answer(
        world,
        "list_contacts",
        &list("data", &[&examples["contact"]]),
    );
    answer(world, "contact_companies", &examples["contact_companies"]);
    answer(
        world,
        "search_conversations",
        &list(
            "conversations",
            &[
                &examples["conversation"],
                &without_parts(&examples["conversation_with_parts"]),
                &without_parts(&examples["conversation_redacted_part"]),
            ],
        ),
    );
    // A scroll ends with an empty page. Scroll and list show one shape.
    world.simulator.inject(
        Fault::new(FaultAction::Status {
            status: 200,
            body: Some(
                list("data", &[&examples["company"]])
                    .replace("\"pages\":null", "\"pages\":null,\"scroll_param\":\"p\""),
            ),
            headers: Vec::new(),
        })
        .operation("scroll_companies")
        .times(1),
    );
    answer(
        world,
        "scroll_companies",
        &examples["company_scroll"]
            .replace("\"data\":", "\"unread\":")
            .replacen('{', "{\"data\":[],", 1),
    );
    for thread in ["conversation_with_parts", "conversation_redacted_part"] {
        let id = serde_json::from_str::<Value>(&examples[thread]).unwrap()["id"]
            .as_str()
            .unwrap()
            .to_owned();
        world.simulator.inject(
            Fault::new(FaultAction::Status {
                status: 200,
                body: Some(examples[thread].clone()),
                headers: Vec::new(),
            })
            .path(format!("/conversations/{id}")),
        );
    }
    for (operation, name) in [
        ("list_admins", "admins"),
        ("list_teams", "teams"),
        ("list_tags", "tags"),
        ("list_segments", "segments"),
        ("data_attributes", "data_attributes"),
        ("conversation_attributes", "conversation_attributes"),
    ] {
        answer(world, operation, &examples[name]);
    }
}

fn without_parts(thread: &str) -> String {
    let mut stub: Value = serde_json::from_str(thread).unwrap();
    stub.as_object_mut().unwrap().remove("conversation_parts");
    stub.to_string()
}

#[test]
fn every_example_list_splits_and_every_object_reads() {
    let Some(examples) = examples() else { return };
    let mut read = 0;
    for (name, body) in &examples {
        let lists = [
            "_list",
            "_scroll",
            "_search_response",
            "admins",
            "teams",
            "tags",
            "segments",
            "attributes",
            "contact_companies",
            "conversations_deleted",
        ];
        // Requests are examples too, and hold no objects.
        if name.contains("request") || !lists.iter().any(|list| name.ends_with(list)) {
            continue;
        }
        let page = wire::Page::split(body).unwrap_or_else(|error| panic!("{name}: {error}"));
        for raw in page.items {
            let good = match name.as_str() {
                "contact_list" | "contact_search_response" => wire::read_contact(raw).is_ok(),
                "company_list" | "company_scroll" => wire::read_company(raw).is_ok(),
                "conversation_list" | "conversation_search_response" => {
                    wire::read_conversation(raw).is_ok()
                }
                _ => true,
            };
            assert!(good, "{name}: {raw}");
            read += 1;
        }
    }
    assert!(read > 10, "{read}");
}
