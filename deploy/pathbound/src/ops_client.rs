//! A client of the ops listener with the operator key. Answers are the types of [`api::ops::views`].

use api::ops::origin::OPERATOR_HEADER;
use reqwest::{Client, Method, StatusCode};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use shared::{
    config::Config,
    domain::{OperatorName, Secret},
};

use crate::{api_client, failure::Failure};

/// The ops listener of one process.
#[derive(Clone, Debug)]
pub struct OpsClient {
    http: Client,
    base: String,
    key: Secret,
    /// The operator's name, if it has one.
    operator: Option<OperatorName>,
}

impl OpsClient {
    /// The listener that the configuration names.
    ///
    /// # Errors
    /// If no operator key is configured, or the listener's port is not known.
    pub fn of(config: &Config) -> Result<Self, Failure> {
        // A viewer has its own key only.
        let key = config.operator_key.as_ref().or(config.viewer_key.as_ref());
        let Some(key) = key.cloned() else {
            return Err(Failure::Setting(
                "PATHBOUND_OPERATOR_KEY is not set, but the ops listener needs it".to_owned(),
            ));
        };
        if config.ops_listen.port() == 0 {
            let what = "PATHBOUND_OPS_LISTEN has port 0, so give the port that the process printed at its start";
            return Err(Failure::Setting(what.to_owned()));
        }
        Ok(Self {
            http: api_client::http_client()?,
            base: format!("http://{}", config.ops_listen),
            key,
            operator: config.operator_name.clone().or_else(login_name),
        })
    }

    /// Where the listener is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.base
    }

    /// # Errors
    /// If the listener cannot be reached, or answers with any status but success.
    pub async fn get<View: DeserializeOwned>(&self, path: &str) -> Result<View, Failure> {
        self.send(Method::GET, path, None::<&()>).await
    }

    /// # Errors
    /// If the listener cannot be reached, or answers with any status but success.
    pub async fn post<View: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<View, Failure> {
        self.send(Method::POST, path, Some(body)).await
    }

    async fn send<View: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<View, Failure> {
        let mut call = self
            .http
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(self.key.expose());
        if let Some(operator) = &self.operator {
            call = call.header(OPERATOR_HEADER, operator.as_str().as_bytes());
        }
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
        let answer = api_client::ApiAnswer {
            status,
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        };
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(Failure::NotAllowed(answer.detail()))
            }
            StatusCode::NOT_FOUND => Err(Failure::because(
                "the ops listener knows no such id, so check it",
            )),
            _ => serde_json::from_value(answer.success()?).map_err(|error| {
                Failure::failed("the ops listener is of another version of pathbound", error)
            }),
        }
    }
}

/// The name that the machine knows its user by. `None` if there is none, as in a container.
fn login_name() -> Option<OperatorName> {
    ["USER", "LOGNAME", "USERNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok()?.parse().ok())
}
