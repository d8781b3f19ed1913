//! A client of the tools, which checks each answer against the tool's own schema.

use std::collections::HashMap;

use reqwest::{Client, Method, StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::{Caller, client};

/// The revision that most clients speak.
const VERSION: &str = "2025-11-25";

/// What a tool has answered.
#[derive(Clone, Debug)]
pub(crate) struct ToolAnswer {
    pub(crate) text: String,
    /// Null for an error.
    pub(crate) structured: Value,
    pub(crate) is_error: bool,
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct RawAnswer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Null if it is no JSON.
    pub(crate) body: Value,
}

/// A program with a key that calls the tools.
pub(crate) struct Agent {
    http: Client,
    base: String,
    key: String,
    /// The schema of each tool's answer.
    schemas: OnceCell<HashMap<String, Value>>,
}

impl Agent {
    /// A program with a new key of the tenant that the caller acts for.
    pub(crate) async fn new(service: &Caller, scopes: &[&str]) -> Self {
        let made = json!({"name": "agent", "scopes": scopes});
        let (status, made) = service.call(Method::POST, "/v1/api_keys", Some(made)).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        Self::with_key(service.base(), made["key"].as_str().unwrap())
    }

    /// A program with this key.
    pub(crate) fn with_key(base: &str, key: &str) -> Self {
        Self {
            http: client(),
            base: base.to_owned(),
            key: key.to_owned(),
            schemas: OnceCell::new(),
        }
    }

    /// The key.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Sends a body as a client of the main revision does, but for these headers. An empty one is left out.
    pub(crate) async fn send(&self, body: &str, headers: &[(&str, &str)]) -> RawAnswer {
        let bearer = format!("Bearer {}", self.key);
        let mut all = vec![
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
            ("Accept", "application/json, text/event-stream"),
            ("MCP-Protocol-Version", VERSION),
        ];
        for (name, value) in headers {
            all.retain(|(known, _)| known != name);
            all.push((name, value));
        }
        let mut call = self.http.post(format!("{}/mcp", self.base));
        for (name, value) in all {
            if !value.is_empty() {
                call = call.header(name, value);
            }
        }
        let answer = call.body(body.to_owned()).send().await.unwrap();
        RawAnswer {
            status: answer.status(),
            headers: answer.headers().clone(),
            body: answer.json().await.unwrap_or(Value::Null),
        }
    }

    /// The result or the error of a method.
    pub(crate) async fn method(&self, method: &str, params: Value) -> Result<Value, Value> {
        let message = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
        let answer = self.send(&message.to_string(), &[]).await;
        assert_eq!(answer.status, StatusCode::OK, "{method}: {}", answer.body);
        assert_eq!(
            (&answer.body["jsonrpc"], &answer.body["id"]),
            (&json!("2.0"), &json!(7))
        );
        match answer.body.get("result") {
            Some(result) => Ok(result.clone()),
            None => Err(answer.body["error"].clone()),
        }
    }

    /// Calls a tool. Its answer has the shape that the list promises, and an error has a text alone.
    pub(crate) async fn tool(&self, name: &str, arguments: Value) -> ToolAnswer {
        let params = json!({"name": name, "arguments": arguments});
        let result = self.method("tools/call", params).await.unwrap();
        let [content] = result["content"].as_array().unwrap().as_slice() else {
            panic!("{name}: one text and no more: {result}");
        };
        let answer = ToolAnswer {
            text: content["text"].as_str().unwrap().to_owned(),
            structured: result["structuredContent"].clone(),
            is_error: result["isError"].as_bool().unwrap(),
        };
        if answer.is_error {
            assert!(
                result.get("structuredContent").is_none(),
                "{name}: {result}"
            );
            return answer;
        }
        let schema = &self.schemas().await[name];
        let schema = jsonschema::options()
            .should_validate_formats(true)
            .build(schema)
            .unwrap();
        let faults: Vec<String> = schema
            .iter_errors(&answer.structured)
            .map(|fault| format!("{}: {fault}", fault.instance_path()))
            .collect();
        assert!(faults.is_empty(), "{name}: {faults:#?}");
        answer
    }

    /// The answer of a call that must have one.
    pub(crate) async fn answer(&self, name: &str, arguments: Value) -> ToolAnswer {
        let answer = self.tool(name, arguments.clone()).await;
        assert!(!answer.is_error, "{name} {arguments}: {}", answer.text);
        answer
    }

    /// The sentence of a call that must have none.
    pub(crate) async fn refusal(&self, name: &str, arguments: Value) -> String {
        let answer = self.tool(name, arguments.clone()).await;
        assert!(answer.is_error, "{name} {arguments}: {}", answer.text);
        answer.text
    }

    /// Every page of an answer: each `next` is called exactly as it says.
    pub(crate) async fn pages(&self, name: &str, arguments: Value) -> Vec<ToolAnswer> {
        let mut pages = vec![self.answer(name, arguments).await];
        while let Some(next) = pages.last().unwrap().structured.get("next").cloned() {
            assert!(pages.len() < 1_000, "the pages of {name} do not end");
            let tool = next["tool"].as_str().unwrap();
            pages.push(self.answer(tool, next["arguments"].clone()).await);
        }
        pages
    }

    async fn schemas(&self) -> &HashMap<String, Value> {
        let list = async || {
            let listed = self.method("tools/list", json!({})).await.unwrap();
            let tools = listed["tools"].as_array().unwrap().iter();
            tools
                .map(|tool| {
                    let name = tool["name"].as_str().unwrap().to_owned();
                    (name, tool["outputSchema"].clone())
                })
                .collect()
        };
        self.schemas.get_or_init(list).await
    }
}
