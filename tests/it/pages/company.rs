//! The page of a company: its profile, its conversations in numbers, and its contacts.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{
    contact::shows_all_origins,
    contacts::{browsed, record},
};
use crate::rest::search::index;

fn path_of(company: &Value) -> String {
    format!("/companies/{}", company["id"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_shows_its_origins_its_conversations_and_its_contacts() {
    let (_world, case, caller, mut browser) = browsed().await;
    index(&case).await;
    let mut has_conversations = false;
    for company in caller.all("/v1/companies").await {
        let shown = caller
            .get(&format!("/v1{}?include=provenance", path_of(&company)))
            .await;
        let page = browser.get(&path_of(&company)).await;
        assert_eq!((page.status, page.code()), (StatusCode::OK, "company"));
        page.is_sound();
        shows_all_origins(&page, &shown);
        let counts = &shown["conversations"];
        let (total, open) = (
            counts["total"].as_i64().unwrap(),
            counts["open"].as_i64().unwrap(),
        );
        let noun = if total == 1 {
            "conversation"
        } else {
            "conversations"
        };
        page.has(&format!("{total} {noun}, {open} of them open."));
        has_conversations |= total > 0;
        page.has("They are counted a few seconds after they change.");
        let mut expected: Vec<String> = caller
            .all("/v1/contacts")
            .await
            .iter()
            .filter(|contact| {
                contact["company_ids"]
                    .as_array()
                    .unwrap()
                    .contains(&company["id"])
            })
            .map(|contact| contact["id"].as_str().unwrap().to_owned())
            .collect();
        expected.sort();
        expected.reverse();
        assert_eq!(page.links_below("/contacts"), expected);
    }
    assert!(has_conversations);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_cut_off_says_so() {
    let (world, case, caller, _) = browsed().await;
    let mut cut = 0;
    for company in caller.all("/v1/companies").await {
        let id = company["id"].as_str().unwrap().parse().unwrap();
        let mut tx = world.store.begin(case.tenant).await.unwrap();
        let whole = tx.company_contacts(id, 10_000).await.unwrap();
        assert!(!whole.is_cut);
        let first = tx.company_contacts(id, 1).await.unwrap();
        // A contact that is deleted has links, and is not listed.
        assert!(first.is_cut || whole.ids.len() <= 1);
        cut += usize::from(first.is_cut);
    }
    assert!(cut > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn contacts_of_a_large_company_come_in_pages() {
    let (_world, _case, caller, mut browser) = browsed().await;
    let company = record(
        "acme",
        json!({"name": "<b>Acme</b>\u{202e}", "domain": "quartz.example", "size": 12_345, "monthly_spend": 99.5, "website": "https://quartz.example/<i>"}),
    );
    caller.send("crm", "company", &[company]).await;
    let people: Vec<Value> = (0..120)
        .map(|n| {
            let mut person = record(&format!("p{n}"), json!({"name": format!("Person {n}")}));
            person["company"] = "acme".into();
            person
        })
        .collect();
    let taken = caller.send("crm", "contact", &people).await;
    assert_eq!(taken["accepted"], 120, "{taken}");
    let companies = caller.all("/v1/companies").await;
    let company = companies
        .iter()
        .find(|one| one["domain"] == "quartz.example")
        .unwrap();
    let (mut seen, mut path, mut pages) = (Vec::new(), path_of(company), 0);
    loop {
        let page = browser.get(&path).await;
        page.is_sound();
        page.has("120 contacts.");
        assert!(
            !page.html.contains("<b>") && !page.html.contains("<i>"),
            "{}",
            page.html
        );
        pages += 1;
        assert_eq!(page.html.contains("<h2>Profile</h2>"), pages == 1);
        seen.extend(page.links_below("/contacts"));
        let Some(more) = page.link_named("More contacts") else {
            break;
        };
        path = more;
    }
    let mut expected: Vec<String> = caller
        .all("/v1/contacts")
        .await
        .iter()
        .filter(|contact| {
            contact["company_ids"]
                .as_array()
                .unwrap()
                .contains(&company["id"])
        })
        .map(|contact| contact["id"].as_str().unwrap().to_owned())
        .collect();
    expected.sort();
    expected.reverse();
    assert_eq!((seen, pages), (expected, 3));
    let page = browser.get(&path_of(company)).await;
    for text in [
        "Employees 12,345 From CRM",
        "Monthly spend 99.5 From CRM",
        "Domain quartz.example From CRM",
    ] {
        page.has(text);
    }

    let mut gone = record("acme", json!({"name": "Acme"}));
    gone["source_updated_at"] = "2026-11-02T12:00:00Z".into();
    gone["deleted"] = true.into();
    caller.send("crm", "company", &[gone]).await;
    let page = browser.get(&path_of(company)).await;
    assert_eq!(
        (page.status, page.states()),
        (StatusCode::OK, vec!["deleted"])
    );
    page.has("Every source has deleted this company");
}
