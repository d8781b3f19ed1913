//! What another site, another session or an old page can do with a form: nothing.

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::StatusCode;
use serde_json::json;

use super::{link, signed_in};
use crate::support::{Caller, CookieJar, World, client};

fn key(kid: &str, byte: u8) -> String {
    format!("{kid}:{}", STANDARD.encode([byte; 32]))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_needs_the_token_of_its_own_session() {
    let world = World::new().await;
    let base = world.api().await;
    let tenant = world.new_tenant().await;
    let mut browser = signed_in(&world, &base, tenant).await;
    // The same tenant and another one.
    for other in [tenant, world.new_tenant().await] {
        let mut other = signed_in(&world, &base, other).await;
        let theirs = other.get("/integrations").await.form("/sign-out");
        let refused = browser.press(&theirs).await;
        assert_eq!(
            (refused.status, refused.code()),
            (StatusCode::FORBIDDEN, "stale_form")
        );
    }
    let form = browser.get("/integrations").await.form("/sign-out");
    for token in ["", "x", &"A".repeat(43), &"é".repeat(100_000)] {
        let refused = browser.press(&form.clone().with("form_token", token)).await;
        assert_eq!(refused.code(), "stale_form");
    }
    assert_eq!(browser.get("/integrations").await.code(), "integrations");
    assert_eq!(browser.press(&form).await.code(), "signed_out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_another_origin_is_refused_and_the_page_names_both() {
    let world = World::new().await;
    let base = world.api().await;
    let tenant = world.new_tenant().await;
    let browser = signed_in(&world, &base, tenant).await;
    let form = browser.clone().get("/integrations").await.form("/sign-out");
    for origin in [
        "https://evil.example",
        "null",
        "http://127.0.0.1",
        "<script>",
    ] {
        let refused = browser.sending_origin(Some(origin)).press(&form).await;
        assert_eq!(
            (refused.status, refused.code()),
            (StatusCode::FORBIDDEN, "wrong_origin")
        );
        let text = refused.text();
        let shown = origin.replace('<', "&lt;").replace('>', "&gt;");
        assert!(
            text.contains(&format!("Origin should be {base} and was {shown}")),
            "{text}"
        );
    }
    // A link of the attacker's own signs nobody else in.
    let caller = Caller::service(&world, &base, Some(tenant));
    let url = link(&caller, json!({})).await;
    let sign_in = CookieJar::new(&base).get(&url).await.form("/sign-in");
    let mut victim = CookieJar::new(&base).sending_origin(Some("https://evil.example"));
    assert_eq!(victim.press(&sign_in).await.code(), "wrong_origin");
    assert_eq!(victim.cookies(), Vec::<&str>::new());
    let site = client()
        .post(format!("{base}/sign-out"))
        .header("Sec-Fetch-Site", "cross-site")
        .send()
        .await
        .unwrap();
    assert_eq!(site.status(), StatusCode::FORBIDDEN);
    assert!(site.text().await.unwrap().contains("Sec-Fetch-Site"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_is_good_at_every_replica_and_while_keys_are_rotated() {
    let (old, new) = (key("old", 1), key("new", 2));
    let world = World::with(&[("ENCRYPTION_KEYS", &old)]).await;
    let first = world.api().await;
    let replica = |keys: String| {
        let (world, first) = (world.clone(), first.clone());
        async move {
            world
                .api_with(&[("PUBLIC_URL", &first), ("ENCRYPTION_KEYS", &keys)])
                .await
        }
    };
    let tenant = world.new_tenant().await;
    for (keys, is_good) in [
        (old.clone(), true),
        (format!("{new},{old}"), true),
        (new.clone(), false),
    ] {
        let mut browser = signed_in(&world, &first, tenant).await;
        let form = browser.get("/integrations").await.form("/sign-out");
        let answer = browser.at(&replica(keys.clone()).await).press(&form).await;
        let expected = if is_good { "signed_out" } else { "stale_form" };
        assert_eq!(answer.code(), expected, "{keys}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_may_not_be_framed_and_load_only_our_style() {
    let world = World::new().await;
    let base = world.api().await;
    let tenant = world.new_tenant().await;
    let caller = Caller::service(&world, &base, Some(tenant));
    let url = link(&caller, json!({})).await;
    let mut browser = CookieJar::new(&base);
    let sign_in = browser.get(&url).await;
    let pressed = browser.press(&sign_in.form("/sign-in")).await;
    let home = browser.follow(&pressed).await;
    let refused = CookieJar::new(&base).get("/integrations").await;
    let mut styles = Vec::new();
    for page in [&sign_in, &home, &refused] {
        let policy = page.header("content-security-policy");
        let script = if page.code() == "integrations" {
            "script-src 'self'; connect-src 'self'; "
        } else {
            ""
        };
        assert!(
            policy.starts_with(&format!(
                "default-src 'none'; style-src 'self'; {script}base-uri"
            )),
            "{policy}"
        );
        assert!(
            policy.contains("base-uri 'none'; form-action 'self'"),
            "{policy}"
        );
        assert!(policy.ends_with("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        for (name, value) in [
            ("x-frame-options", "DENY"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "strict-origin"),
            ("cache-control", "no-store"),
            ("content-type", "text/html; charset=utf-8"),
        ] {
            assert_eq!(page.header(name), value);
        }
        for inline in ["<style", " style=", " onclick=", "javascript:"] {
            assert!(!page.html.contains(inline), "{inline}: {}", page.html);
        }
        let (_, rest) = page.html.split_once("rel=\"stylesheet\" href=\"").unwrap();
        styles.push(rest.split('"').next().unwrap().to_owned());
    }
    styles.dedup();
    assert_eq!(styles.len(), 1);
    let style = browser.get(&styles[0]).await;
    assert_eq!(style.header("content-type"), "text/css; charset=utf-8");
    assert_eq!(
        style.header("cache-control"),
        "public, max-age=31536000, immutable"
    );
    let digest = shared::vault::sha256(style.html.as_bytes());
    let digits: String = digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(styles[0], format!("/assets/pages-{digits}.css"));
    // Another build's style is answered and not kept, and nothing else is.
    let other = browser.get("/assets/pages-0000000000000000.css").await;
    assert_eq!(
        (other.status, other.header("cache-control")),
        (StatusCode::OK, "no-store")
    );
    assert_eq!(
        browser.get("/assets/x.css").await.status,
        StatusCode::NOT_FOUND
    );
}
