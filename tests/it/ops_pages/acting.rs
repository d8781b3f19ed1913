//! Each action is one call, one command and one button, and all three do the same.

use reqwest::StatusCode;
use serde_json::{Value, json};
use shared::domain::Stream;

use super::signed_in;
use crate::{
    operations::{Office, fail_for_good, workspace},
    support::{Case, CookieJar, wait_for},
};

/// One action in its three forms. `T` stands for the tenant, and `B` for the newest bulk action.
struct Action {
    call: (&'static str, Value),
    command: &'static [&'static str],
    /// The page with the button, the end of its form's path, and what is typed.
    button: (
        &'static str,
        &'static str,
        &'static [(&'static str, &'static str)],
    ),
    /// The actions that are kept when it has ended, with their subjects and how much each has changed.
    kept: &'static [(&'static str, &'static str, i64)],
}

/// Every action of operators.
fn actions() -> Vec<Action> {
    let paused = |scope_path, command, page, kept| Action {
        call: (scope_path, json!({"reason": "a test"})),
        command,
        button: (page, scope_path, &[("reason", "a test")]),
        kept,
    };
    let resumed = |scope_path, command, page, kept| Action {
        call: (scope_path, json!({})),
        command,
        button: (page, scope_path, &[]),
        kept,
    };
    vec![
        paused(
            "/ops/tenants/T/pause",
            &["tenants", "pause", "T", "--reason", "a test"],
            "/ops/tenants/T",
            &[("work.paused", "the tenant", 1)],
        ),
        resumed(
            "/ops/tenants/T/resume",
            &["tenants", "resume", "T"],
            "/ops/tenants/T",
            &[("work.resumed", "the tenant", 1)],
        ),
        paused(
            "/ops/queues/backfill/pause",
            &["pause", "backfill", "--reason", "a test"],
            "/ops/",
            &[("work.paused", "the class backfill", 1)],
        ),
        resumed(
            "/ops/queues/backfill/resume",
            &["resume", "backfill"],
            "/ops/",
            &[("work.resumed", "the class backfill", 1)],
        ),
        paused(
            "/ops/queues/fleet/pause",
            &["pause", "fleet", "--reason", "a test"],
            "/ops/",
            &[("work.paused", "the fleet", 1)],
        ),
        // The pause holds it, so that it can be cancelled.
        Action {
            call: ("/ops/dead/retry", json!({"cause": "status 503"})),
            command: &["dead", "retry", "--cause", "status 503", "--no-wait"],
            button: ("/ops/dead", "/ops/dead/retry", &[]),
            kept: &[],
        },
        Action {
            call: ("/ops/dead/bulk/B/cancel", json!({})),
            command: &["dead", "bulk", "cancel", "B"],
            button: ("/ops/dead/bulk/B", "/ops/dead/bulk/B/cancel", &[]),
            kept: &[
                ("bulk_action.cancelled", "retry of dead letters, B", 1),
                ("dead_letters.retried", "cause \"status 503\", cancelled", 0),
            ],
        },
        resumed(
            "/ops/queues/fleet/resume",
            &["resume", "fleet"],
            "/ops/",
            &[("work.resumed", "the fleet", 1)],
        ),
        Action {
            call: ("/ops/dead/retry", json!({"cause": "status 503"})),
            command: &["dead", "retry", "--cause", "status 503"],
            button: ("/ops/dead", "/ops/dead/retry", &[]),
            kept: &[("dead_letters.retried", "cause \"status 503\"", 1)],
        },
        Action {
            call: ("/ops/dead/drop", json!({"cause": "status 503"})),
            command: &["dead", "drop", "--cause", "status 503", "--yes"],
            button: (
                "/ops/dead/drop?cause=status+503",
                "/ops/dead/drop",
                &[("count", "1")],
            ),
            kept: &[("dead_letters.dropped", "cause \"status 503\"", 1)],
        },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_action_is_a_call_a_command_and_a_button() {
    let office = Office::open().await;
    let case = office.world.connect(workspace(1)).await;
    let mut browser = signed_in(&office).await;
    let mut expected = Vec::new();
    for (fence, form) in (1..).zip(["call", "command", "button"]) {
        // Each round drops the letter, so that the next one has a letter again.
        fail_for_good(&case, Stream::Contacts, "status 503", fence).await;
        for action in actions() {
            act(&office, &case, &mut browser, &action, form).await;
            let bulk = newest_bulk(&office).await;
            for (name, subject, changed) in action.kept {
                let channel = if form == "button" { "browser" } else { "key" };
                expected.push(json!([name, channel, subject.replace('B', &bulk), changed]));
            }
        }
    }
    let (_, listed) = office.get("/ops/actions?limit=200").await;
    let items = listed["items"].as_array().unwrap();
    let kept: Vec<Value> = items
        .iter()
        .rev()
        .map(|item| {
            json!([
                item["action"],
                item["channel"],
                item["subject"],
                item["changed"]
            ])
        })
        .collect();
    assert_eq!(kept, expected);
    // Of a button it is known which browser it was.
    let has_session =
        |item: &Value| item["session_id"].is_string() == (item["channel"] == "browser");
    assert!(items.iter().all(has_session), "{listed}");
    let page = browser.page("/ops/actions").await.text();
    assert!(page.contains("work.paused (1 changed) the fleet"), "{page}");
}

/// The id of the bulk action that was asked for last. Empty before the first one.
async fn newest_bulk(office: &Office) -> String {
    let (_, listed) = office.get("/ops/dead/bulk?limit=1").await;
    let id = listed["items"][0]["id"].as_str();
    id.unwrap_or_default().to_owned()
}

/// Does an action in one of its forms, and waits for its end.
async fn act(office: &Office, case: &Case, browser: &mut CookieJar, action: &Action, form: &str) {
    let (tenant, bulk) = (case.tenant.to_string(), newest_bulk(office).await);
    let named = |text: &str| text.replace('T', &tenant).replace('B', &bulk);
    match form {
        "call" => {
            let (path, body) = &action.call;
            let (status, answer) = office.post(&named(path), body.clone()).await;
            let is_bulk = ["/ops/dead/retry", "/ops/dead/drop"].contains(path);
            let expected = if is_bulk { 202 } else { 200 };
            assert_eq!(status, expected, "{path}: {answer}");
        }
        "command" => {
            let arguments: Vec<String> = action.command.iter().map(|word| named(word)).collect();
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            assert_eq!(office.pathbound(&arguments).0, 0, "{arguments:?}");
        }
        _ => {
            let (page, path, typed) = action.button;
            let page = browser.page(&named(page)).await;
            let mut form = page.form(&named(path));
            for (name, value) in typed {
                form = form.with(name, value);
            }
            let answer = browser.press(&form).await;
            assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.html);
            let landed = browser.follow_to_page(&answer).await;
            assert_eq!(landed.status, StatusCode::OK, "{}", landed.html);
        }
    }
    if !action.kept.is_empty() {
        until_bulk_ends(office).await;
    }
}

/// Waits until every bulk action has ended.
async fn until_bulk_ends(office: &Office) {
    wait_for("every bulk action has ended", async || {
        let (_, listed) = office.get("/ops/dead/bulk").await;
        let items = listed["items"].as_array().unwrap();
        let have_ended = items.iter().all(|item| item["finished_at"].is_string());
        have_ended.then_some(()).ok_or_else(|| listed.to_string())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_shows_how_far_a_retry_is() {
    let office = Office::open().await;
    let case = office.world.connect(workspace(1)).await;
    fail_for_good(&case, Stream::Contacts, "status 503", 1).await;
    let mut browser = signed_in(&office).await;
    office.post("/ops/queues/fleet/pause", json!({})).await;
    let form = browser.page("/ops/dead").await.form("/ops/dead/retry");
    let answer = browser.press(&form).await;
    let path = answer.header("location").to_owned();
    assert!(path.starts_with("/ops/dead/bulk/"), "{path}");
    let page = browser.page(&path).await;
    assert_eq!(page.code(), "ops_bulk");
    let text = page.text();
    for shown in ["Retry 1 dead letter", "queued", "0 of 1", "by browser"] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    for piece in [
        "max=\"1\" value=\"0\"",
        &format!("data-path=\"{path}/live\""),
    ] {
        assert!(page.html.contains(piece), "{piece}: {}", page.html);
    }
    // A second press leads to the same one.
    let again = browser.press(&form).await;
    assert_eq!(again.header("location"), path);
    let live = format!("{path}/live");
    let first = browser.get(&live).await;
    let etag = first.header("etag").to_owned();
    let same = browser.get_if_changed(&live, &etag).await;
    assert_eq!(same.status, StatusCode::NOT_MODIFIED);
    office.post("/ops/queues/fleet/resume", json!({})).await;
    until_bulk_ends(&office).await;
    let news = browser.get_if_changed(&live, &etag).await.text();
    assert!(news.contains("Every letter was changed."), "{news}");
    let ended = browser.page(&path).await;
    assert!(!ended.html.contains("Cancel it"), "{}", ended.html);
    let listed = browser.page("/ops/dead").await;
    assert!(
        listed.html.contains(&format!("href=\"{path}\"")),
        "{}",
        listed.html
    );
    assert!(
        listed.text().contains("finished 1 of 1"),
        "{}",
        listed.text()
    );
    let unknown = browser
        .page(&format!("/ops/dead/bulk/{}", uuid::Uuid::now_v7()))
        .await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    let stranger = CookieJar::new(&office.base).page(&path).await;
    assert_eq!(stranger.code(), "sign_in_required");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_button_beside_a_cause_spares_the_causes_that_contain_it() {
    let office = Office::open().await;
    let case = office.world.connect(workspace(1)).await;
    let longer = "tags could not be read: status 503";
    fail_for_good(&case, Stream::Contacts, "status 503", 1).await;
    fail_for_good(&case, Stream::Companies, longer, 1).await;
    let mut browser = signed_in(&office).await;
    let question = browser.page("/ops/dead/drop?cause=status+503").await;
    assert!(question.text().contains("Drop 1 dead letter?"));
    let form = question.form("/ops/dead/drop").with("count", "1");
    assert_eq!(browser.press(&form).await.status, StatusCode::SEE_OTHER);
    until_bulk_ends(&office).await;
    let left = [("companies".to_owned(), longer.to_owned())];
    assert_eq!(case.open_dead_letters().await, left);
    // A call means every cause with the text, if it does not say otherwise.
    for (cause, count) in [("STATUS 503", 1), ("=status 503", 0)] {
        let body = json!({"cause": cause, "dry_run": true});
        let counted = office.post("/ops/dead/drop", body).await.1;
        assert_eq!(counted["count"], count, "{cause}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drop_is_asked_for_by_its_number() {
    let office = Office::open().await;
    let case = office.world.connect(workspace(1)).await;
    fail_for_good(&case, Stream::Contacts, "status 503", 1).await;
    let mut browser = signed_in(&office).await;
    let path = "/ops/dead/drop?cause=status+503";
    let question = browser.page(path).await;
    assert_eq!(question.code(), "ops_drop");
    assert!(question.text().contains("Drop 1 dead letter?"));
    for typed in ["", "0", "2", "one"] {
        let form = question.form("/ops/dead/drop").with("count", typed);
        let refused = browser.press(&form).await;
        assert_eq!(
            (refused.status, refused.code()),
            (StatusCode::UNPROCESSABLE_ENTITY, "count_differs"),
            "{typed}"
        );
    }
    assert_eq!(case.open_dead_letters().await.len(), 1);
    // A form without a condition would mean every letter.
    let all = browser.page("/ops/dead/drop").await;
    assert_eq!(
        (all.status, all.code()),
        (StatusCode::BAD_REQUEST, "refused")
    );
    let bad = browser.page("/ops/dead/drop?tenant_id=x").await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
    let form = question.form("/ops/dead/drop").with("count", "1");
    assert_eq!(browser.press(&form).await.status, StatusCode::SEE_OTHER);
    until_bulk_ends(&office).await;
    assert_eq!(case.open_dead_letters().await, []);
}
