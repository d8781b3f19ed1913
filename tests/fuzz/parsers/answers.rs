//! Answers as a whole: their bytes, the split into objects, errors, headers, `/me` and the token exchange.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::value::RawValue;
use shared::intercom::{
    self, Me,
    wire::{self, Next, Page, read_contact},
};

use crate::{holdable, text};

/// Bytes made readable: text stays what it is, and whatever was foreign in a string can be told from its escape.
#[test]
fn readable() {
    check!().for_each(|bytes: &[u8]| {
        let text = text(bytes);
        // At worst each byte becomes an escape of six.
        assert!(text.len() <= 6 * bytes.len());
        // What came out goes through unchanged, but for a second byte order mark.
        if !text.starts_with('\u{feff}') {
            assert_eq!(crate::text(text.as_bytes()), text);
        }
        // What was good JSON says what it said.
        if let Ok(value) = serde_json::from_slice::<serde_json::Value>(bytes) {
            assert_eq!(
                serde_json::from_str::<serde_json::Value>(&text).unwrap(),
                value
            );
        }
    });
}

/// A page: no object is lost in the split, and each is poison or a record.
#[test]
fn page() {
    check!().for_each(|bytes: &[u8]| {
        let body = text(bytes);
        let split = Page::split(&body);
        assert_eq!(format!("{split:?}"), format!("{:?}", Page::split(&body)));
        let Ok(page) = split else { return };
        if let Some(sent) = items_sent(&body) {
            assert_eq!(page.items.len(), sent, "no object is lost");
        }
        assert!(page.items.iter().map(|item| item.len()).sum::<usize>() <= body.len());
        assert!(
            page.total_count
                .is_none_or(|count| (0..1_000_000_000_000).contains(&count))
        );
        for cursor in page.scroll_param.iter().chain(match &page.next {
            Some(Next::After(after)) => Some(after),
            _ => None,
        }) {
            holdable(cursor);
            assert!(cursor.len() <= 4096);
        }
        let read = page.items.iter().map(|raw| match read_contact(raw) {
            Ok(contact) => contact.raw.len(),
            Err(poison) => poison.raw.len(),
        });
        assert_eq!(
            read.sum::<usize>(),
            page.items.iter().map(|item| item.len()).sum::<usize>()
        );
    });
}

/// The outline of a page: the same however the page comes in pieces, and of a good page, which names as many objects and
/// the same page behind them.
#[test]
fn outline() {
    check!().for_each(|bytes: &[u8]| {
        let Some(outline) = intercom::outline(bytes, bytes.len().max(1)) else {
            return;
        };
        for piece in [1, 7] {
            assert_eq!(intercom::outline(bytes, piece).as_ref(), Some(&outline));
        }
        assert!(
            outline.len()
                <= bytes.len()
                    + 4 * bytes
                        .iter()
                        .filter(|byte| matches!(byte, b'{' | b'['))
                        .count()
        );
        // Of what is no JSON, any outline will do.
        let Some(body) = std::str::from_utf8(bytes).ok().filter(|body| is_json(body)) else {
            return;
        };
        let Ok(page) = Page::split(body) else { return };
        let outline = text(&outline);
        let short = Page::split(&outline).unwrap();
        assert_eq!(
            (short.items.len(), short.total_count),
            (page.items.len(), page.total_count)
        );
        assert_eq!(
            (&short.next, &short.scroll_param),
            (&page.next, &page.scroll_param)
        );
    });
}

fn is_json(body: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(body).is_ok()
}

/// Counts without the parser. `None` if an object is no JSON, because the body then is none either.
fn items_sent(body: &str) -> Option<usize> {
    const NAMES: [&str; 7] = [
        "data",
        "conversations",
        "admins",
        "teams",
        "segments",
        "companies",
        "tags",
    ];
    let members: std::collections::HashMap<String, &RawValue> = serde_json::from_str(body).ok()?;
    let list = NAMES.iter().find_map(|name| members.get(*name)).unwrap();
    Some(
        serde_json::from_str::<Vec<&RawValue>>(list.get())
            .unwrap()
            .len(),
    )
}

/// `/me` and the token exchange: what they give goes into rows, keys and headers.
#[test]
fn me_and_token() {
    check!().for_each(|bytes: &[u8]| {
        if let Ok(me) = Me::parse(&text(bytes)) {
            assert!((1..=64).contains(&me.workspace_id.len()) && me.workspace_id.is_ascii());
            holdable(&me.workspace_name);
            assert!(me.workspace_name.chars().count() <= 255);
            if let Some(name) = &me.admin_name {
                holdable(name);
                assert!(name.chars().count() <= 255);
            }
            assert!(me.timezone.len() <= 64 && me.timezone.is_ascii());
        }
        if let Some(token) = wire::read_token(bytes) {
            HeaderValue::try_from(format!("Bearer {}", token.expose())).unwrap();
        }
    });
}

/// Error bodies and `Link` headers: what they give is a word, or nothing.
#[test]
fn error() {
    check!().for_each(|bytes: &[u8]| {
        for code in [wire::error_code(bytes), wire::exchange_error_code(bytes)]
            .into_iter()
            .flatten()
        {
            assert!(
                (1..=64).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_graphic()),
                "{code:?}"
            );
        }
        if let Some(id) = std::str::from_utf8(bytes).ok().and_then(wire::survivor) {
            assert!((1..=64).contains(&id.len()) && id.is_ascii());
        }
    });
}

/// Rate limit headers: five values, one per line. The resulting wait must be within reason for any values.
#[test]
fn headers() {
    const NAMES: [&str; 5] = [
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
        "date",
        "retry-after",
    ];
    check!().for_each(|bytes: &[u8]| {
        let mut headers = HeaderMap::new();
        for (name, value) in NAMES.iter().zip(bytes.split(|byte| *byte == b'\n')) {
            if let Ok(value) = HeaderValue::from_bytes(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        let rate_limit = intercom::rate_limit_headers(&headers);
        assert!(rate_limit.until_reset().as_secs() <= 300, "{rate_limit:?}");
        assert_eq!(
            format!("{rate_limit:?}"),
            format!("{:?}", intercom::rate_limit_headers(&headers))
        );
    });
}
