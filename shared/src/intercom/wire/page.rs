//! Pages of lists: four ways to name the next page, one reader.

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{items::Items, object::Object, poison::brief, salvage::salvage};
use crate::intercom::Error;

/// In bytes. The longest cursors seen have a tenth of this.
const MAX_CURSOR_BYTES: usize = 4096;
/// No workspace has this many of anything.
const MAX_COUNT: f64 = 1e12;

/// A list, split into raw objects.
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
    /// `pages.next.starting_after`, which is opaque.
    After(String),
    /// `pages.next` as a URL. Only its page number is used, and the URL is never followed.
    Number(u32),
}

/// The names of the array, which differ between lists.
const NAMES: [&str; 7] = [
    "data",
    "conversations",
    "admins",
    "teams",
    "segments",
    "companies",
    "tags",
];

/// A response with its list under any of [`NAMES`].
#[derive(Deserialize)]
struct ListBody<'a> {
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
    data: Option<Items<'a>>,
    #[serde(default)]
    pages: Option<Object<Pages>>,
    #[serde(borrow, default)]
    total_count: Option<&'a RawValue>,
    #[serde(default)]
    scroll_param: Option<String>,
}

#[derive(Deserialize)]
struct Pages {
    #[serde(default)]
    next: Option<Value>,
}

impl<'a> Page<'a> {
    /// Splits the body of a response.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the body is not a list, because a cut response must never pass for an empty
    /// list.
    pub fn split(body: &'a str) -> Result<Self, Error> {
        match serde_json::from_str::<Object<ListBody<'a>>>(body) {
            Ok(Object(mut body)) => match body.data.take() {
                Some(Items(items)) => {
                    Self::of(items.into_iter().map(RawValue::get).collect(), body)
                }
                None => Err(Error::Unavailable("the response has no list".to_owned())),
            },
            Err(error) => {
                let salvaged = error.is_syntax().then(|| salvage(body, &NAMES)).flatten();
                let (items, rest) = salvaged.ok_or_else(|| not_a_list(&error))?;
                let Object(body): Object<ListBody<'_>> =
                    serde_json::from_str(&rest).map_err(|error| not_a_list(&error))?;
                Self::of(items, body)
            }
        }
    }

    /// The cursor of the next page, in a list whose pages have cursors. `None` at the end.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the next page has a number, which such a list cannot be asked for.
    pub fn next_cursor(&self) -> Result<Option<&str>, Error> {
        match &self.next {
            None => Ok(None),
            Some(Next::After(cursor)) => Ok(Some(cursor)),
            Some(Next::Number(_)) => Err(Error::Unavailable(
                "the response names its next page by a number, and this list has cursors"
                    .to_owned(),
            )),
        }
    }

    /// The number of the page after `page`, in a list whose pages have numbers. `None` at the end.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the next page has a cursor, or when its number leads back, which would never end.
    pub fn next_number(&self, page: u32) -> Result<Option<u32>, Error> {
        match self.next {
            None => Ok(None),
            Some(Next::Number(next)) if next > page => Ok(Some(next)),
            Some(Next::Number(_)) => Err(Error::Unavailable(
                "the response names a page that was read before as its next page".to_owned(),
            )),
            Some(Next::After(_)) => Err(Error::Unavailable(
                "the response names its next page by a cursor, and this list has numbers"
                    .to_owned(),
            )),
        }
    }

    fn of(items: Vec<&'a str>, body: ListBody<'_>) -> Result<Self, Error> {
        Ok(Self {
            items,
            next: match body.pages.and_then(|Object(pages)| pages.next) {
                Some(next) => next_page(&next)?,
                None => None,
            },
            total_count: body.total_count.and_then(count),
            scroll_param: body
                .scroll_param
                .filter(|param| !param.is_empty())
                .map(cursor)
                .transpose()?,
        })
    }
}

fn not_a_list(error: &serde_json::Error) -> Error {
    Error::Unavailable(format!("the response is not a list: {}", brief(error)))
}

