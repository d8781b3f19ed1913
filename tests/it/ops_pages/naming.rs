//! Operators and tenants by name: whose an action was, and what a list is about.

use std::ffi::OsStr;

use reqwest::StatusCode;
use serde_json::{Value, json};
use shared::domain::Stream;

use super::sign_in_form;
use crate::{
    operations::{KEY, Office, fail_for_good, workspace},
    support::{CookieJar, client},
};

async fn signed_in_as(office: &Office, name: &str) -> CookieJar {
    let mut browser = CookieJar::new(&office.base);
    let page = browser.get("/ops/").await;
    let form = sign_in_form(&page, KEY).with("operator", name);
    let answer = browser.press(&form).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.html);
    browser
}

/// What a command prints. It has to succeed.
fn said(office: &Office, command: &[&str]) -> String {
    let output = office.world.command(command);
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The operator and the channel of each action, the last one first.
async fn operators(office: &Office) -> Vec<Value> {
    let (_, listed) = office.get("/ops/actions").await;
    let items = listed["items"].as_array().unwrap().iter();
    items
        .map(|item| json!([item["operator"], item["channel"]]))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_says_whose_it_is_on_every_face() {
    let office = Office::open().await;
    let case = office.world.connect(workspace(1)).await;
    let (tenant, name) = (case.tenant, "Acme");
    let page = format!("/ops/tenants/{tenant}");
    let mut browser = signed_in_as(&office, " Ada <b>Lovelace</b> ").await;
    let form = browser.page(&page).await.form("/pause");
    let form = form.with("reason", "a look at its letters");
    assert_eq!(browser.press(&form).await.status, StatusCode::SEE_OTHER);

    let (given, shown) = ("Ada <b>Lovelace</b>", "Ada &lt;b&gt;Lovelace&lt;/b&gt;");
    let tenant_page = browser.page(&page).await;
    let sentence = format!("Paused by {shown} since");
    assert!(
        tenant_page.text().contains(&sentence),
        "{}",
        tenant_page.text()
    );
    assert!(
        !tenant_page.html.contains("<b>Lovelace"),
        "{}",
        tenant_page.html
    );
    let overview = browser.page("/ops/").await.text();
    assert!(
        overview.contains(&format!("{name} by {shown} since")),
        "{overview}"
    );
    let list = browser.page("/ops/actions").await.text();
    assert!(list.contains(&format!("{shown} , browser")), "{list}");
    assert!(list.contains(name), "{list}");
    let (_, why) = office.get(&format!("{page}/why")).await;
    assert_eq!(why["paused"][0]["operator"], given);
    for (command, what) in [
        (vec!["why", name], format!("Paused by {given} since")),
        (
            vec!["actions", "--tenant", name],
            format!("{given}, browser"),
        ),
        (vec!["overview"], format!("by {given} since")),
    ] {
        let said = said(&office, &command);
        assert!(said.contains(&what), "{command:?}: {said}");
    }

    let call = async |name: &[u8]| {
        let call = client()
            .post(format!("{}{page}/resume", office.base))
            .bearer_auth(KEY)
            .header("Pathbound-Operator", name);
        let answer = call.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json::<Value>().await.unwrap())
    };
    for bad in [&b" "[..], &[b'x'; 81], b"a\xe2\x80\xaeb", b"\xff\t\xff"] {
        let (status, problem) = call(bad).await;
        let field = &problem["errors"][0]["field"];
        assert_eq!(
            (status, field),
            (400, &json!("pathbound-operator")),
            "{problem}"
        );
    }
    assert_eq!(call("Zoë".as_bytes()).await.0, 200);
    let grace = (OsStr::new("PATHBOUND_OPERATOR_NAME"), OsStr::new("grace"));
    let pause = ["tenants", "pause", name];
    let output = office.world.command_with(&pause, &[grace]);
    assert!(output.status.success(), "{output:?}");
    office.post(&format!("{page}/resume"), json!({})).await;
    // Without an option it is the machine's user.
    let user = (OsStr::new("USER"), OsStr::new("linus"));
    let output = office.world.command_with(&pause, &[user]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        operators(&office).await,
        [
            json!(["linus", "key"]),
            json!([null, "key"]),
            json!(["grace", "key"]),
            json!(["Zoë", "key"]),
            json!([given, "browser"])
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_was_not_given_at_the_sign_in_is_not_believed() {
    let office = Office::open().await;
    let case = office.world.connect(workspace(1)).await;
    let page = format!("/ops/tenants/{}", case.tenant);
    let (ada, eve) = (
        signed_in_as(&office, "ada").await,
        signed_in_as(&office, "").await,
    );
    let stolen = ada.value("pathbound_ops_name").to_owned();
    let (_, code) = stolen.split_once('.').unwrap();
    assert_eq!(eve.cookies(), ["pathbound_ops"]);
    for value in [
        stolen.clone(),
        format!("Ym9i.{code}"),
        "Ym9i".to_owned(),
        "Ym9i.".to_owned(),
        "%.%".to_owned(),
    ] {
        let mut forged = eve
            .at(&office.base)
            .with_cookie("pathbound_ops_name", &value);
        let form = forged.page(&page).await.form("/pause");
        assert_eq!(forged.press(&form).await.status, StatusCode::SEE_OTHER);
        office.post(&format!("{page}/resume"), json!({})).await;
    }
    let said = operators(&office).await;
    assert_eq!(said.len(), 10);
    assert!(said.iter().all(|said| said[0].is_null()), "{said:?}");
    // A name that is none signs nobody in.
    let mut browser = CookieJar::new(&office.base);
    let sign_in = browser.get("/ops/").await;
    let form = sign_in_form(&sign_in, KEY).with("operator", &"x".repeat(81));
    let refused = browser.press(&form).await;
    assert_eq!(
        (refused.status, refused.code()),
        (StatusCode::UNPROCESSABLE_ENTITY, "wrong_name")
    );
    assert_eq!(browser.page("/ops/").await.code(), "sign_in_required");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_name_tenants_and_commands_take_names() {
    let office = Office::open().await;
    let case = office.world.connect(workspace(1)).await;
    let name = "Acme";
    fail_for_good(&case, Stream::Contacts, "status 503", 1).await;
    let mut browser = CookieJar::new(&office.base);
    let page = browser.get("/ops/").await;
    browser.press(&sign_in_form(&page, KEY)).await;
    let tenant = case.tenant.to_string();
    for path in ["/ops/schedule", "/ops/dead", "/ops/overview"] {
        let (status, list) = office.get(path).await;
        let text = list.to_string();
        assert_eq!(status, 200, "{list}");
        assert!(text.contains(&tenant), "{path}: {list}");
        assert!(
            text.contains(&format!("\"tenant_name\":\"{name}\"")),
            "{path}: {list}"
        );
    }
    let page = browser.page("/ops/schedule").await;
    assert!(page.text().contains(name), "{}", page.text());
    let key = "a-service-key-of-thirty-two-characters";
    let api = office.world.api_with(&[("SERVICE_KEY", key)]).await;
    let variables = [
        ("PATHBOUND_PUBLIC_URL".as_ref(), api.as_ref()),
        ("PATHBOUND_SERVICE_KEY".as_ref(), key.as_ref()),
    ];
    for command in [
        vec!["resync", name],
        vec!["resync", &name.to_uppercase()],
        vec!["merge-rules", "show", name],
        vec!["identity-rules", "show", name],
        vec!["replay", name, "--dry-run"],
    ] {
        let output = office.world.command_with(&command, &variables);
        assert!(output.status.success(), "{command:?}: {output:?}");
    }
    let output = office.world.command(&["resync", "nobody"]);
    let fault = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(
        fault.contains("no tenant has the name or id `nobody`"),
        "{fault}"
    );
}
