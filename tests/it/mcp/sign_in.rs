//! Tokens of an authorization server: what a good one reads, why others are refused, and what the server is asked.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::domain::TenantId;

use super::{ALL, synced_agent};
use crate::support::{
    Agent, Caller, Process, RawAnswer, SignInServer, TokenKey, World, client, encoded, wait_for,
    with_secret,
};

const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

/// A tenant without data, and an API that takes the tokens of a server with one key.
struct Scene {
    world: World,
    server: SignInServer,
    key: TokenKey,
    tenant: TenantId,
    base: String,
}

impl Scene {
    async fn with(variables: &[(&str, &str)]) -> Self {
        let key = TokenKey::ed("first");
        let server = SignInServer::start(&[&key]).await;
        let world = server.of(&World::new().await, variables);
        Self {
            tenant: world.new_tenant().await,
            base: world.api().await,
            world,
            server,
            key,
        }
    }

    fn claims(&self) -> Value {
        self.server.claims(&self.base, self.tenant)
    }

    /// What a list of the tools answers to a token.
    async fn list(&self, token: &str) -> RawAnswer {
        Agent::with_key(&self.base, token).send(LIST, &[]).await
    }
}

fn changed(value: &Value, name: &str, to: Value) -> Value {
    let mut value = value.clone();
    match to {
        Value::Null => value.as_object_mut().unwrap().remove(name),
        to => value.as_object_mut().unwrap().insert(name.to_owned(), to),
    };
    value
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_reads_what_its_tenant_has_and_keys_go_on_working() {
    let (world, case, caller, agent) = synced_agent().await;
    let keys = [TokenKey::rsa("r"), TokenKey::ec("e"), TokenKey::ed("d")];
    let server = SignInServer::start(&[&keys[0], &keys[1], &keys[2]]).await;
    let base = server.of(&world, &[]).api().await;
    let claims = server.claims(&base, case.tenant);
    let contact = caller.get("/v1/contacts?limit=1").await["items"][0].clone();
    let of_contact = json!({"contact_id": contact["id"]});
    let conversation = caller.get("/v1/conversations?limit=1").await["items"][0].clone();
    let of_conversation = json!({"conversation_id": conversation["id"]});
    let by_key = agent.answer("get_contact", of_contact.clone()).await;
    for key in &keys {
        let signed_in = Agent::with_key(&base, &key.token(&claims));
        let answer = signed_in.answer("get_contact", of_contact.clone()).await;
        assert_eq!(answer.text, by_key.text);
        signed_in
            .answer("get_conversation", of_conversation.clone())
            .await;
    }
    // One read has shown all of them.
    assert_eq!(server.reads(), 1);

    let stranger = server.claims(&base, world.new_tenant().await);
    let stranger = Agent::with_key(&base, &keys[0].token(&stranger));
    let refusal = stranger.refusal("get_contact", of_contact.clone()).await;
    assert!(refusal.starts_with("There is no contact"), "{refusal}");

    let narrow = changed(&claims, "scope", json!("profiles:read openid"));
    let narrow = Agent::with_key(&base, &keys[1].token(&narrow));
    narrow.answer("get_contact", of_contact.clone()).await;

    let with_key = Agent::with_key(&base, agent.key());
    let answer = with_key.answer("get_contact", of_contact).await;
    assert_eq!(answer.text, by_key.text);
    let (status, answer) = caller
        .at(&base)
        .call(
            Method::POST,
            "/mcp",
            Some(serde_json::from_str(LIST).unwrap()),
        )
        .await;
    assert_eq!(status, StatusCode::OK, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_taken_as_servers_write_them() {
    let scene = Scene::with(&[("MCP_TENANT_CLAIM", "https://acme.example/tenant")]).await;
    let claims = changed(&scene.claims(), "pathbound_tenant", Value::Null);
    let claims = changed(&claims, "https://acme.example/tenant", json!(scene.tenant));
    let resource = claims["aud"].clone();
    let now = claims["iat"].as_i64().unwrap();
    let without_scope = changed(&claims, "scope", Value::Null);
    for claims in [
        claims.clone(),
        changed(&claims, "aud", json!(["https://login.example", resource])),
        changed(&claims, "scope", json!(["openid", "profiles:read"])),
        changed(&without_scope, "scp", json!(["profiles:read"])),
        changed(&without_scope, "scp", json!("email profiles:read")),
        changed(&claims, "nbf", json!(now)),
        // Within what clocks may differ.
        changed(&claims, "exp", json!(now - 5)),
        changed(&claims, "nbf", json!(now + 5)),
    ] {
        let answer = scene.list(&scene.key.token(&claims)).await;
        assert_eq!(answer.status, StatusCode::OK, "{claims}: {}", answer.body);
    }
    for kind in ["JWT", "jwt", "AT+JWT", "application/at+jwt"] {
        let header = changed(&scene.key.header(), "typ", json!(kind));
        let answer = scene.list(&scene.key.token_with(&header, &claims)).await;
        assert_eq!(answer.status, StatusCode::OK, "{kind}");
    }
    // What is neither a scope of the tools nor a token gives nothing.
    let writes = changed(&claims, "scope", json!("sources:write connections:read"));
    let answer = scene.list(&scene.key.token(&writes)).await;
    assert_eq!(answer.body["code"], "missing_scope");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_a_token_is_refused_and_named() {
    let scene = Scene::with(&[("MCP_JWKS_INTERVAL", "1h")]).await;
    let (key, claims) = (&scene.key, scene.claims());
    let header = key.header();
    let now = claims["iat"].as_i64().unwrap();
    let says = |name: &str, value: Value| key.token(&changed(&claims, name, value));
    let headed = |name: &str, value: Value| key.token_with(&changed(&header, name, value), &claims);
    let good = key.token(&claims);
    let (message, signature) = good.rsplit_once('.').unwrap();
    let secret = key.public()["x"].as_str().unwrap().to_owned();
    let shared_secret = changed(&header, "alg", json!("HS256"));
    let none = changed(&header, "alg", json!("none"));
    let other_message = format!("{}.{}", encoded(&header), encoded(&json!({})));
    let own = TokenKey::ed("first");
    let with_own_key = changed(&header, "jwk", own.public());
    let with_own_key = own.token_with(&with_own_key, &claims);
    let resource = claims["aud"].as_str().unwrap();
    let another = "was issued for another resource";
    for (token, fault) in [
        (
            says("iss", json!("https://evil.example/")),
            "was issued by another server",
        ),
        (
            says("iss", json!([claims["iss"]])),
            "was issued by another server",
        ),
        (says("iss", Value::Null), "was issued by another server"),
        // Its slash belongs to it.
        (
            says("iss", json!(scene.server.issuer().trim_end_matches('/'))),
            "was issued by another server",
        ),
        (says("aud", json!("https://other.example/mcp")), another),
        (says("aud", json!(scene.base)), another),
        (says("aud", json!(format!("{resource}/"))), another),
        (says("aud", json!([])), another),
        (says("aud", Value::Null), another),
        (says("exp", json!(now - 60)), "has expired"),
        (says("exp", Value::Null), "has expired"),
        (says("exp", json!("tomorrow")), "has expired"),
        (says("nbf", json!(now + 60)), "is not valid yet"),
        (says("sub", Value::Null), "names no subject"),
        (says("sub", json!("")), "names no subject"),
        (says("sub", json!("s".repeat(256))), "names no subject"),
        (says("pathbound_tenant", Value::Null), "names no tenant"),
        (says("pathbound_tenant", json!("acme")), "names no tenant"),
        (
            says("pathbound_tenant", json!([scene.tenant])),
            "names no tenant",
        ),
        (
            says("pathbound_tenant", json!(TenantId::new())),
            "names a tenant that does not exist here",
        ),
        (headed("kid", json!("unknown")), "names no key"),
        (headed("kid", json!("")), "names no key"),
        // The key is there, and it signs with another algorithm.
        (headed("alg", json!("ES256")), "names no key"),
        (headed("alg", json!("RS512")), "is not signed with"),
        (headed("typ", json!("dpop+jwt")), "is of another type"),
        (headed("typ", json!("")), "is of another type"),
        (headed("typ", json!("logout+jwt")), "is of another type"),
        (headed("crit", json!(["exp"])), "cannot be read"),
        (
            with_secret(secret.as_bytes(), &shared_secret, &claims),
            "is not signed with",
        ),
        (
            format!("{}.{}.", encoded(&none), encoded(&claims)),
            "is not signed with",
        ),
        (
            format!("{}.{}.{signature}", encoded(&none), encoded(&claims)),
            "is not signed with",
        ),
        (
            TokenKey::ed("first").token(&claims),
            "has a wrong signature",
        ),
        // A key that comes with the token is no key of the server.
        (with_own_key, "has a wrong signature"),
        (format!("{message}."), "has a wrong signature"),
        (
            format!("{other_message}.{signature}"),
            "has a wrong signature",
        ),
        ("eyJ.e.e".to_owned(), "cannot be read"),
        (format!("{good}{}", "e".repeat(16 << 10)), "cannot be read"),
    ] {
        let answer = scene.list(&token).await;
        let got = (answer.status.as_u16(), &answer.body["code"]);
        assert_eq!(got, (401, &json!("unauthorized")), "{fault}: {token}");
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(
            detail.starts_with(&format!("The token {fault}")),
            "{fault}: {detail}"
        );
        let asked = answer.headers["www-authenticate"].to_str().unwrap();
        assert!(asked.contains("error=\"invalid_token\""), "{asked}");
    }
    assert_eq!(scene.list(&good).await.status, StatusCode::OK);
    let answer = Agent::with_key(&scene.base, &good);
    let named = ("Pathbound-Tenant", scene.tenant.to_string());
    let answer = answer.send(LIST, &[(named.0, &named.1)]).await;
    assert_eq!(answer.body["code"], "tenant_not_allowed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_client_is_shown_the_way_to_sign_in() {
    let scene = Scene::with(&[]).await;
    let metadata = format!("{}/.well-known/oauth-protected-resource/mcp", scene.base);
    let scopes = "profiles:read conversations:read";
    let way = format!("scope=\"{scopes}\", resource_metadata=\"{metadata}\"");
    for bearer in ["", "Bearer wrong", "Basic a"] {
        let agent = Agent::with_key(&scene.base, "");
        let answer = agent.send(LIST, &[("Authorization", bearer)]).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{bearer:?}");
        assert_eq!(answer.headers["www-authenticate"], format!("Bearer {way}"));
    }
    let narrow = changed(&scene.claims(), "scope", json!("conversations:read"));
    let answer = scene.list(&scene.key.token(&narrow)).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.body["code"]),
        (403, &json!("missing_scope"))
    );
    assert_eq!(
        answer.headers["www-authenticate"],
        format!(
            "Bearer error=\"insufficient_scope\", scope=\"profiles:read\", resource_metadata=\"{metadata}\""
        )
    );
    // A key cannot get another scope by a sign-in.
    let caller = Caller::service(&scene.world, &scene.base, Some(scene.tenant));
    let unscoped = Agent::new(&caller, &["conversations:read"]).await;
    let answer = unscoped.send(LIST, &[]).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(!answer.headers.contains_key("www-authenticate"));
    let described = json!({
        "resource": format!("{}/mcp", scene.base),
        "resource_name": "Pathbound",
        "authorization_servers": [scene.server.issuer()],
        "scopes_supported": ALL,
        "bearer_methods_supported": ["header"],
    });
    let root = metadata.trim_end_matches("/mcp").to_owned();
    for url in [metadata.clone(), root] {
        let answer = client().get(&url).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "application/json");
        assert_eq!(answer.json::<Value>().await.unwrap(), described);
    }
    // It is no authorization server itself.
    let other = "/.well-known/oauth-authorization-server";
    let answer = client().get(format!("{}{other}", scene.base)).send().await;
    assert_eq!(answer.unwrap().status(), StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_needs_another_scope_asks_for_a_sign_in_with_it() {
    let scene = Scene::with(&[]).await;
    let narrow = changed(&scene.claims(), "scope", json!("profiles:read"));
    let narrow = Agent::with_key(&scene.base, &scene.key.token(&narrow));
    let message = |method: &str, params: Value| {
        json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string()
    };
    let call = |name: &str, arguments: Value| {
        message("tools/call", json!({"name": name, "arguments": arguments}))
    };
    let any = uuid::Uuid::nil();
    let needing = [
        call("get_conversation", json!({"conversation_id": any})),
        call("search_conversations", json!({"query": "refund"})),
        message(
            "resources/read",
            json!({"uri": format!("pathbound://conversations/{any}")}),
        ),
    ];
    let metadata = format!("{}/.well-known/oauth-protected-resource/mcp", scene.base);
    for text in &needing {
        let answer = narrow.send(text, &[]).await;
        let got = (answer.status.as_u16(), &answer.body["code"]);
        assert_eq!(got, (403, &json!("missing_scope")), "{text}");
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.contains("`conversations:read`"), "{detail}");
        assert_eq!(
            answer.headers["www-authenticate"],
            format!(
                "Bearer error=\"insufficient_scope\", scope=\"profiles:read conversations:read\", \
                 resource_metadata=\"{metadata}\""
            )
        );
        // It was counted like any other call.
        assert!(answer.headers.contains_key("ratelimit"), "{text}");
    }
    // What needs no more is answered, with a fault of its arguments as well.
    let answer = narrow
        .send(&call("get_contact", json!({"contact_id": any})), &[])
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(!answer.headers.contains_key("www-authenticate"));
    // A key gets no other scope by a sign-in, so its model reads why.
    let caller = Caller::service(&scene.world, &scene.base, Some(scene.tenant));
    let with_key = Agent::new(&caller, &["profiles:read"]).await;
    for text in &needing[..2] {
        let answer = with_key.send(text, &[]).await;
        assert_eq!(answer.status, StatusCode::OK, "{text}");
        let said = answer.body["result"]["content"][0]["text"].to_string();
        assert!(said.contains("`conversations:read`"), "{said}");
        assert!(!answer.headers.contains_key("www-authenticate"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_may_leave_out_what_there_is_one_of() {
    let scene = Scene::with(&[("MCP_JWKS_INTERVAL", "100ms")]).await;
    let claims = scene.claims();
    let bare = |key: &TokenKey| {
        let header = changed(&key.header(), "kid", Value::Null);
        key.token_with(&changed(&header, "typ", Value::Null), &claims)
    };
    let token = bare(&scene.key);
    let taken = async |token: &str| {
        wait_for("the token is taken", async || {
            let answer = scene.list(token).await;
            (answer.status == StatusCode::OK)
                .then_some(())
                .ok_or_else(|| answer.body.to_string())
        })
        .await;
    };
    taken(&token).await;
    // Keys of other algorithms are in nobody's way, and a key may have no id either.
    let (rsa, ec) = (TokenKey::rsa("r"), TokenKey::ec("e"));
    let mut unnamed = ec.public();
    unnamed.as_object_mut().unwrap().remove("kid");
    let keys = json!({"keys": [scene.key.public(), rsa.public(), unnamed]});
    scene.server.answers(StatusCode::OK, &keys.to_string());
    for key in [&ec, &rsa, &scene.key] {
        taken(&bare(key)).await;
    }
    // A key that replaced it without a new id is found by the signature.
    let next = TokenKey::ed("first");
    scene.server.has_keys(&[&next]);
    taken(&bare(&next)).await;
    let answer = scene.list(&token).await;
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(detail.contains("has a wrong signature"), "{detail}");
    // Of two that fit none is guessed, though each names itself.
    scene.server.has_keys(&[&next, &TokenKey::ed("second")]);
    taken(&next.token(&claims)).await;
    wait_for("the second key is known", async || {
        // Names a key that is not there, so that they are read again.
        scene.list(&TokenKey::ed("unknown").token(&claims)).await;
        let answer = scene.list(&bare(&next)).await;
        let detail = answer.body["detail"].to_string();
        (answer.status == StatusCode::UNAUTHORIZED && detail.contains("not exactly one that fits"))
            .then_some(())
            .ok_or(detail)
    })
    .await;
    // A public key is no shared secret, whatever a token without an id says.
    let secret = next.public()["x"].as_str().unwrap().to_owned();
    let header = json!({"alg": "HS256"});
    let answer = scene
        .list(&with_secret(secret.as_bytes(), &header, &claims))
        .await;
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(detail.contains("is not signed with"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_found_by_the_metadata_of_their_server() {
    for (path, issuer_path) in [
        ("/.well-known/oauth-authorization-server", ""),
        ("/.well-known/openid-configuration", ""),
        ("/.well-known/openid-configuration", "/"),
        (
            "/.well-known/openid-configuration/realms/acme",
            "/realms/acme",
        ),
        (
            "/realms/acme/.well-known/openid-configuration",
            "/realms/acme",
        ),
    ] {
        let key = TokenKey::ed("first");
        let server = SignInServer::start(&[&key]).await;
        let issuer = format!("{}{issuer_path}", server.base());
        server.describes_itself(path, &issuer, &server.jwks_url());
        let world = World::new().await;
        let world = world.otherwise(&[("MCP_ISSUER", &issuer)]);
        let (tenant, base) = (world.new_tenant().await, world.api().await);
        let claims = changed(&server.claims(&base, tenant), "iss", json!(issuer));
        let agent = Agent::with_key(&base, &key.token(&claims));
        let answer = agent.send(LIST, &[]).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        assert_eq!(server.reads(), 1, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_of_another_issuer_names_no_keys() {
    let key = TokenKey::ed("first");
    let server = SignInServer::start(&[&key]).await;
    let path = "/.well-known/openid-configuration";
    server.describes_itself(path, "https://evil.example", &server.jwks_url());
    let world = World::new().await;
    let issuer = server.base().to_owned();
    let world = world.otherwise(&[("MCP_ISSUER", &issuer), ("MCP_JWKS_INTERVAL", "100ms")]);
    let (tenant, base) = (world.new_tenant().await, world.api().await);
    let claims = changed(&server.claims(&base, tenant), "iss", json!(issuer));
    let agent = Agent::with_key(&base, &key.token(&claims));
    let answer = agent.send(LIST, &[]).await;
    let got = (answer.status.as_u16(), &answer.body["code"]);
    assert_eq!(got, (503, &json!("unavailable")));
    assert_eq!(server.reads(), 0);
    // Its own metadata is found later.
    server.describes_itself(path, &issuer, &server.jwks_url());
    wait_for("the token is taken", async || {
        let answer = agent.send(LIST, &[]).await;
        (answer.status == StatusCode::OK)
            .then_some(())
            .ok_or_else(|| answer.body.to_string())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rest_takes_no_token() {
    let scene = Scene::with(&[]).await;
    let token = scene.key.token(&scene.claims());
    assert_eq!(scene.list(&token).await.status, StatusCode::OK);
    let caller = Caller::service(&scene.world, &scene.base, None).with_key(&token);
    for path in [
        "/v1/contacts",
        "/v1/conversations",
        "/v1/api_keys",
        "/v1/changes",
    ] {
        let answer = caller.exchange(Method::GET, path, None, &[]).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    assert_eq!(scene.server.reads(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn new_keys_are_found_and_withdrawn_ones_are_forgotten() {
    let scene = Scene::with(&[("MCP_JWKS_INTERVAL", "100ms")]).await;
    let claims = scene.claims();
    let (first, second) = (&scene.key, TokenKey::ec("second"));
    assert_eq!(
        scene.list(&first.token(&claims)).await.status,
        StatusCode::OK
    );
    scene.server.has_keys(&[&second]);
    wait_for("the new key is taken", async || {
        let answer = scene.list(&second.token(&claims)).await;
        (answer.status == StatusCode::OK)
            .then_some(())
            .ok_or_else(|| answer.body.to_string())
    })
    .await;
    let answer = scene.list(&first.token(&claims)).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_key_is_forgotten_though_no_token_names_another() {
    let scene = Scene::with(&[("MCP_JWKS_INTERVAL", "100ms")]).await;
    let token = scene.key.token(&scene.claims());
    assert_eq!(scene.list(&token).await.status, StatusCode::OK);
    scene.server.has_keys(&[&TokenKey::ed("second")]);
    wait_for("the key is forgotten", async || {
        let answer = scene.list(&token).await;
        (answer.status == StatusCode::UNAUTHORIZED)
            .then_some(())
            .ok_or_else(|| answer.body.to_string())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_makes_no_calls_to_the_server() {
    let scene = Scene::with(&[("MCP_JWKS_INTERVAL", "1h")]).await;
    let claims = scene.claims();
    let garbage = (0..40).map(|n| TokenKey::ed(&format!("unknown-{n}")).token(&claims));
    let garbage: Vec<String> = garbage.collect();
    let answers = futures::future::join_all(garbage.iter().map(|token| scene.list(token))).await;
    for answer in answers {
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(scene.server.reads(), 1);
    // What has a fault before its key is looked for makes none at all.
    let other = Scene::with(&[]).await;
    let header = changed(&other.key.header(), "typ", json!("dpop+jwt"));
    let token = other.key.token_with(&header, &other.claims());
    assert_eq!(other.list(&token).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(other.server.reads(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn known_keys_outlive_an_outage_of_their_server() {
    let scene = Scene::with(&[("MCP_JWKS_INTERVAL", "100ms")]).await;
    let token = scene.key.token(&scene.claims());
    let unknown = TokenKey::ed("unknown").token(&scene.claims());
    let keys = json!({"keys": [scene.key.public()]}).to_string();
    // No token can be judged before the keys were read once.
    let too_large = format!("{keys}{}", " ".repeat(256 << 10));
    for (status, body) in [
        (StatusCode::INTERNAL_SERVER_ERROR, keys.as_str()),
        (StatusCode::FOUND, &keys),
        (StatusCode::OK, "<html>"),
        (StatusCode::OK, r#"{"keys":[]}"#),
        (StatusCode::OK, &too_large),
    ] {
        scene.server.answers(status, body);
        let before = scene.server.reads();
        wait_for("the keys are asked for", async || {
            let answer = scene.list(&token).await;
            let got = (answer.status.as_u16(), &answer.body["code"]);
            assert_eq!(got, (503, &json!("unavailable")), "{status}");
            (scene.server.reads() > before)
                .then_some(())
                .ok_or_else(String::new)
        })
        .await;
    }
    scene.server.answers(StatusCode::OK, &keys);
    wait_for("the token is taken", async || {
        let answer = scene.list(&token).await;
        (answer.status == StatusCode::OK)
            .then_some(())
            .ok_or_else(|| answer.body.to_string())
    })
    .await;
    scene.server.answers(StatusCode::INTERNAL_SERVER_ERROR, "");
    let before = scene.server.reads();
    wait_for("the server is asked and fails", async || {
        let answer = scene.list(&unknown).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        (scene.server.reads() > before)
            .then_some(())
            .ok_or_else(String::new)
    })
    .await;
    assert_eq!(scene.list(&token).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_person_has_a_limit_of_their_own_in_each_tenant() {
    let scene = Scene::with(&[("KEY_REQUESTS_PER_MINUTE", "2")]).await;
    let claims = scene.claims();
    let token = scene.key.token(&claims);
    let first = scene.list(&token).await;
    assert_eq!(first.headers["ratelimit-policy"], "\"subject\";q=2;w=60");
    assert_eq!(first.headers["ratelimit"], "\"subject\";r=1;t=30");
    // A new token of the same person has no new limit.
    let later = changed(&claims, "jti", json!("another"));
    assert_eq!(
        scene.list(&scene.key.token(&later)).await.status,
        StatusCode::OK
    );
    let refused = scene.list(&token).await;
    assert_eq!(
        (refused.status.as_u16(), &refused.body["code"]),
        (429, &json!("rate_limited"))
    );
    let other_tenant = json!(scene.world.new_tenant().await);
    for (name, value) in [
        ("sub", json!("person-2")),
        ("pathbound_tenant", other_tenant),
    ] {
        let token = scene.key.token(&changed(&claims, name, value));
        assert_eq!(scene.list(&token).await.status, StatusCode::OK, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_token_is_logged() {
    let key = TokenKey::ed("first");
    let server = SignInServer::start(&[&key]).await;
    let world = server.of(&World::new().await, &[]);
    let tenant = world.new_tenant().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let variables = [
        ("PATHBOUND_LOG", "trace,hyper=trace,rustls=trace"),
        ("PATHBOUND_LISTEN", &address),
    ];
    let (process, ops) = world.listening_with("api", &variables);
    Process::until_ready(&ops).await;
    let claims = server.claims(&world.config.public_url, tenant);
    let claims = changed(&claims, "sub", json!("canary-subject"));
    let expired = changed(&claims, "exp", json!(1));
    let tokens = [
        key.token(&claims),
        key.token(&expired),
        TokenKey::ed("x").token(&claims),
    ];
    for (token, status) in tokens.iter().zip([200, 401, 401]) {
        let agent = Agent::with_key(&format!("http://{address}"), token);
        let answer = agent.send(LIST, &[]).await;
        assert_eq!(answer.status, status, "{}", answer.body);
    }
    wait_for("both refusals are logged", async || {
        let written = process.written();
        let count = written.matches("a token was refused").count();
        (count == 2).then_some(()).ok_or(written)
    })
    .await;
    let written = process.written();
    assert!(
        written.contains("TRACE") || written.contains("DEBUG"),
        "it logs"
    );
    let parts = tokens.iter().flat_map(|token| token.split('.').skip(1));
    let printed: Vec<&str> = parts
        .chain(["canary-subject"])
        .filter(|part| written.contains(part))
        .collect();
    assert_eq!(printed, [""; 0]);
}
