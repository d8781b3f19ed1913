//! Pages: four styles of "next", one reader.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::intercom::Error;

/// A list answer, split into objects that nobody has read yet.
#[derive(Debug)]
pub struct Page<'a> {
    pub items: Vec<&'a str>,
    pub next: Option<Next>,
    pub total_count: Option<i64>,
    /// The companies' scroll cursor.
    pub scroll_param: Option<String>,
}

/// How the next page is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// `pages.next.starting_after`: opaque.
    After(String),
    /// `pages.next` as a URL, of which only the page number is taken: the URL itself is never followed.
    Number(u32),
}

/// Each list names its array by its own word; `data` is the commonest.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(
        borrow,
        default,
        alias = "conversations",
        alias = "admins",
        alias = "teams",
        alias = "segments",
        alias = "companies",
        alias = "tags"
    )]
    data: Option<Vec<&'a RawValue>>,
    #[serde(default)]
    pages: Option<Pages>,
    #[serde(default)]
    total_count: Option<f64>,
    #[serde(default)]
    scroll_param: Option<String>,
}

#[derive(Deserialize)]
struct Pages {
    #[serde(default)]
    next: Option<serde_json::Value>,
}

impl<'a> Page<'a> {
    /// Splits an answer's body.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when it is not a list: a half answer must never pass for an empty one.
    pub fn split(body: &'a str) -> Result<Self, Error> {
        let body: Body<'a> = serde_json::from_str(body)
            .map_err(|error| Error::Unavailable(format!("the answer is not a list: {error}")))?;
        let Some(data) = body.data else {
            return Err(Error::Unavailable("the answer has no list".to_owned()));
        };
        Ok(Self {
            items: data.into_iter().map(RawValue::get).collect(),
            next: body.pages.and_then(|pages| pages.next).as_ref().and_then(next),
            total_count: body.total_count.filter(|count| *count >= 0.0).map(|count| count as i64),
            scroll_param: body.scroll_param.filter(|param| !param.is_empty()),
        })
    }
}

fn next(value: &serde_json::Value) -> Option<Next> {
    if let Some(url) = value.as_str() {
        let (_, query) = url.split_once('?')?;
        return url::form_urlencoded::parse(query.as_bytes()).find_map(|(name, value)| match name.as_ref() {
            "starting_after" => Some(Next::After(value.into_owned())),
            "page" => value.parse().ok().map(Next::Number),
            _ => None,
        });
    }
    value.get("starting_after")?.as_str().filter(|after| !after.is_empty()).map(|after| Next::After(after.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_style_of_next_is_read() {
        let page = |pages: &str| {
            let body = format!(r#"{{"type":"list","data":[{{"id":"1"}}],"total_count":7,"pages":{pages}}}"#);
            Page::split(&body).unwrap().next
        };
        assert_eq!(page(r#"{"next":{"page":2,"starting_after":"WzE="}}"#), Some(Next::After("WzE=".to_owned())));
        assert_eq!(
            page(r#"{"next":"https://api.intercom.io/contacts/1/companies?page=2&per_page=50"}"#),
            Some(Next::Number(2))
        );
        for last in ["null", "{}", r#"{"next":null}"#, r#"{"next":{}}"#] {
            assert_eq!(page(last), None, "{last}");
        }
    }

    #[test]
    fn objects_are_split_without_being_read() {
        let page = Page::split(r#"{"conversations":[{"id":1},{"id":"\ud800"},[[[]]],null],"pages":null}"#).unwrap();
        assert_eq!(page.items, [r#"{"id":1}"#, r#"{"id":"\ud800"}"#, "[[[]]]", "null"]);
    }

    #[test]
    fn what_is_not_a_list_is_never_an_empty_one() {
        for body in ["{}", r#"{"data":null}"#, r#"{"type":"error.list","errors":[]}"#, r#"{"data":[{"id":1}"#] {
            assert!(Page::split(body).is_err(), "{body}");
        }
    }
}
