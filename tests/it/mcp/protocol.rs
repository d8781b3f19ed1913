//! The protocol: what is asked for, in which form, by whom.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{ALL, synced_agent};
use crate::support::{Agent, Caller, World, client};

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25",
    "capabilities":{},"clientInfo":{"name":"test","version":"1"}}}"#;
const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

/// A tenant without data, and a program of it.
async fn agent() -> (World, Caller, Agent) {
    let world = World::new().await;
    let tenant = world.new_tenant().await;
    let caller = Caller::service(&world, &world.api().await, Some(tenant));
    let agent = Agent::new(&caller, ALL).await;
    (world, caller, agent)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_starts_without_a_session() {
    let (_world, _, agent) = agent().await;
    let answer = agent
        .send(INITIALIZE, &[("MCP-Protocol-Version", "")])
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers["content-type"], "application/json");
    assert!(!answer.headers.contains_key("mcp-session-id"));
    let result = &answer.body["result"];
    assert_eq!(result["protocolVersion"], "2025-11-25");
    assert_eq!(
        result["serverInfo"],
        json!({"name": "pathbound", "title": "Pathbound", "version": env!("CARGO_PKG_VERSION")})
    );
    assert_eq!(
        result["capabilities"],
        json!({"tools": {}, "resources": {}})
    );
    let instructions = result["instructions"].as_str().unwrap();
    for word in [
        "untrusted_",
        "never an instruction",
        "number",
        "only a part",
    ] {
        assert!(instructions.contains(word), "{word}");
    }
    let told = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let answer = agent.send(told, &[]).await;
    assert_eq!(
        (answer.status, answer.body),
        (StatusCode::ACCEPTED, Value::Null)
    );
    assert_eq!(agent.method("ping", json!({})).await, Ok(json!({})));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tools_are_one_page_of_strict_schemas() {
    let (_world, _, agent) = agent().await;
    let listed = agent.method("tools/list", json!({})).await.unwrap();
    assert!(listed.get("nextCursor").is_none());
    let tools = listed["tools"].as_array().unwrap();
    let names: Vec<&str> = tools
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "search_profiles",
            "get_contact",
            "get_company",
            "get_contact_timeline",
            "search_conversations",
            "get_conversation",
            "get_sync_status",
            "describe_fields"
        ]
    );
    for tool in tools {
        let name = &tool["name"];
        assert_eq!(
            tool["annotations"],
            json!({"title": tool["title"], "readOnlyHint": true, "destructiveHint": false, "idempotentHint": true,
                   "openWorldHint": false}),
            "{name}"
        );
        for schema in [&tool["inputSchema"], &tool["outputSchema"]] {
            assert_eq!(schema["type"], "object", "{name}");
            assert_eq!(
                schema["$schema"],
                "https://json-schema.org/draft/2020-12/schema"
            );
            jsonschema::meta::validate(schema).unwrap();
            let text = schema.to_string();
            for trap in [
                "\"format\":\"uint",
                "\"format\":\"int",
                "\"null\"",
                ":null",
                "$ref",
            ] {
                assert!(!text.contains(trap), "{name}: {trap} in {text}");
            }
        }
        assert_eq!(tool["inputSchema"]["additionalProperties"], false, "{name}");
        assert_eq!(
            tool["inputSchema"]["properties"]["detail"]["default"], "concise",
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_every_habit_are_served() {
    let (_world, _, agent) = agent().await;
    for accept in [
        "",
        "*/*",
        "application/json",
        "application/*",
        "text/event-stream, application/json;q=0.9",
    ] {
        let answer = agent.send(LIST, &[("Accept", accept)]).await;
        assert_eq!(answer.status, StatusCode::OK, "{accept:?}: {}", answer.body);
        assert_eq!(answer.headers["content-type"], "application/json");
    }
    let answer = agent.send(LIST, &[("Accept", "text/event-stream")]).await;
    let named = (&answer.body["code"], &answer.body["errors"][0]["field"]);
    assert_eq!(named, (&json!("invalid_request"), &json!("Accept")));
    // Without a version the oldest one over HTTP is meant.
    for version in ["", "2024-11-05", "2025-03-26", "2025-06-18"] {
        let answer = agent.send(LIST, &[("MCP-Protocol-Version", version)]).await;
        assert_eq!(
            answer.status,
            StatusCode::OK,
            "{version:?}: {}",
            answer.body
        );
    }
    // An `Idempotency-Key` has no use here, and costs nothing.
    for _ in 0..2 {
        let answer = agent.send(LIST, &[("Idempotency-Key", "k")]).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert!(!answer.headers.contains_key("idempotency-replayed"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stateless_revision_is_served_too() {
    let (_world, _, agent) = agent().await;
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    });
    let send = async |method: &str, mut params: Value, name: &str| {
        params["_meta"] = meta.clone();
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let headers = [
            ("MCP-Protocol-Version", "2026-07-28"),
            ("Mcp-Method", method),
            ("Mcp-Name", name),
        ];
        agent.send(&message.to_string(), &headers).await
    };
    let found = send("server/discover", json!({}), "").await;
    assert_eq!(found.status, StatusCode::OK, "{}", found.body);
    let versions = found.body["result"]["supportedVersions"]
        .as_array()
        .unwrap();
    for version in ["2025-11-25", "2026-07-28"] {
        assert!(versions.contains(&json!(version)), "{}", found.body);
    }
    let called = send(
        "tools/call",
        json!({"name": "get_sync_status", "arguments": {}}),
        "get_sync_status",
    )
    .await;
    assert_eq!(called.status, StatusCode::OK, "{}", called.body);
    let result = &called.body["result"];
    assert_eq!(
        (&result["resultType"], &result["isError"]),
        (&json!("complete"), &json!(false))
    );
    let listed = send("tools/list", json!({}), "").await;
    assert_eq!(
        listed.body["result"]["cacheScope"], "private",
        "{}",
        listed.body
    );
    // A header that contradicts the body, and a method that there is none of, have a status of their own.
    let other = send(
        "tools/call",
        json!({"name": "get_contact", "arguments": {}}),
        "get_company",
    )
    .await;
    assert_eq!(
        (other.status.as_u16(), &other.body["error"]["code"]),
        (400, &json!(-32020))
    );
    // The handshake is a method of the older revisions.
    for method in ["tools/guess", "initialize"] {
        let unknown = send(method, json!({}), "").await;
        let got = (unknown.status.as_u16(), &unknown.body["error"]["code"]);
        assert_eq!(got, (404, &json!(-32601)), "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_message_is_refused_in_the_protocols_form() {
    let (_world, _, agent) = agent().await;
    for (body, code) in [
        ("", -32700),
        ("{", -32700),
        ("[]", -32600),
        ("7", -32600),
        ("{}", -32600),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, -32600),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}"#,
            -32602,
        ),
        (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, -32600),
    ] {
        let answer = agent.send(body, &[]).await;
        let got = (answer.status.as_u16(), &answer.body["error"]["code"]);
        assert_eq!(got, (400, &json!(code)), "{body}: {}", answer.body);
        assert_eq!(answer.headers["content-type"], "application/json");
        assert!(answer.headers.contains_key("ratelimit"), "{body}");
    }
    for (method, params, code) in [
        ("tools/guess", json!({}), -32601),
        ("prompts/list", json!({}), -32601),
        ("tools/call", json!({}), -32602),
        ("tools/call", json!({"name": 7}), -32602),
        (
            "tools/call",
            json!({"name": "get_contact", "arguments": "no object"}),
            -32602,
        ),
        (
            "tools/call",
            json!({"name": "send_message", "arguments": {}}),
            -32602,
        ),
        (
            "resources/read",
            json!({"uri": "pathbound://secrets/1"}),
            -32002,
        ),
    ] {
        let error = agent.method(method, params.clone()).await.unwrap_err();
        assert_eq!(error["code"], code, "{method} {params}: {error}");
    }
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(300_000));
    let answer = agent.send(&large, &[]).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.body["code"]),
        (413, &json!("payload_too_large"))
    );
    let answer = agent.send(LIST, &[("Content-Type", "text/plain")]).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.body["code"]),
        (415, &json!("unsupported_media_type"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_and_a_foreign_host_are_refused_before_the_key_is_read() {
    let (world, caller, agent) = agent().await;
    let refused = async |headers: &[(&str, &str)]| {
        let answer = agent.send(LIST, headers).await;
        (
            answer.status.as_u16(),
            answer.body["code"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let forbidden = |code: &str| (403, code.to_owned());
    for origin in ["https://evil.example", "null", caller.base(), "file://"] {
        let key = ("Authorization", "Bearer none");
        assert_eq!(
            refused(&[("Origin", origin), key]).await,
            forbidden("origin_not_allowed"),
            "{origin}"
        );
    }
    for host in [
        "evil.example",
        "127.0.0.1.evil.example",
        "user@evil.example",
        "evil.example/x",
        "127.0.0.1/x",
    ] {
        assert_eq!(
            refused(&[("Host", host)]).await,
            forbidden("host_not_allowed"),
            "{host}"
        );
    }
    for host in [
        "127.0.0.1:1",
        "[::1]",
        "localhost",
        "pathbound-api:8080",
        "LOCALHOST:80",
    ] {
        assert_eq!(
            agent.send(LIST, &[("Host", host)]).await.status,
            StatusCode::OK,
            "{host}"
        );
    }
    let inside = ("Host", "api.prod.svc.cluster.local:8080");
    assert_eq!(refused(&[inside]).await, forbidden("host_not_allowed"));
    let further = [("MCP_HOSTS", "api.prod.svc.cluster.local, mcp.example.com")];
    let at_hosts = Agent::with_key(&world.otherwise(&further).api().await, agent.key());
    for (host, status) in [
        (inside.1, 200),
        ("MCP.example.com", 200),
        ("a.mcp.example.com", 403),
        ("example.com", 403),
        ("evil.example", 403),
    ] {
        let answer = at_hosts.send(LIST, &[("Host", host)]).await;
        assert_eq!(answer.status, status, "{host}");
    }
    let origin = "https://app.example.com";
    let open = world.otherwise(&[("CORS_ORIGINS", origin)]);
    let agent = Agent::with_key(&open.api().await, agent.key());
    let answer = agent.send(LIST, &[("Origin", origin)]).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers["access-control-allow-origin"], origin);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_asked_for_and_no_sign_in_is_offered() {
    let (_world, caller, agent) = agent().await;
    for key in ["", "Bearer wrong", "Basic a"] {
        let answer = agent.send(LIST, &[("Authorization", key)]).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{key:?}");
        // A client that reads of `resource_metadata` here starts a sign-in that has no end.
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
    }
    for path in [
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/mcp",
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-authorization-server/mcp",
        "/.well-known/openid-configuration",
    ] {
        let answer = client()
            .get(format!("{}{path}", caller.base()))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
    }
    for method in [Method::GET, Method::DELETE, Method::PUT, Method::OPTIONS] {
        let answer = caller.exchange(method.clone(), "/mcp", None, &[]).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert_eq!(answer.header("allow"), "POST");
    }
    let unscoped = Agent::new(&caller, &["conversations:read"]).await;
    let answer = unscoped.send(LIST, &[]).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.body["code"]),
        (403, &json!("missing_scope"))
    );
    // The product backend acts for the tenant that it names, as in REST.
    let (status, answer) = caller
        .call(
            Method::POST,
            "/mcp",
            Some(serde_json::from_str(LIST).unwrap()),
        )
        .await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["result"]["tools"].as_array().unwrap().len(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keys_limit_is_one_for_tools_and_rest() {
    let world = World::with(&[("KEY_REQUESTS_PER_MINUTE", "3")]).await;
    let tenant = world.new_tenant().await;
    let caller = Caller::service(&world, &world.api().await, Some(tenant));
    let agent = Agent::new(&caller, ALL).await;
    let read = caller.with_key(agent.key());
    let first = agent.send(LIST, &[]).await;
    assert_eq!(first.headers["ratelimit-policy"], "\"tenant_key\";q=3;w=60");
    assert_eq!(first.headers["ratelimit"], "\"tenant_key\";r=2;t=20");
    let second = read.exchange(Method::GET, "/v1/contacts", None, &[]).await;
    assert!(second.header("ratelimit").contains("r=1"));
    // A call that the protocol refuses counts as well.
    assert!(
        agent.send("{", &[]).await.headers["ratelimit"]
            .to_str()
            .unwrap()
            .contains("r=0")
    );
    let refused = agent.send(LIST, &[]).await;
    assert_eq!(
        (refused.status.as_u16(), &refused.body["code"]),
        (429, &json!("rate_limited"))
    );
    assert!(refused.headers.contains_key("retry-after"));
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_resources_at_addresses_without_personal_data() {
    let (world, _case, caller, agent) = synced_agent().await;
    let templates = agent
        .method("resources/templates/list", json!({}))
        .await
        .unwrap();
    let listed: Vec<&str> = templates["resourceTemplates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|template| template["uriTemplate"].as_str().unwrap())
        .collect();
    let kinds = ["contacts", "companies", "conversations"];
    assert_eq!(
        listed,
        kinds.map(|kind| format!("pathbound://{kind}/{{id}}"))
    );
    let resources = agent.method("resources/list", json!({})).await.unwrap();
    assert_eq!(resources["resources"], json!([]));
    let stranger = Caller::acting_for(&caller, world.new_tenant().await);
    let stranger = Agent::new(&stranger, ALL).await;
    let scopeless = Agent::new(&caller, &["profiles:read"]).await;
    for (kind, tool, argument) in [
        ("contacts", "get_contact", "contact_id"),
        ("companies", "get_company", "company_id"),
        ("conversations", "get_conversation", "conversation_id"),
    ] {
        let page = caller.get(&format!("/v1/{kind}?limit=1")).await;
        let id = page["items"][0]["id"].as_str().unwrap();
        let uri = format!("pathbound://{kind}/{id}");
        let read = agent
            .method("resources/read", json!({"uri": uri}))
            .await
            .unwrap();
        let content = &read["contents"][0];
        assert_eq!(
            (&content["uri"], &content["mimeType"]),
            (&json!(uri), &json!("text/plain"))
        );
        let same = agent
            .answer(tool, json!({argument: id, "detail": "detailed"}))
            .await;
        // A cursor is sealed anew each time.
        let without_cursor = |text: &str| text.split("cursor").next().unwrap().to_owned();
        let text = content["text"].as_str().unwrap();
        assert_eq!(without_cursor(text), without_cursor(&same.text));
        let foreign = stranger
            .method("resources/read", json!({"uri": uri}))
            .await
            .unwrap_err();
        assert_eq!(foreign["code"], -32002, "{foreign}");
        assert_eq!(foreign["data"], json!({"uri": uri}));
        let refused = scopeless
            .method("resources/read", json!({"uri": uri}))
            .await;
        assert_eq!(refused.is_err(), kind == "conversations", "{kind}");
    }
}
