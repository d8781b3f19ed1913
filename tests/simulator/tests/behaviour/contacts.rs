//! Merged, deleted and archived contacts, cut sub-lists, and forms by version.

use intercom_simulator::{Kind, Mutation, WorkspaceSpec};
use serde_json::{Value, json};

use crate::{small, with};

#[tokio::test]
async fn a_merged_contact_vanishes_and_points_to_its_survivor() {
    let (_simulator, workspace, client) = with(small()).await;
    let gone = workspace.mutate(Mutation::merge(1).seed(3)).remove(0);
    let url = format!("/contacts/{gone}");
    let answer = client.get(&url).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (410, "contact_merged")
    );
    let link = answer.header("link").expect("a link").to_owned();
    let target = link
        .strip_prefix('<')
        .and_then(|rest| rest.strip_suffix(">; rel=\"canonical\""))
        .expect("a canonical link");
    let old = client.version("2.15").get(&url).await;
    assert_eq!((old.status, old.code().as_str()), (404, "not_found"));

    let survivor = client
        .get(&format!("{target}?include_merge_history=true"))
        .await
        .ok();
    assert_eq!(survivor["merge_history"][0]["source_contact_id"], gone);
    assert_eq!(
        survivor["merge_history"][0]["merged_at"],
        survivor["updated_at"]
    );
    assert!(client.get(target).await.ok().get("merge_history").is_none());
    let history = client.get(&format!("{target}/merge_history")).await.ok();
    assert_eq!(history["data"][0]["source_contact_role"], "lead");
    assert_eq!(history["has_more"], false);
    let early = client
        .version("2.15")
        .get(&format!("{target}/merge_history"))
        .await;
    assert_eq!(early.code(), "intercom_version_invalid");

    let list = client.get("/contacts?per_page=150").await.ok();
    let shown = list["data"].as_array().expect("a list");
    assert_eq!(shown.len(), 59);
    assert!(shown.iter().all(|contact| contact["id"] != gone));
    let line = workspace
        .truth()
        .into_iter()
        .find(|line| line.id == gone)
        .expect("a line");
    assert!(line.deleted);
    assert_eq!(
        line.merged_into
            .map(|id| format!("/contacts/{id}"))
            .as_deref(),
        Some(target)
    );
}

#[tokio::test]
async fn merge_history_has_its_own_pages() {
    let (_simulator, workspace, client) = with(WorkspaceSpec {
        leads: 0.9,
        ..small()
    })
    .await;
    let gone = workspace.mutate(Mutation::merge(30).seed(1));
    assert_eq!(gone.len(), 30);
    let truth = workspace.truth();
    let survivor = |id: &String| {
        let line = truth.iter().find(|line| line.id == *id).expect("a line");
        line.merged_into.clone().expect("a survivor")
    };
    let busy = gone
        .iter()
        .map(survivor)
        .find(|one| gone.iter().filter(|id| survivor(id) == *one).count() > 2)
        .expect("a contact with several merges");
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = client
            .get(&format!(
                "/contacts/{busy}/merge_history?per_page=1&order=asc{cursor}"
            ))
            .await
            .ok();
        seen.push(page["data"][0]["source_contact_id"].clone());
        let Some(next) = page["next_cursor"].as_str() else {
            assert_eq!(page["has_more"], false);
            break;
        };
        cursor = format!("&cursor={}", next.replace('=', "%3D"));
    }
    assert_eq!(
        seen.len(),
        gone.iter().filter(|id| survivor(id) == busy).count()
    );
}

#[tokio::test]
async fn whether_the_survivor_moves_is_an_option() {
    let (_simulator, workspace, client) = with(WorkspaceSpec {
        survivor_moves: false,
        ..small()
    })
    .await;
    let before: Vec<Value> = client.get("/contacts?per_page=150").await.ok()["data"]
        .as_array()
        .expect("a list")
        .clone();
    workspace.mutate(Mutation::merge(1));
    let after = client.get("/contacts?per_page=150").await.ok();
    for contact in after["data"].as_array().expect("a list") {
        assert!(before.contains(contact));
    }
}

