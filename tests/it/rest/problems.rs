//! Every code of a problem, raised over HTTP.

use std::collections::BTreeSet;

use api::Code;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use servers::Relay;
use shared::{domain::TenantId, vault};

use super::synced;
use crate::{
    operations::{KEY, Office},
    ops_pages::VIEWER_KEY,
    support::{Answer, Caller, World, client, held, servers},
};

/// The codes that were raised, each as its description has it.
#[derive(Default)]
struct Raised {
    base: String,
    codes: BTreeSet<Code>,
}

impl Raised {
    /// Checks a problem, and that it names a page that is there.
    async fn note(&mut self, code: Code, answer: &Answer) {
        let problem = &answer.body;
        assert_eq!(problem["code"], code.as_str(), "{problem}");
        assert_eq!(problem["status"], answer.status.as_u16(), "{problem}");
        assert_eq!(problem["type"], format!("/docs/problems/{code}"));
        assert_eq!(problem["instance"], answer.header("x-request-id"));
        let waits = problem["retry_after_s"]
            .as_u64()
            .map(|seconds| seconds.to_string());
        assert_eq!(
            waits.as_deref().unwrap_or_default(),
            answer.header("retry-after")
        );
        let page = format!("{}{}", self.base, problem["type"].as_str().unwrap());
        let page = client().get(page).send().await.unwrap();
        assert_eq!(page.status(), StatusCode::OK, "{code}");
        let title = problem["title"].as_str().unwrap();
        assert!(
            page.text()
                .await
                .unwrap()
                .contains(&format!("<h1>{title}</h1>"))
        );
        self.codes.insert(code);
    }
}

/// The fields that a problem names.
fn fields(problem: &Value) -> Vec<&str> {
    let errors = problem["errors"]
        .as_array()
        .map_or(&[][..], |errors| errors);
    errors
        .iter()
        .map(|error| error["field"].as_str().unwrap())
        .collect()
}

async fn get(caller: &Caller, path: &str) -> Answer {
    caller.exchange(Method::GET, path, None, &[]).await
}

