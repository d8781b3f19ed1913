//! The customer's browser: keeps its cookie and takes each step of connecting.

use reqwest::{
    Client, Response, Url,
    header::{COOKIE, LOCATION, SET_COOKIE},
};

use crate::{api_client, failure::Failure};

/// One browser with one cookie, as each customer has.
#[derive(Clone, Debug)]
pub struct Browser {
    http: Client,
}

impl Browser {
    /// # Errors
    /// The HTTP client cannot be made.
    pub fn new() -> Result<Self, Failure> {
        Ok(Self {
            http: api_client::http_client()?,
        })
    }

    /// Opens a start link, lets Intercom connect the workspace with this id, and follows the redirects back.
    /// Returns the address at which the customer ends.
    ///
    /// # Errors
    /// A step does not redirect. The failure names the step and its answer.
    pub async fn connect(&self, start_url: &str, workspace_id: &str) -> Result<String, Failure> {
        let opened = self.open(start_url, None).await?;
        let cookie = cookie(&opened);
        let mut authorize: Url = location("the start link", &opened)?
            .parse()
            .map_err(|error| Failure::failed("the start link leads to no URL", error))?;
        // A person would press the button of this workspace.
        authorize
            .query_pairs_mut()
            .append_pair("auto_workspace", workspace_id);
        let callback = location(
            "intercom's page",
            &self.open(authorize.as_str(), None).await?,
        )?;
        location(
            "the callback",
            &self.open(&callback, cookie.as_deref()).await?,
        )
    }

    async fn open(&self, url: &str, cookie: Option<&str>) -> Result<Response, Failure> {
        let mut call = self.http.get(url);
        if let Some(cookie) = cookie {
            call = call.header(COOKIE, cookie);
        }
        call.send().await.map_err(api_client::unreachable)
    }
}

/// The target of a redirect. Only 303 keeps code and state out of a browser's history.
fn location(step: &str, answer: &Response) -> Result<String, Failure> {
    let target = answer
        .headers()
        .get(LOCATION)
        .and_then(|value| value.to_str().ok());
    match target {
        Some(target) if answer.status() == 303 => Ok(target.to_owned()),
        _ => Err(Failure::because(format!(
            "{step} answered {} and led nowhere",
            answer.status()
        ))),
    }
}

fn cookie(answer: &Response) -> Option<String> {
    let set = answer.headers().get(SET_COOKIE)?.to_str().ok()?;
    set.split(';').next().map(str::to_owned)
}
