//! A client of the REST API, which checks the form of every answer.

use reqwest::{Client, Method, StatusCode, header::HeaderMap};
use serde_json::Value;
use shared::domain::TenantId;

use super::World;

/// An answer with its headers.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Null if it is no JSON.
    pub(crate) body: Value,
}

impl Answer {
    /// A header's text. Empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }
}

/// A client of one API with one key.
#[derive(Clone)]
pub(crate) struct Caller {
    http: Client,
    base: String,
    key: String,
    tenant: Option<TenantId>,
}

impl Caller {
    /// The product backend, acting for a tenant.
    pub(crate) fn service(world: &World, base: &str, tenant: Option<TenantId>) -> Self {
        Self {
            http: client(),
            base: base.to_owned(),
            key: world.config.service_key.expose().to_owned(),
            tenant,
        }
    }

    /// The same backend, acting for another tenant.
    pub(crate) fn acting_for(&self, tenant: TenantId) -> Self {
        Self {
            http: self.http.clone(),
            base: self.base.clone(),
            key: self.key.clone(),
            tenant: Some(tenant),
        }
    }

    /// The same backend, at another address.
    pub(crate) fn at(&self, base: &str) -> Self {
        Self {
            http: self.http.clone(),
            base: base.to_owned(),
            key: self.key.clone(),
            tenant: self.tenant,
        }
    }

    /// The tenant that it names.
    pub(crate) fn tenant(&self) -> Option<TenantId> {
        self.tenant
    }

    /// Where the API is.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// A program with a key of its own, which names no tenant.
    pub(crate) fn with_key(&self, key: &str) -> Self {
        Self {
            http: self.http.clone(),
            base: self.base.clone(),
            key: key.to_owned(),
            tenant: None,
        }
    }

    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        self.call_with(method, path, body, &[]).await
    }

    pub(crate) async fn call_with(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> (StatusCode, Value) {
        let body = body.map(|body| body.to_string());
        let answer = self.exchange(method, path, body, headers).await;
        (answer.status, answer.body)
    }

    /// A call whose body may be any text, and whose answer comes with its headers.
    pub(crate) async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut call = self
            .http
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(&self.key);
        if let Some(tenant) = self.tenant {
            call = call.header("Pathbound-Tenant", tenant.to_string());
        }
        if let Some(body) = body {
            call = call.body(body);
            if !headers.iter().any(|(name, _)| *name == "Content-Type") {
                call = call.header("Content-Type", "application/json");
            }
        }
        for (name, value) in headers {
            call = call.header(*name, *value);
        }
        let answer = call.send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        let kind = headers.get("content-type");
        let kind = kind.map(|kind| kind.to_str().unwrap().to_owned());
        let body: Value = answer.json().await.unwrap_or(Value::Null);
        // Every error has one form, whichever test meets it.
        if status.is_client_error() || status.is_server_error() {
            assert_eq!(
                kind.as_deref(),
                Some("application/problem+json"),
                "{path}: {body}"
            );
            for field in ["type", "title", "status", "detail", "code", "instance"] {
                assert!(body.get(field).is_some(), "{path}: no {field} in {body}");
            }
        }
        Answer {
            status,
            headers,
            body,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call(Method::GET, path, None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    /// The bytes of an answer, as a reader without a parser sees them.
    pub(crate) async fn text(&self, path: &str) -> String {
        let mut call = self
            .http
            .get(format!("{}{path}", self.base))
            .bearer_auth(&self.key);
        if let Some(tenant) = self.tenant {
            call = call.header("Pathbound-Tenant", tenant.to_string());
        }
        call.send().await.unwrap().text().await.unwrap()
    }

    /// Every item of a list, page by page.
    pub(crate) async fn all(&self, path: &str) -> Vec<Value> {
        self.all_with(path, "").await
    }

    /// The same for a query that is written like `&state=open`.
    pub(crate) async fn all_with(&self, path: &str, query: &str) -> Vec<Value> {
        self.all_by(7, path, query).await
    }

    /// The same in pages of so many.
    pub(crate) async fn all_by(&self, limit: u32, path: &str, query: &str) -> Vec<Value> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self
                .get(&format!("{path}?limit={limit}{query}{cursor}"))
                .await;
            items.extend(page["items"].as_array().unwrap().iter().cloned());
            let Some(next) = page.get("next_cursor").and_then(Value::as_str) else {
                return items;
            };
            cursor = format!("&cursor={next}");
        }
    }
}

pub(crate) fn client() -> Client {
    Client::builder()
        // A redirect is an answer that tests look at.
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}
