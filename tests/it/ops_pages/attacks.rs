//! What a stranger, another site or a hostile text can do with the pages: nothing.

use reqwest::StatusCode;
use serde_json::json;
use shared::domain::Stream;

use super::{sign_in_form, signed_in};
use crate::{
    operations::{KEY, Office, fail_for_good, workspace},
    support::{CookieJar, Form, World, client},
};

const OTHER_KEY: &str = "another-operator-key-of-forty-characters";

#[tokio::test(flavor = "multi_thread")]
async fn only_the_key_signs_in_and_wrong_ones_are_limited() {
    let office = Office::open().await;
    let mut browser = CookieJar::new(&office.base);
    let page = browser.page("/ops/tenants").await;
    assert_eq!(
        (page.status, page.code()),
        (StatusCode::UNAUTHORIZED, "sign_in_required")
    );
    let mut codes = Vec::new();
    for n in 0..21 {
        let key = if n % 2 == 0 { OTHER_KEY } else { "" };
        let answer = browser.press(&sign_in_form(&page, key)).await;
        codes.push(answer.code().to_owned());
        assert!(!answer.html.contains(OTHER_KEY));
    }
    assert_eq!(codes.pop().as_deref(), Some("too_many_keys"));
    assert!(codes.iter().all(|code| code == "wrong_key"), "{codes:?}");
    assert_eq!(browser.cookies(), Vec::<&str>::new());
    // Nobody with the key is kept out by it, neither in a browser nor in a program.
    let right = browser.press(&sign_in_form(&page, KEY)).await;
    assert_eq!(
        (right.status, browser.cookies()),
        (StatusCode::SEE_OTHER, vec!["pathbound_ops"])
    );
    assert_eq!(office.get("/ops/overview").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_behind_a_proxy_with_a_password_sees_pages() {
    let office = Office::open().await;
    let call = client()
        .get(format!("{}/ops/", office.base))
        .header("accept", "text/html")
        .basic_auth("proxy", Some("secret"));
    let answer = call.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let html = answer.text().await.unwrap();
    assert!(html.contains("data-code=\"sign_in_required\""), "{html}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_with_the_key_and_cannot_be_made_up() {
    let world = World::with(&[("OPERATOR_KEY", KEY)]).await;
    let office = Office::of(world.clone());
    let mut browser = signed_in(&office).await;
    assert_eq!(browser.cookies(), ["pathbound_ops"]);
    let value = browser.value("pathbound_ops").to_owned();
    let (id, rest) = value.split_once('.').unwrap();
    let (end, code) = rest.split_once('.').unwrap();
    let later = (end.parse::<i64>().unwrap() + 60).to_string();
    for forged in [
        String::new(),
        "x".repeat(8_000),
        format!("{id}.{later}.{code}"),
        format!("{}.{end}.{code}", uuid::Uuid::now_v7()),
        format!("{id}.{end}."),
        format!("{id}.{end}.{}", "A".repeat(43)),
    ] {
        let mut other = CookieJar::new(&office.base).with_cookie("pathbound_ops", &forged);
        assert_eq!(
            other.page("/ops/tenants").await.code(),
            "sign_in_required",
            "{forged:.80}"
        );
    }
    // Any process with the same keys takes it, and none with another operator key.
    let replica = Office::of(world.clone());
    assert_eq!(
        browser.at(&replica.base).page("/ops/tenants").await.code(),
        "ops_tenants"
    );
    let changed = Office::of(world.otherwise(&[("OPERATOR_KEY", OTHER_KEY)]));
    assert_eq!(
        browser.at(&changed.base).page("/ops/tenants").await.code(),
        "sign_in_required"
    );
    let form = browser.page("/ops/").await.form("/ops/sign-out");
    assert_eq!(browser.press(&form).await.code(), "signed_out");
    assert_eq!(browser.cookies(), Vec::<&str>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_needs_its_token_and_its_origin() {
    let office = Office::open().await;
    let tenant = office.world.new_tenant().await;
    let mut browser = signed_in(&office).await;
    let path = format!("/ops/tenants/{tenant}/pause");
    let form = browser
        .page(&format!("/ops/tenants/{tenant}"))
        .await
        .form("/pause");
    let theirs = signed_in(&office).await.page("/ops/").await;
    let foreign = theirs.form("/ops/sign-out").fields["form_token"].clone();
    for token in ["", "x", &foreign, &"A".repeat(43)] {
        let refused = browser.press(&form.clone().with("form_token", token)).await;
        assert_eq!(
            (refused.status, refused.code()),
            (StatusCode::FORBIDDEN, "stale_form"),
            "{token}"
        );
    }
    for origin in ["https://evil.example", "null", "http://127.0.0.1"] {
        let refused = browser.sending_origin(Some(origin)).press(&form).await;
        assert_eq!(
            (refused.status, refused.code()),
            (StatusCode::FORBIDDEN, "wrong_origin"),
            "{origin}"
        );
        assert!(refused.text().contains(origin), "{}", refused.html);
    }
    let stranger = CookieJar::new(&office.base).press(&Form::to(&path)).await;
    assert_eq!(stranger.code(), "sign_in_required");
    // The cookie is no key for the calls of programs.
    let bare = browser
        .get_accepting("/ops/tenants", "application/json")
        .await;
    assert_eq!(bare.status, StatusCode::UNAUTHORIZED);
    let (_, seen) = office.get("/ops/overview").await;
    assert_eq!(seen["fleet"]["data"]["paused"], json!([]), "{seen}");
    assert_eq!(browser.press(&form).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_text_never_becomes_markup() {
    let office = Office::open().await;
    let hostile = "<script>alert(1)</script>\u{202e}\u{0007}\"><img src=x>";
    let tenant = office
        .world
        .tenant_named("<script>x\u{202e}</script>")
        .await;
    let case = office.world.connect(workspace(1)).await;
    fail_for_good(&case, Stream::Contacts, hostile, 1).await;
    let reason = json!({"reason": "<b class=x>now</b>\u{2066}"});
    for path in [
        format!("/ops/tenants/{tenant}/pause"),
        "/ops/queues/fleet/pause".to_owned(),
    ] {
        assert_eq!(office.post(&path, reason.clone()).await.0, 200);
    }
    let mut browser = signed_in(&office).await;
    let search = "/ops/tenants?q=%3Cscript%3E%22%3E%3Cimg+src=x%3E";
    for path in [
        "/ops/",
        "/ops/tenants?sort=name",
        search,
        &format!("/ops/tenants/{tenant}"),
        &format!("/ops/tenants/{}", case.tenant),
        "/ops/dead",
        "/ops/dead/drop?cause=%3Cscript%3E",
        "/ops/actions",
        "/ops/schedule?limit=50",
    ] {
        let page = browser.page(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        for markup in [
            "<script>", "<img", "<b ", "\u{202e}", "\u{2066}", "\u{0007}",
        ] {
            assert!(
                !page.html.contains(markup),
                "{markup} in {path}: {}",
                page.html
            );
        }
        let policy = page.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; style-src 'self'"),
            "{policy}"
        );
        assert!(policy.ends_with("frame-ancestors 'none'"), "{policy}");
        for (name, value) in [
            ("x-frame-options", "DENY"),
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(page.header(name), value, "{path}");
        }
        for inline in ["<style", " style=", " onclick=", "javascript:"] {
            assert!(!page.html.contains(inline), "{inline} in {path}");
        }
    }
    let style = browser.page("/ops/").await;
    let (_, rest) = style.html.split_once("rel=\"stylesheet\" href=\"").unwrap();
    let style = browser.get(rest.split('"').next().unwrap()).await;
    assert_eq!(style.header("content-type"), "text/css; charset=utf-8");
}