async fn post(caller: &Caller, path: &str, body: Value, headers: &[(&str, &str)]) -> Answer {
    caller
        .exchange(Method::POST, path, Some(body.to_string()), headers)
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_code_is_raised_and_has_a_page() {
    let (world, case, caller) = synced().await;
    let mut raised = Raised {
        base: caller.base().to_owned(),
        ..Raised::default()
    };
    keys_and_tenants(&mut raised, &world, &caller).await;
    requests(&mut raised, &caller).await;
    repeats(&mut raised, &world, &caller, case.tenant).await;
    removal(&mut raised, &world, &caller).await;
    for (code, header) in [
        (Code::HostNotAllowed, ("Host", "evil.example")),
        (Code::OriginNotAllowed, ("Origin", "https://evil.example")),
    ] {
        let answer = post(&caller, "/mcp", json!({}), &[header]).await;
        raised.note(code, &answer).await;
    }

    let keys = [("OPERATOR_KEY", KEY), ("VIEWER_KEY", VIEWER_KEY)];
    let office = Office::quiet(world.otherwise(&keys));
    let viewer = Caller::service(&world, &office.base, None).with_key(VIEWER_KEY);
    let paused = post(&viewer, "/ops/queues/fleet/pause", json!({}), &[]).await;
    raised.note(Code::OperatorKeyRequired, &paused).await;

    // The fleet may still be about to end, and a run that ends is not the open one.
    case.inject(held());
    let connection = format!("/v1/connections/{}", case.connection());
    let syncs = format!("{connection}/syncs");
    let mode = json!({"mode": "full"});
    let run = post(&caller, &syncs, mode.clone(), &[]).await;
    let again = post(&caller, &syncs, mode.clone(), &[]).await;
    assert_eq!(again.body["run"]["id"], run.body["id"]);
    raised.note(Code::RunAlreadyActive, &again).await;
    caller
        .exchange(Method::DELETE, &connection, None, &[])
        .await;
    raised
        .note(
            Code::ConnectionNotActive,
            &post(&caller, &syncs, mode, &[]).await,
        )
        .await;

    failures(&mut raised, &world, &caller).await;
    let all: BTreeSet<Code> = Code::ALL.iter().copied().collect();
    assert_eq!(raised.codes, all);
}

async fn keys_and_tenants(raised: &mut Raised, world: &World, caller: &Caller) {
    let stranger = caller.with_key("pb_no_key");
    let answer = get(&stranger, "/v1/contacts").await;
    assert_eq!(answer.header("www-authenticate"), "Bearer");
    raised.note(Code::Unauthorized, &answer).await;

    let made = json!({"name": "reader", "scopes": ["profiles:read"]});
    let made = post(caller, "/v1/api_keys", made, &[]).await;
    let reader = caller.with_key(made.body["key"].as_str().unwrap());
    raised
        .note(Code::MissingScope, &get(&reader, "/v1/conversations").await)
        .await;
    raised
        .note(
            Code::ServiceKeyRequired,
            &get(&reader, "/v1/api_keys").await,
        )
        .await;
    let tenant = [("Pathbound-Tenant", "0193a1f2-7c1e-7b55-9f0a-2d1f0c7e4b11")];
    let answer = reader
        .exchange(Method::GET, "/v1/contacts", None, &tenant)
        .await;
    raised.note(Code::TenantNotAllowed, &answer).await;

    let nobody = Caller::service(world, caller.base(), None);
    raised
        .note(Code::TenantRequired, &get(&nobody, "/v1/contacts").await)
        .await;
    for tenant in ["0193a1f2-7c1e-7b55-9f0a-2d1f0c7e4b11", "acme"] {
        let tenant = [("Pathbound-Tenant", tenant)];
        let answer = nobody
            .exchange(Method::GET, "/v1/contacts", None, &tenant)
            .await;
        raised.note(Code::TenantNotFound, &answer).await;
    }
}

async fn requests(raised: &mut Raised, caller: &Caller) {
    for path in [
        "/nowhere",
        "/v1/nowhere",
        "/v1/contacts/7",
        "/v1/contacts/0193a1f2-7c1e-7b55-9f0a-2d1f0c7e4b11",
        "/docs/problems/none",
    ] {
        raised.note(Code::NotFound, &get(caller, path).await).await;
    }
    let answer = caller
        .exchange(Method::PUT, "/v1/api_keys", None, &[])
        .await;
    let mut allowed: Vec<&str> = answer.header("allow").split(',').map(str::trim).collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
    raised.note(Code::MethodNotAllowed, &answer).await;

    for (path, field) in [
        ("/v1/contacts?limit=0", "limit"),
        ("/v1/contacts?limit=x", "limit"),
        ("/v1/contacts?updated_since=today", "updated_since"),
        ("/v1/contacts?include=everything", "include"),
        ("/v1/contacts?colour=red", "colour"),
        ("/v1/connections/7/sync?colour=red", "colour"),
        ("/v1/conversations?contact_id=7", "contact_id"),
        ("/v1/conversations?state=%00", "state"),
    ] {
        let answer = get(caller, path).await;
        assert_eq!(fields(&answer.body), [field], "{path}: {}", answer.body);
        raised.note(Code::InvalidRequest, &answer).await;
    }
    for (body, field) in [
        ("{", "body"),
        ("[]", "body"),
        ("{} {}", "body"),
        ("{\"name\": 7}", "name"),
        ("{\"name\": \"\\u0000\"}", "name"),
        ("{\"nome\": \"x\"}", "nome"),
        ("{}", "body"),
    ] {
        let answer = caller
            .exchange(Method::POST, "/v1/tenants", Some(body.to_owned()), &[])
            .await;
        assert_eq!(fields(&answer.body), [field], "{body}: {}", answer.body);
        raised.note(Code::InvalidRequest, &answer).await;
    }
    // A list of values is no object, also where an object may be empty.
    for (path, body) in [
        ("/v1/tenants", json!(["Acme"])),
        ("/v1/integrations/intercom/connect", json!([])),
        ("/v1/integrations/intercom/connect", json!(null)),
    ] {
        let answer = post(caller, path, body, &[]).await;
        assert_eq!(fields(&answer.body), ["body"], "{path}: {}", answer.body);
        raised.note(Code::InvalidRequest, &answer).await;
    }
    raised
        .note(
            Code::InvalidCursor,
            &get(caller, "/v1/contacts?cursor=x").await,
        )
        .await;
    let text = [("Content-Type", "text/plain")];
    let answer = post(caller, "/v1/tenants", json!({"name": "x"}), &text).await;
    raised.note(Code::UnsupportedMediaType, &answer).await;
    let large = json!({"name": "x".repeat(300_000)});
    raised
        .note(
            Code::PayloadTooLarge,
            &post(caller, "/v1/tenants", large, &[]).await,
        )
        .await;
}

async fn repeats(raised: &mut Raised, world: &World, caller: &Caller, tenant: TenantId) {
    let (key, body) = (
        [("Idempotency-Key", "k1")],
        json!({"name": "a", "scopes": ["profiles:read"]}),
    );
    post(caller, "/v1/api_keys", body.clone(), &key).await;
    let other = json!({"name": "b", "scopes": ["profiles:read"]});
    let answer = post(caller, "/v1/api_keys", other, &key).await;
    raised.note(Code::IdempotencyKeyReused, &answer).await;
    let blank = [("Idempotency-Key", "a b")];
    let answer = post(caller, "/v1/api_keys", body.clone(), &blank).await;
    assert_eq!(fields(&answer.body), ["Idempotency-Key"]);

    // As another process leaves it while it carries the call out.
    let mut tx = world.store.begin(tenant).await.unwrap();
    let (claimed, sent) = (
        vault::sha256(b"k2"),
        vault::sha256(body.to_string().as_bytes()),
    );
    tx.claim_idempotency_key("POST /v1/api_keys", &claimed, &sent)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let answer = post(caller, "/v1/api_keys", body, &[("Idempotency-Key", "k2")]).await;
    raised.note(Code::IdempotencyInProgress, &answer).await;
}

async fn removal(raised: &mut Raised, world: &World, caller: &Caller) {
    let path = "/v1/sources/crm/records";
    let body = json!({"object": "contact", "records": []});
    post(caller, path, body.clone(), &[]).await;
    world.begin_to_remove_sources().await;
    let answer = post(caller, path, body, &[]).await;
    raised.note(Code::SourceBeingRemoved, &answer).await;
}

/// Last, because nothing works any more after them.
async fn failures(raised: &mut Raised, world: &World, caller: &Caller) {
    let limited = world.otherwise(&[("SERVICE_REQUESTS_PER_MINUTE", "1")]);
    let limited = Caller::service(world, &limited.api().await, None);
    let mut answers = Vec::new();
    for _ in 0..2 {
        answers.push(get(&limited, "/v1/contacts").await);
    }
    raised.note(Code::TenantRequired, &answers[0]).await;
    raised.note(Code::RateLimited, &answers[1]).await;

    world.lose_the_table_of_companies().await;
    raised
        .note(Code::Internal, &get(caller, "/v1/companies").await)
        .await;

    let relay = Relay::start(&format!("127.0.0.1:{}", servers().postgres().port())).unwrap();
    let relayed = caller.at(&world.through(&relay).api().await);
    let path = "/v1/connections";
    assert_eq!(get(&relayed, path).await.status, StatusCode::OK);
    relay.refuse();
    raised
        .note(Code::Unavailable, &get(&relayed, path).await)
        .await;
}
