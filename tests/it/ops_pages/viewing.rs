//! A viewer sees everything and changes nothing, whatever it sends.

use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::domain::Stream;

use super::{sign_in_form, signed_in};
use crate::{
    operations::{KEY, Office, fail_for_good, workspace},
    support::{Case, CookieJar, Form, World, client},
};

pub(crate) const VIEWER_KEY: &str = "a-viewer-key-of-thirty-two-characters-or-so";
/// Where the calls and the pages are routed, so that a path to come is attacked too.
const CALLS: &str = include_str!("../../../api/src/ops/operator.rs");
const PAGES: &str = include_str!("../../../api/src/ops/pages/mod.rs");

/// A dead letter and a bulk action that has not ended, and an operator that listens.
struct Scene {
    /// Without an address of its own.
    world: World,
    office: Office,
    case: Case,
    letter: String,
    bulk: String,
}

impl Scene {
    async fn open() -> Self {
        let world = World::with(&[("OPERATOR_KEY", KEY), ("VIEWER_KEY", VIEWER_KEY)]).await;
        let office = Office::quiet(world.clone());
        let case = office.world.connect(workspace(1)).await;
        fail_for_good(&case, Stream::Contacts, "status 503", 1).await;
        let (_, letters) = office.get("/ops/dead").await;
        let body = json!({"cause": "status 503"});
        let (_, bulk) = office.post("/ops/dead/retry", body).await;
        Self {
            world,
            letter: letters["items"][0]["id"].as_str().unwrap().to_owned(),
            bulk: bulk["id"].as_str().unwrap().to_owned(),
            office,
            case,
        }
    }

    /// Every path that takes a POST in a source, with ids and classes of this scene.
    fn acting_paths(&self, source: &str) -> BTreeSet<String> {
        let routes = source.split(".route(").skip(1);
        let acting = routes.filter(|route| {
            let handlers = route.split(".route").next().unwrap_or_default();
            handlers.contains("post(")
        });
        let mut paths = BTreeSet::new();
        for route in acting {
            let path = route.split('"').nth(1).unwrap();
            let id = match path {
                path if path.contains("/bulk/") => self.bulk.clone(),
                path if path.contains("/tenants/") => self.case.tenant.to_string(),
                _ => self.letter.clone(),
            };
            for class in ["fleet", "fresh"] {
                paths.insert(path.replace("{id}", &id).replace("{class}", class));
            }
        }
        paths
    }

    /// Everything that an action could change.
    async fn state(&self) -> (Value, Value, Value, Vec<crate::support::Digest>) {
        let read = async |path: &str| self.office.get(path).await.1;
        let (_, seen) = self.office.get("/ops/queues").await;
        (
            read("/ops/actions").await,
            read("/ops/dead/bulk").await,
            seen["paused"].clone(),
            self.case.digests().await,
        )
    }
}