/// The total, if it can be read and is plausible. A bad total is no reason to refuse a page.
fn count(raw: &RawValue) -> Option<i64> {
    // Some endpoints send whole numbers as decimals.
    let count: f64 = serde_json::from_str(raw.get()).ok()?;
    (0.0..MAX_COUNT).contains(&count).then_some(count as i64)
}

/// The name of the next page, or `None` at the end. An unreadable name is an error and never the end.
fn next_page(next: &Value) -> Result<Option<Next>, Error> {
    match next {
        Value::Null => Ok(None),
        // Older endpoints name the next page by its whole URL.
        Value::String(url) => of_url(url).map(Some),
        Value::Object(next) => match next.get("starting_after") {
            Some(Value::String(after)) if !after.is_empty() => {
                Ok(Some(Next::After(cursor(after.clone())?)))
            }
            // Without a cursor, the number of the page may still name it.
            None | Some(Value::Null | Value::String(_)) => of_number(next.get("page")),
            Some(_) => Err(no_cursor()),
        },
        Value::Number(_) => of_number(Some(next)),
        _ => Err(no_cursor()),
    }
}

fn of_number(page: Option<&Value>) -> Result<Option<Next>, Error> {
    match page {
        None | Some(Value::Null) => Ok(None),
        Some(page) => {
            let number = page.as_u64().and_then(|page| u32::try_from(page).ok());
            number
                .map(|number| Some(Next::Number(number)))
                .ok_or_else(no_cursor)
        }
    }
}

fn of_url(url: &str) -> Result<Next, Error> {
    let (_, query) = url.split_once('?').ok_or_else(no_cursor)?;
    let value = |key: &str| {
        url::form_urlencoded::parse(query.as_bytes())
            .find(|(name, value)| name == key && !value.is_empty())
            .map(|(_, value)| value.into_owned())
    };
    // Only numbered lists have no cursor. A URL may also count the page that its cursor leads to.
    if let Some(after) = value("starting_after") {
        return cursor(after).map(Next::After);
    }
    let page = value("page").ok_or_else(no_cursor)?;
    page.parse().map(Next::Number).map_err(|_| no_cursor())
}

/// Checks a cursor. It is opaque, but it must fit in a row and in a request.
fn cursor(text: String) -> Result<String, Error> {
    let fits = text.len() <= MAX_CURSOR_BYTES && !text.chars().any(char::is_control);
    if fits { Ok(text) } else { Err(no_cursor()) }
}

