//! A client of our own REST API with the service key, for the commands and the demo.

use std::time::Duration;

use reqwest::{Client, Method, StatusCode, redirect::Policy};
use serde_json::Value;
use shared::{
    domain::{Secret, TenantId},
    tls::use_ring,
};

use crate::failure::Failure;

/// Longer than the API lets any request take.
const TIME_LIMIT: Duration = Duration::from_secs(35);

/// The API at one URL. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ApiClient {
    http: Client,
    base: String,
    service_key: Secret,
}

/// The answer to a call. The body is `null` if there is none.
#[derive(Clone, Debug)]
pub struct ApiAnswer {
    pub status: StatusCode,
    pub body: Value,
}

impl ApiClient {
    /// # Errors
    /// If no TLS client can be made.
    pub fn new(base: &str, service_key: &Secret) -> Result<Self, Failure> {
        Ok(Self {
            http: http_client()?,
            base: base.to_owned(),
            service_key: service_key.clone(),
        })
    }

    /// `GET` for a tenant. Any status but success is a failure.
    ///
    /// # Errors
    /// When the API cannot be reached or refuses.
    pub async fn get(&self, tenant: TenantId, path: &str) -> Result<Value, Failure> {
        self.send(Method::GET, Some(tenant), path, None)
            .await?
            .success()
    }

    /// Every item of a tenant's list.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn all(&self, tenant: TenantId, list: &str) -> Result<Vec<Value>, Failure> {
        let (mut all, mut query) = (Vec::new(), String::new());
        loop {
            let page = self
                .get(tenant, &format!("{list}?limit=200{query}"))
                .await?;
            all.extend(page["items"].as_array().into_iter().flatten().cloned());
            match page["next_cursor"].as_str() {
                Some(cursor) => query = format!("&cursor={cursor}"),
                None => return Ok(all),
            }
        }
    }

    /// `POST` for a tenant, or for none. The caller decides what a status other than success means.
    ///
    /// # Errors
    /// When the API cannot be reached or does not accept the key.
    pub async fn post(
        &self,
        tenant: Option<TenantId>,
        path: &str,
        body: &Value,
    ) -> Result<ApiAnswer, Failure> {
        self.send(Method::POST, tenant, path, Some(body)).await
    }

    /// `PUT` for a tenant. The caller decides what a status other than success means.
    ///
    /// # Errors
    /// As [`Self::post`].
    pub async fn put(
        &self,
        tenant: TenantId,
        path: &str,
        body: &Value,
    ) -> Result<ApiAnswer, Failure> {
        self.send(Method::PUT, Some(tenant), path, Some(body)).await
    }

    async fn send(
        &self,
        method: Method,
        tenant: Option<TenantId>,
        path: &str,
        body: Option<&Value>,
    ) -> Result<ApiAnswer, Failure> {
        let mut call = self
            .http
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(self.service_key.expose());
        if let Some(tenant) = tenant {
            call = call.header("Pathbound-Tenant", tenant.to_string());
        }
        if let Some(body) = body {
            call = call.json(body);
        }
        let answer = call.send().await.map_err(unreachable)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(unreachable)?;
        let answer = ApiAnswer {
            status,
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        };
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(Failure::NotAllowed(answer.detail()))
            }
            _ => Ok(answer),
        }
    }
}

impl ApiAnswer {
    /// The body of a success.
    ///
    /// # Errors
    /// For any other status, with the detail that the API gave.
    pub fn success(self) -> Result<Value, Failure> {
        if self.status.is_success() {
            Ok(self.body)
        } else {
            Err(Failure::because(format!(
                "the API refused: {}",
                self.detail()
            )))
        }
    }

    /// The problem's sentence, or the status if there is none. It has no full stop, because it ends a
    /// longer line.
    #[must_use]
    pub fn detail(&self) -> String {
        self.body["detail"].as_str().map_or_else(
            || self.status.to_string(),
            |detail| detail.trim_end_matches('.').to_owned(),
        )
    }
}

/// An HTTP client that follows no redirect by itself.
///
/// # Errors
/// When no TLS client can be made.
pub fn http_client() -> Result<Client, Failure> {
    use_ring();
    let builder = || {
        Client::builder()
            .user_agent(concat!("pathbound-cli/", env!("CARGO_PKG_VERSION")))
            .timeout(TIME_LIMIT)
            .redirect(Policy::none())
            // A proxy of the environment would see the operator's key, and it cannot reach our loopback addresses.
            .no_proxy()
    };
    builder()
        .build()
        // A machine without certificate authorities can still call a listener over plain http.
        .or_else(|_| builder().tls_certs_only([]).build())
        .map_err(|error| Failure::failed("could not make an HTTP client", error))
}

/// The API did not answer.
pub(crate) fn unreachable(error: reqwest::Error) -> Failure {
    Failure::Unreachable {
        server: "the API",
        cause: error.without_url().into(),
    }
}