async fn viewer(office: &Office) -> CookieJar {
    let mut browser = CookieJar::new(&office.base);
    let page = browser.get("/ops/").await;
    let answer = browser.press(&sign_in_form(&page, VIEWER_KEY)).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.html);
    browser
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_key_reads_every_call_and_makes_none_that_acts() {
    let scene = Scene::open().await;
    let before = scene.state().await;
    let call = async |method: Method, path: &str, body: &Value| {
        let call = client()
            .request(method, format!("{}{path}", scene.office.base))
            .bearer_auth(VIEWER_KEY)
            .json(body);
        let answer = call.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or(Value::Null))
    };
    let paths = scene.acting_paths(CALLS);
    assert_eq!(paths.len(), 11, "{paths:?}");
    for path in &paths {
        for body in [
            json!({}),
            json!({"cause": "status 503"}),
            json!({"dry_run": true}),
        ] {
            let (status, problem) = call(Method::POST, path, &body).await;
            assert_eq!(
                (status, &problem["code"]),
                (403, &json!("operator_key_required")),
                "{path}"
            );
        }
    }
    for method in [Method::PUT, Method::PATCH, Method::DELETE] {
        let (status, _) = call(method, "/ops/dead", &json!({})).await;
        assert!([403, 405].contains(&status), "{status}");
    }
    assert_eq!(scene.state().await, before);
    let tenant = scene.case.tenant;
    for path in [
        "/ops/overview",
        "/ops/tenants",
        &format!("/ops/tenants/{tenant}"),
        &format!("/ops/tenants/{tenant}/why"),
        "/ops/queues",
        "/ops/jobs",
        "/ops/dead",
        "/ops/dead/causes",
        &format!("/ops/dead/{}", scene.letter),
        "/ops/dead/bulk",
        &format!("/ops/dead/bulk/{}", scene.bulk),
        "/ops/events",
        "/ops/actions",
    ] {
        assert_eq!(call(Method::GET, path, &json!(null)).await.0, 200, "{path}");
    }
    // The command line of a viewer has its key alone.
    let theirs = scene.office.world.otherwise(&[("OPERATOR_KEY", "")]);
    assert_eq!(theirs.command(&["overview"]).status.code(), Some(0));
    assert_eq!(theirs.command(&["pause", "fleet"]).status.code(), Some(4));
    assert_eq!(scene.state().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewers_session_sends_no_form_that_does_anything() {
    let scene = Scene::open().await;
    let office = &scene.office;
    let before = scene.state().await;
    let mut browser = viewer(office).await;
    let own = browser.page("/ops/").await.form("/ops/sign-out").fields["form_token"].clone();
    let mut operator = signed_in(office).await;
    let theirs = operator.page("/ops/").await.form("/ops/sign-out").fields["form_token"].clone();
    let mut paths = scene.acting_paths(PAGES);
    paths.retain(|path| !["/ops/sign-in", "/ops/sign-out"].contains(&path.as_str()));
    assert_eq!(paths.len(), 9, "{paths:?}");
    for path in &paths {
        for token in [&own, &theirs, ""] {
            let form = Form::to(path)
                .with("form_token", token)
                .with("cause", "status 503")
                .with("count", "1")
                .with("reason", "a test");
            let refused = browser.press(&form).await;
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "{path}");
            let expected = if token == own { "viewer" } else { "stale_form" };
            assert_eq!(refused.code(), expected, "{path}");
        }
    }
    assert_eq!(scene.state().await, before);
    // The cookie is a viewer's, however it is written, and it is no key.
    let value = browser.value("pathbound_ops").to_owned();
    let (id, rest) = value.split_once('.').unwrap();
    let operators = operator.value("pathbound_ops").to_owned();
    let (_, code) = operators.rsplit_once('.').unwrap();
    let end = rest.split('.').next().unwrap();
    let forged = format!("{id}.{end}.{code}");
    let mut forger = CookieJar::new(&office.base).with_cookie("pathbound_ops", &forged);
    assert_eq!(forger.page("/ops/").await.code(), "sign_in_required");
    // An operator's form goes through with the same fields.
    let path = format!("/ops/tenants/{}/pause", scene.case.tenant);
    let form = Form::to(&path).with("form_token", &theirs);
    assert_eq!(operator.press(&form).await.status, StatusCode::SEE_OTHER);
    // A viewer signs out, and without the viewer key there is no viewer.
    let changed = Office::quiet(scene.world.otherwise(&[("VIEWER_KEY", "")]));
    let page = browser.at(&changed.base).page("/ops/").await;
    assert_eq!(page.code(), "sign_in_required");
    let form = browser.page("/ops/").await.form("/ops/sign-out");
    assert_eq!(browser.press(&form).await.code(), "signed_out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewers_pages_have_no_buttons_and_say_why() {
    let scene = Scene::open().await;
    let mut browser = viewer(&scene.office).await;
    let mut operator = signed_in(&scene.office).await;
    let bulk = format!("/ops/dead/bulk/{}", scene.bulk);
    let tenant = format!("/ops/tenants/{}", scene.case.tenant);
    let acting = |html: &str| html.matches("method=\"post\"").count();
    for (path, code, forms) in [
        ("/ops/", "ops_overview", 7),
        ("/ops/tenants", "ops_tenants", 1),
        (&tenant, "ops_tenant", 3),
        ("/ops/jobs", "ops_jobs", 1),
        ("/ops/dead", "ops_dead", 2),
        (&bulk, "ops_bulk", 2),
        ("/ops/events", "ops_events", 1),
        ("/ops/actions", "ops_actions", 1),
    ] {
        let page = browser.page(path).await;
        assert_eq!((page.status, page.code()), (StatusCode::OK, code), "{path}");
        // The one that is left signs out.
        assert_eq!(acting(&page.html), 1, "{path}: {}", page.html);
        assert!(
            page.text().contains("signed in with the viewer key"),
            "{path}"
        );
        assert!(!page.html.contains("/ops/dead/drop"), "{path}");
        let full = operator.page(path).await;
        assert_eq!(acting(&full.html), forms, "{path}: {}", full.html);
        assert!(
            !full.text().contains("signed in with the viewer key"),
            "{path}"
        );
    }
    let question = browser.page("/ops/dead/drop?cause=status+503").await;
    assert_eq!(
        (question.status, question.code()),
        (StatusCode::FORBIDDEN, "viewer")
    );
    assert_eq!(browser.get("/ops/live").await.status, StatusCode::OK);
}
