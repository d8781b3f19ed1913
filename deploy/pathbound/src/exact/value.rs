//! Reading the truth's JSON, independently of how the sync reads Intercom's.

use chrono::{DateTime, Utc};
use serde_json::Value;

/// JSON as Postgres can hold it: a lone surrogate and NUL both read as U+FFFD.
pub(super) fn parse(text: &str) -> Option<Value> {
    let value = serde_json::from_str(text)
        .or_else(|_| serde_json::from_str(&without_lone_surrogates(text)));
    value.ok().map(without_nul)
}

/// A text that is not empty, or the digits of a number.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// An id. Intercom writes 0 for no admin or team.
pub(super) fn id(value: &Value) -> Option<String> {
    text(value).filter(|id| id != "0")
}

/// Unix seconds.
pub(super) fn time(value: &Value) -> Option<DateTime<Utc>> {
    let whole = value
        .as_i64()
        .or_else(|| value.as_f64().map(|seconds| seconds.trunc() as i64))?;
    DateTime::from_timestamp(whole, 0)
        .filter(|time| (0..253_402_300_800).contains(&time.timestamp()))
}

/// A whole number.
pub(super) fn whole(value: &Value) -> Option<i64> {
    value
        .as_i64()
        .or_else(|| value.as_f64().map(|number| number.trunc() as i64))
}

/// An object, empty where there is none.
pub(super) fn object(value: &Value) -> Value {
    if value.is_object() {
        value.clone()
    } else {
        Value::Object(serde_json::Map::new())
    }
}

/// Whether two documents are equal. Numbers compare by value, because jsonb writes `1e2` as `100`.
pub(super) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => left == right,
    }
}

/// The host of a website without `www.`, or `None` if it is no domain.
pub(super) fn domain(website: &str) -> Option<String> {
    let website = website.trim();
    let url = if website.contains("://") {
        website.to_owned()
    } else {
        format!("http://{website}")
    };
    let url = url::Url::parse(&url).ok()?;
    let host = url.host_str()?;
    let host = host.strip_prefix("www.").unwrap_or(host);
    host.contains('.').then(|| host.to_owned())
}

fn without_nul(value: Value) -> Value {
    let clean = |text: String| {
        if text.contains('\0') {
            text.replace('\0', "\u{fffd}")
        } else {
            text
        }
    };
    match value {
        Value::String(text) => Value::String(clean(text)),
        Value::Array(items) => Value::Array(items.into_iter().map(without_nul).collect()),
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| (clean(key), without_nul(value)))
            .collect(),
        other => other,
    }
}

/// Half of a surrogate pair is legal in JSON's grammar and no text.
fn without_lone_surrogates(json: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(json.len()), json);
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let low_follows = rest
            .get(6..)
            .and_then(unit)
            .is_some_and(|low| (0xdc00..0xe000).contains(&low));
        let (kept, taken) = match unit(rest) {
            Some(0xd800..0xdc00) if low_follows => (&rest[..12], 12),
            Some(0xd800..0xe000) => (r"\ufffd", 6),
            Some(_) => (&rest[..6], 6),
            None => {
                let taken = rest.chars().take(2).map(char::len_utf8).sum();
                (&rest[..taken], taken)
            }
        };
        out.push_str(kept);
        rest = &rest[taken..];
    }
    out.push_str(rest);
    out
}

/// The code unit of an escape `\uXXXX` at the start.
fn unit(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_no_text_reads_as_a_replacement() {
        assert_eq!(
            parse(r#"{"a":"x\ud83d","b":"\ud83d\ude00","c":"\u0000","d":"\\ud83d"}"#).unwrap(),
            json!({
                "a": "x\u{fffd}", "b": "😀", "c": "\u{fffd}", "d": "\\ud83d"
            })
        );
        assert_eq!(parse("nonsense"), None);
    }

    #[test]
    fn numbers_are_the_same_by_value_and_nothing_else_is() {
        assert!(same(&json!({"a": [1.0, 100]}), &json!({"a": [1, 1e2]})));
        for (left, right) in [
            (json!("1"), json!(1)),
            (json!(null), json!({})),
            (json!([1, 2]), json!([2, 1])),
            (json!({"a": 1}), json!({"a": 1, "b": null})),
        ] {
            assert!(!same(&left, &right), "{left} {right}");
        }
    }

    #[test]
    fn a_domain_is_a_host_with_a_dot() {
        assert_eq!(
            domain("https://www.Acme.com/x").as_deref(),
            Some("acme.com")
        );
        assert_eq!(domain("acme.co.uk").as_deref(), Some("acme.co.uk"));
        assert_eq!(domain("n/a"), None);
    }
}