fn no_cursor() -> Error {
    Error::Unavailable("the response names its next page by text that is not a cursor".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_style_of_next_is_read() {
        let page = |pages: &str| {
            let body = format!(
                r#"{{"type":"list","data":[{{"id":"1"}}],"total_count":7,"pages":{pages}}}"#
            );
            Page::split(&body).unwrap().next
        };
        assert_eq!(
            page(r#"{"next":{"page":2,"starting_after":"WzE="}}"#),
            Some(Next::After("WzE=".to_owned()))
        );
        assert_eq!(
            page(r#"{"next":"https://api.intercom.io/contacts/1/companies?page=2&per_page=50"}"#),
            Some(Next::Number(2))
        );
        for numbered in [
            "2",
            r#"{"page":2}"#,
            r#"{"page":2,"starting_after":null}"#,
            r#""?page=2&starting_after=""#,
        ] {
            let pages = format!(r#"{{"next":{numbered}}}"#);
            assert_eq!(page(&pages), Some(Next::Number(2)), "{numbered}");
        }
        assert_eq!(
            page(r#"{"next":"https://api.intercom.io/contacts?page=2&starting_after=WzE%3D"}"#),
            Some(Next::After("WzE=".to_owned()))
        );
        for last in ["null", "{}", r#"{"next":null}"#, r#"{"next":{}}"#] {
            assert_eq!(page(last), None, "{last}");
        }
    }

    #[test]
    fn a_next_page_of_another_style_is_not_the_end() {
        let page = |next: &str| format!(r#"{{"data":[],"pages":{{"next":{next}}}}}"#);
        let (cursor, number) = (page(r#"{"starting_after":"x"}"#), page("3"));
        let (cursor, number) = (Page::split(&cursor).unwrap(), Page::split(&number).unwrap());
        assert_eq!(cursor.next_cursor().unwrap(), Some("x"));
        assert_eq!(number.next_number(2).unwrap(), Some(3));
        assert!(cursor.next_number(1).is_err() && number.next_cursor().is_err());
        // It would be read for ever.
        assert!(number.next_number(3).is_err());
        let last = page("null");
        let last = Page::split(&last).unwrap();
        assert!(last.next_cursor().unwrap().is_none() && last.next_number(1).unwrap().is_none());
    }

    #[test]
    fn objects_are_split_without_being_read() {
        let page =
            Page::split(r#"{"conversations":[{"id":1},{"id":"\ud800"},[[[]]],null],"pages":null}"#)
                .unwrap();
        assert_eq!(
            page.items,
            [r#"{"id":1}"#, r#"{"id":"\ud800"}"#, "[[[]]]", "null"]
        );
    }

    #[test]
    fn what_is_not_a_list_is_never_an_empty_one() {
        for body in [
            "{}",
            "[[]]",
            r#"{"data":null}"#,
            r#"{"data":[],"data":[]}"#,
            r#"{"type":"error.list","errors":[]}"#,
            r#"{"data":[{"id":1}"#,
        ] {
            assert!(Page::split(body).is_err(), "{body}");
        }
    }

    #[test]
    fn a_next_page_that_nobody_can_ask_for_is_not_the_end() {
        let long = format!("{:?}", "x".repeat(4097));
        for next in [
            "-7",
            "1.5",
            "99999999999",
            r#"{"page":"x"}"#,
            "true",
            "[]",
            r#"["WzE="]"#,
            r#""https://api.intercom.io/contacts""#,
            r#""?page=x""#,
            r#""?page=99999999999""#,
            r#"{"starting_after":7}"#,
            r#"{"starting_after":{"a":1}}"#,
            r#"{"starting_after":"a\u0000b"}"#,
            &format!(r#"{{"starting_after":{long}}}"#),
        ] {
            assert!(
                Page::split(&format!(r#"{{"data":[],"pages":{{"next":{next}}}}}"#)).is_err(),
                "{next}"
            );
        }
        for pages in ["7", "[]", r#""next""#] {
            assert!(
                Page::split(&format!(r#"{{"data":[],"pages":{pages}}}"#)).is_err(),
                "{pages}"
            );
        }
    }

    #[test]
    fn a_count_that_is_none_costs_no_page() {
        let total = |count: &str| {
            Page::split(&format!(r#"{{"data":[],"total_count":{count}}}"#))
                .unwrap()
                .total_count
        };
        assert_eq!(
            (total("7"), total("7.0"), total("null")),
            (Some(7), Some(7), None)
        );
        for odd in ["-1", "1e300", "1e400", "\"7\"", "[7]", "{}", "true"] {
            assert_eq!(total(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_list_of_millions_is_refused_before_it_is_held() {
        let list = |items: usize| format!(r#"{{"data":[0{}]}}"#, ",0".repeat(items - 1));
        assert_eq!(Page::split(&list(20_000)).unwrap().items.len(), 20_000);
        assert!(Page::split(&list(20_001)).is_err());
    }

    #[test]
    fn an_object_that_is_no_json_costs_its_neighbours_nothing() {
        let page = Page::split(
            r#"{"data":[{"id":"1"},{"id":"2","n":NaN},{"id":"3\x"},{"id":"4"}],"total_count":4,"pages":null}"#,
        )
        .unwrap();
        assert_eq!(
            page.items,
            [
                r#"{"id":"1"}"#,
                r#"{"id":"2","n":NaN}"#,
                r#"{"id":"3\x"}"#,
                r#"{"id":"4"}"#
            ]
        );
        assert_eq!(page.total_count, Some(4));
        for body in [
            r#"{"data":[NaN],"pages":{"next":NaN}}"#,
            r#"{"data":[NaN]}{}"#,
            r#"{"data":[NaN,]}"#,
        ] {
            assert!(Page::split(body).is_err(), "{body}");
        }
    }
}
