//! A small client of the ops listener, with the operator key.

use reqwest::{Client, Method, StatusCode};
use serde_json::Value;
use shared::{config::Config, domain::Secret};

use crate::{failure::Failure, rest};

/// The ops listener of one process.
#[derive(Clone, Debug)]
pub struct Ops {
    http: Client,
    base: String,
    key: Secret,
}

impl Ops {
    /// The listener that the configuration names.
    ///
    /// # Errors
    /// When no operator key is configured, or the listener's port is not known.
    pub fn of(config: &Config) -> Result<Self, Failure> {
        let Some(key) = config.operator_key.clone() else {
            return Err(Failure::Setting(
                "PATHBOUND_OPERATOR_KEY is not set: it says that an operator calls".to_owned(),
            ));
        };
        if config.ops_listen.port() == 0 {
            let what = "PATHBOUND_OPS_LISTEN has port 0, which any port stands for: name the one that was printed";
            return Err(Failure::Setting(what.to_owned()));
        }
        Ok(Self {
            http: rest::http_client()?,
            base: format!("http://{}", config.ops_listen),
            key,
        })
    }

    /// # Errors
    /// When the listener cannot be reached, or answers anything but a success.
    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.send(Method::GET, path, None).await
    }

    /// # Errors
    /// When the listener cannot be reached, or answers anything but a success.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.send(Method::POST, path, Some(body)).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let mut call = self
            .http
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(self.key.expose());
        if let Some(body) = body {
            call = call.json(body);
        }
        let unreachable = |error: reqwest::Error| Failure::Unreachable {
            server: "the ops listener",
            cause: error.without_url().into(),
        };
        let answer = call.send().await.map_err(unreachable)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(unreachable)?;
        let answer = rest::Answer {
            status,
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        };
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(Failure::NotAllowed(answer.detail()))
            }
            StatusCode::NOT_FOUND => Err(Failure::because(
                "there is no such thing here: is the id right?",
            )),
            _ => answer.success(),
        }
    }
}
