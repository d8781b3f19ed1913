//! The customer's browser: keeps its cookies and takes each step of connecting.

use reqwest::{
    Client, RequestBuilder, Response, Url,
    header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE},
};

use crate::{api_client, failure::Failure};

/// One browser, as each customer has.
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

    /// Opens a start link, presses its button, lets Intercom connect the workspace with this id, and follows the
    /// redirects back. Returns the address at which the customer ends.
    ///
    /// # Errors
    /// A step does not lead on. The failure names the step and its answer.
    pub async fn connect(&self, start_url: &str, workspace_id: &str) -> Result<String, Failure> {
        let OpenedFlow { cookie, authorize } = self.open(start_url).await?;
        let mut authorize: Url = authorize
            .parse()
            .map_err(|error| Failure::failed("the start page leads to no URL", error))?;
        // A person would press the button of this workspace.
        authorize
            .query_pairs_mut()
            .append_pair("auto_workspace", workspace_id);
        let callback = location("intercom's page", &send(self.http.get(authorize)).await?)?;
        let home = self.http.get(&callback).header(COOKIE, cookie);
        location("the callback", &send(home).await?)
    }

    /// Opens a start link and presses the button of its page.
    ///
    /// # Errors
    /// The link shows no page with a form, or the form leads nowhere.
    pub async fn open(&self, start_url: &str) -> Result<OpenedFlow, Failure> {
        let page = send(self.http.get(start_url)).await?;
        let cookie = cookie(&page).ok_or_else(|| {
            Failure::because(format!(
                "the start link answered {} and set no cookie",
                page.status()
            ))
        })?;
        let mut form: Url = start_url
            .parse()
            .map_err(|error| Failure::failed("the start link is no URL", error))?;
        form.set_query(None);
        let html = page.text().await.map_err(api_client::unreachable)?;
        let pressed = self
            .http
            .post(form)
            .header(COOKIE, &cookie)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(filled_in(&html));
        Ok(OpenedFlow {
            authorize: location("the start page", &send(pressed).await?)?,
            cookie,
        })
    }
}

/// A flow that a browser has opened.
#[derive(Clone, Debug)]
pub struct OpenedFlow {
    /// As the browser sends it: `name=value`.
    pub cookie: String,
    /// The address of Intercom's consent page.
    pub authorize: String,
}

async fn send(call: RequestBuilder) -> Result<Response, Failure> {
    call.send().await.map_err(api_client::unreachable)
}

/// The body that the page's form sends: its hidden fields, whose values need no decoding.
fn filled_in(html: &str) -> String {
    let mut body = url::form_urlencoded::Serializer::new(String::new());
    for input in html.split("<input ").skip(1) {
        if let (Some(name), Some(value)) = (attribute(input, "name"), attribute(input, "value")) {
            body.append_pair(name, value);
        }
    }
    body.finish()
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = tag.split_once(&format!("{name}=\""))?;
    rest.split('"').next()
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
