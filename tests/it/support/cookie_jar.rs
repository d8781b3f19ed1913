//! A browser without script: it keeps cookies, and sends what a page's forms have.

use std::collections::BTreeMap;

use reqwest::{
    Client, Method, RequestBuilder, Response, StatusCode, Url,
    header::{CONTENT_TYPE, COOKIE, HeaderMap, SET_COOKIE},
};

use super::client;

/// An answer for a browser.
#[derive(Debug)]
pub(crate) struct HtmlAnswer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) html: String,
}

/// A form of a page, filled in as the page has it.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    pub(crate) action: String,
    pub(crate) fields: BTreeMap<String, String>,
}

/// One browser, at one server.
#[derive(Clone, Debug)]
pub(crate) struct CookieJar {
    http: Client,
    base: String,
    /// What it sends as `Origin` with a form.
    origin: Option<String>,
    cookies: BTreeMap<String, String>,
}

impl HtmlAnswer {
    /// A header's text. Empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    /// What happened, for programs.
    pub(crate) fn code(&self) -> &str {
        let (_, rest) = self.html.split_once("data-code=\"").unwrap_or_default();
        rest.split('"').next().unwrap()
    }

    /// The first form that leads to a path which ends so.
    pub(crate) fn form(&self, end: &str) -> Form {
        let forms = self.html.split("<form ").skip(1);
        let form = forms
            .map(|form| form.split("</form>").next().unwrap())
            .find(|form| attribute(form, "action").is_some_and(|action| action.ends_with(end)))
            .unwrap_or_else(|| panic!("no form leads to {end}: {}", self.html));
        let fields = form.split("<input ").skip(1).filter_map(|input| {
            let is_hidden = input.contains("type=\"hidden\"");
            let (name, value) = (attribute(input, "name")?, attribute(input, "value")?);
            is_hidden.then(|| (name.to_owned(), value.to_owned()))
        });
        Form {
            action: attribute(form, "action").unwrap().to_owned(),
            fields: fields.collect(),
        }
    }

    /// Its text without tags, with single blanks.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for piece in self.html.split('<') {
            let (_, piece) = piece.split_once('>').unwrap_or(("", piece));
            text += piece;
            text.push(' ');
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        words.join(" ")
    }
}

impl Form {
    /// A form that no page has shown.
    pub(crate) fn to(action: &str) -> Self {
        Self {
            action: action.to_owned(),
            fields: BTreeMap::new(),
        }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.insert(name.to_owned(), value.to_owned());
        self
    }

    fn body(&self) -> String {
        // A query is written as a form is.
        let mut url = Url::parse("http://form").unwrap();
        url.query_pairs_mut().extend_pairs(&self.fields);
        url.query().unwrap_or_default().to_owned()
    }
}

impl CookieJar {
    /// A browser that has no cookies yet.
    pub(crate) fn new(base: &str) -> Self {
        Self {
            http: client(),
            base: base.to_owned(),
            origin: Some(base.to_owned()),
            cookies: BTreeMap::new(),
        }
    }

    /// Where the server is.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// The same browser at another replica behind the same address.
    pub(crate) fn at(&self, base: &str) -> Self {
        Self {
            base: base.to_owned(),
            ..self.clone()
        }
    }

    /// The value of a cookie that it has.
    pub(crate) fn value(&self, cookie: &str) -> &str {
        &self.cookies[cookie]
    }

    /// The same browser with a cookie that no server has set.
    pub(crate) fn with_cookie(mut self, cookie: &str, value: &str) -> Self {
        self.cookies.insert(cookie.to_owned(), value.to_owned());
        self
    }

    /// The same browser, which sends this origin with its forms.
    pub(crate) fn sending_origin(&self, origin: Option<&str>) -> Self {
        Self {
            origin: origin.map(str::to_owned),
            ..self.clone()
        }
    }

    pub(crate) fn cookies(&self) -> Vec<&str> {
        self.cookies.keys().map(String::as_str).collect()
    }

    pub(crate) async fn get(&mut self, path: &str) -> HtmlAnswer {
        self.exchange(Method::GET, path, None, &[]).await
    }

    /// Asks for a path in this form.
    pub(crate) async fn get_accepting(&mut self, path: &str, accept: &str) -> HtmlAnswer {
        self.exchange(Method::GET, path, None, &[("Accept", accept)])
            .await
    }

    /// Asks for a path unless it is as it was.
    pub(crate) async fn get_if_changed(&mut self, path: &str, etag: &str) -> HtmlAnswer {
        self.exchange(Method::GET, path, None, &[("If-None-Match", etag)])
            .await
    }

    /// Presses the button of a form.
    pub(crate) async fn press(&mut self, form: &Form) -> HtmlAnswer {
        self.exchange(Method::POST, &form.action, Some(form.body()), &[])
            .await
    }

    /// Follows the redirect of an answer, if it leads to this server.
    pub(crate) async fn follow(&mut self, answer: &HtmlAnswer) -> HtmlAnswer {
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.html);
        let target = answer.header("location").to_owned();
        self.get(&target).await
    }

    /// Follows the redirect of an answer, and asks for a page there.
    pub(crate) async fn follow_to_page(&mut self, answer: &HtmlAnswer) -> HtmlAnswer {
        let target = answer.header("location").to_owned();
        self.get_accepting(&target, "text/html").await
    }

    /// An answer whose body goes on.
    pub(crate) async fn open(&self, path: &str, more: &[(&'static str, &str)]) -> Response {
        self.call(Method::GET, path, more).send().await.unwrap()
    }

    /// A path of this server, or a URL.
    fn call(&self, method: Method, path: &str, more: &[(&'static str, &str)]) -> RequestBuilder {
        let url = Url::parse(&self.base).unwrap().join(path).unwrap();
        let mut call = self.http.request(method, url);
        if !self.cookies.is_empty() {
            let pairs = self.cookies.iter();
            let pairs: Vec<String> = pairs
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            call = call.header(COOKIE, pairs.join("; "));
        }
        for (name, value) in more {
            call = call.header(*name, *value);
        }
        call
    }

    async fn exchange(
        &mut self,
        method: Method,
        path: &str,
        form: Option<String>,
        more: &[(&'static str, &str)],
    ) -> HtmlAnswer {
        let mut call = self.call(method, path, more);
        if let Some(form) = form {
            if let Some(origin) = &self.origin {
                call = call.header("Origin", origin);
            }
            call = call
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form);
        }
        let answer = call.send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        for set in headers.get_all(SET_COOKIE) {
            let set = set.to_str().unwrap();
            let (name, value) = set.split(';').next().unwrap().split_once('=').unwrap();
            if set.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        HtmlAnswer {
            status,
            headers,
            html: answer.text().await.unwrap(),
        }
    }
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = tag.split_once(&format!("{name}=\""))?;
    rest.split('"').next()
}