#[tokio::test]
async fn deleted_and_archived_contacts_answer_404_everywhere() {
    let (_simulator, workspace, client) = with(small()).await;
    let mut gone = workspace.mutate(Mutation::delete(Kind::Contact, 1));
    gone.extend(workspace.mutate(Mutation::archive(1).seed(9)));
    for id in &gone {
        for path in ["", "/companies", "/tags", "/notes", "/segments"] {
            let answer = client.get(&format!("/contacts/{id}{path}")).await;
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (404, "not_found"),
                "{path}"
            );
        }
    }
    assert_eq!(client.get("/contacts").await.ok()["total_count"], 58);
}

#[tokio::test]
async fn an_archived_contact_may_still_be_read() {
    let (_simulator, workspace, client) = with(WorkspaceSpec {
        archived_get_found: true,
        ..small()
    })
    .await;
    let id = workspace.mutate(Mutation::archive(1)).remove(0);
    assert_eq!(client.get(&format!("/contacts/{id}")).await.status, 200);
    assert_eq!(client.get("/contacts").await.ok()["total_count"], 59);
}

#[tokio::test]
async fn sub_lists_show_ten_and_the_rest_lies_behind_their_url() {
    let (_simulator, workspace, client) = with(WorkspaceSpec {
        contacts_over_10_companies: 0.5,
        contacts_over_10_tags: 0.5,
        companies: 60,
        ..small()
    })
    .await;
    let list = client.get("/contacts?per_page=150").await.ok();
    let long = |key: &str| {
        list["data"]
            .as_array()
            .expect("a list")
            .iter()
            .find(|contact| contact[key]["has_more"] == true)
            .expect("a contact with a long list")
            .clone()
    };
    for key in ["companies", "tags"] {
        let contact = long(key);
        assert_eq!(contact[key]["data"].as_array().map(Vec::len), Some(10));
        let url = contact[key]["url"].as_str().expect("a URL");
        let full = client.get(url).await.ok();
        let full: Vec<&str> = full["data"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|object| object["id"].as_str())
            .collect();
        assert_eq!(json!(full.len()), contact[key]["total_count"]);
        assert!(full.len() > 10);
        let line = workspace
            .truth()
            .into_iter()
            .find(|line| contact["id"] == line.id)
            .expect("a line");
        let told: Vec<String> = line.value()[key]["data"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|object| object["id"].as_str().expect("an id").to_owned())
            .collect();
        assert_eq!(told, full);
    }
    let contact = long("companies");
    let url = contact["companies"]["url"].as_str().expect("a URL");
    let page = client.get(&format!("{url}?per_page=5")).await.ok();
    let next = page["pages"]["next"].as_str().expect("a URL string");
    assert!(next.starts_with("http://127.0.0.1"));
    assert_eq!(page["data"].as_array().map(Vec::len), Some(5));
}

#[tokio::test]
async fn owners_are_text_from_2_16_on_and_numbers_before() {
    let (_simulator, _, client) = with(small()).await;
    let path = "/contacts?per_page=150";
    let new = client.get(path).await.ok();
    let old = client.version("2.15").get(path).await.ok();
    let owned = |page: &Value| {
        let contacts = page["data"].as_array().expect("a list").clone();
        let owner = contacts.iter().find(|c| !c["owner_id"].is_null());
        owner.expect("an owned contact")["owner_id"].clone()
    };
    assert!(owned(&new).is_string());
    assert_eq!(
        owned(&old).as_i64().map(|id| id.to_string()).as_deref(),
        owned(&new).as_str()
    );
}

#[tokio::test]
async fn users_are_found_by_the_customers_id() {
    let (_simulator, _, client) = with(small()).await;
    let list = client.get("/contacts?per_page=150").await.ok();
    for contact in list["data"].as_array().expect("a list") {
        let Some(external) = contact["external_id"].as_str() else {
            assert_eq!(contact["role"], "lead");
            continue;
        };
        let name: String = url::form_urlencoded::byte_serialize(external.as_bytes())
            .collect::<String>()
            .replace('+', "%20");
        let found = client
            .get(&format!("/contacts/find_by_external_id/{name}"))
            .await
            .ok();
        assert_eq!(found, *contact);
    }
    let early = client
        .version("2.12")
        .get("/contacts/find_by_external_id/1")
        .await;
    assert_eq!(early.code(), "intercom_version_invalid");
}
