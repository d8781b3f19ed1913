//! A person or company that two sources know is one profile, until one of the two goes.

use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    feed::Reader,
    sources::{record, shown, someone},
    synced,
};

fn path_of(contact: &Value) -> String {
    format!("/v1/contacts/{}", contact["id"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_of_two_sources_is_one_profile_until_one_of_them_goes() {
    let (_world, _case, caller) = synced().await;
    let before = shown(&caller).await;
    let ada = someone(&caller).await;
    let talks = format!("{}/conversations", path_of(&ada));
    let conversations = caller.get(&talks).await["items"].clone();

    let company = record("acme", 1, json!({"name": "Acme", "domain": "acme.example"}));
    caller.send("crm", "company", &[company]).await;
    let mut person = record(
        "p1",
        1,
        json!({
            "email": ada["email"].as_str().unwrap().to_uppercase(),
            "name": "Ada of the CRM",
            "created_at": "2001-01-01T00:00:00Z",
            "attributes": {"tier": "gold"},
            "consent": {"may_email": false},
            "tags": ["champion"],
        }),
    );
    person["company"] = "acme".into();
    let taken = caller.send("crm", "contact", &[person]).await;
    assert_eq!(taken, json!({"accepted": 1, "changed": 1, "rejected": []}));

    let merged = caller
        .get(&format!("{}?include=provenance", path_of(&ada)))
        .await;
    // The CRM's record is older, so the profile has its id, and the one that was known before leads to it.
    assert_ne!(merged["id"], ada["id"]);
    assert_eq!(merged["name"], "Ada of the CRM");
    assert_eq!(merged["attributes"]["tier"], "gold");
    assert_eq!(merged["consent"]["may_email"], false);
    let tags = merged["tags"].as_array().unwrap();
    assert!(tags.contains(&json!("champion")), "{tags:?}");
    assert_eq!(
        merged["role"], ada["role"],
        "what only Intercom knows stays"
    );
    let sources: BTreeSet<&str> = merged["sources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|source| source["source"].as_str().unwrap())
        .collect();
    assert_eq!(sources, BTreeSet::from(["crm", "intercom"]));
    assert_eq!(merged["provenance"]["name"]["source"], "crm");
    assert_eq!(merged["provenance"]["role"]["source"], "intercom");
    let companies = merged["company_ids"].as_array().unwrap();
    let acme = companies[0].as_str().unwrap();
    assert_eq!(
        caller.get(&format!("/v1/companies/{acme}")).await["name"],
        "Acme"
    );
    let mut theirs = caller
        .get(&format!("{}/conversations", path_of(&merged)))
        .await["items"]
        .clone();
    assert_eq!(
        theirs.as_array().map(Vec::len),
        conversations.as_array().map(Vec::len)
    );
    for item in theirs.as_array_mut().into_iter().flatten() {
        let contacts = item["contact_ids"].as_array().unwrap();
        assert!(contacts.contains(&merged["id"]), "{item}");
    }
    // Nobody is listed twice.
    assert_eq!(shown(&caller).await.len(), before.len() + 1, "and Acme");

    caller.remove_source("crm").await;
    assert_eq!(shown(&caller).await, before);
    let left = caller.get(&path_of(&merged)).await;
    assert_eq!(left["id"], ada["id"], "an id is good for ever");
    assert_eq!(
        caller.get(&talks).await["items"].as_array().map(Vec::len),
        conversations.as_array().map(Vec::len)
    );
    let gone = format!("/v1/companies/{acme}");
    assert_eq!(
        caller.call(Method::GET, &gone, None).await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_of_two_sources_is_one_company_until_one_of_them_goes() {
    let (_world, _case, caller) = synced().await;
    let before = shown(&caller).await;
    let contacts = caller.all("/v1/contacts").await;
    let companies = caller.all("/v1/companies").await;
    let members = |company: &Value| -> BTreeSet<String> {
        let of = contacts.iter().filter(|contact| {
            contact["company_ids"]
                .as_array()
                .unwrap()
                .contains(&company["id"])
        });
        of.map(|contact| contact["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let known = companies
        .iter()
        .find(|company| company["domain"].is_string() && !members(company).is_empty())
        .expect("a company with a domain and contacts");
    let mut feed = Reader::with(caller.clone());
    feed.news().await;

    let website = format!("https://www.{}/about", known["domain"].as_str().unwrap());
    let fields = json!({"name": "As the CRM has it", "website": website, "created_at": "2001-01-01T00:00:00Z"});
    caller
        .send("crm", "company", &[record("acme", 1, fields)])
        .await;
    let path = format!("/v1/companies/{}", known["id"].as_str().unwrap());
    let merged = caller.get(&format!("{path}?include=provenance")).await;
    assert_ne!(merged["id"], known["id"]);
    assert_eq!(merged["name"], "As the CRM has it");
    assert_eq!(
        merged["plan"], known["plan"],
        "what only Intercom knows stays"
    );
    assert_eq!(merged["provenance"]["name"]["source"], "crm");
    assert_eq!(merged["sources"].as_array().unwrap().len(), 2);
    assert_eq!(
        shown(&caller).await.len(),
        before.len(),
        "none is listed twice"
    );
    for contact in members(known) {
        let contact = caller.get(&format!("/v1/contacts/{contact}")).await;
        let ids = contact["company_ids"].as_array().unwrap();
        assert!(
            ids.contains(&merged["id"]) && !ids.contains(&known["id"]),
            "{contact}"
        );
    }
    // The feed tells of the company, of its contacts, and of the conversations that show it.
    let conversations = caller.all("/v1/conversations").await;
    let about = conversations.iter().filter(|conversation| {
        let companies = conversation["company_ids"].as_array().unwrap();
        companies.contains(&merged["id"])
    });
    let about = about.map(|conversation| conversation["id"].as_str().unwrap().to_owned());
    let mut expected: BTreeSet<(String, String)> = members(known)
        .into_iter()
        .chain(about)
        .map(|id| (id, "link".to_owned()))
        .collect();
    for company in [&merged, known] {
        let id = company["id"].as_str().unwrap().to_owned();
        expected.insert((id, "merge".to_owned()));
    }
    assert_eq!(feed.news().await, expected);

    caller.remove_source("crm").await;
    assert_eq!(shown(&caller).await, before);
    let path = format!("/v1/companies/{}", merged["id"].as_str().unwrap());
    assert_eq!(
        caller.get(&path).await["id"],
        known["id"],
        "an id is good for ever"
    );
}
