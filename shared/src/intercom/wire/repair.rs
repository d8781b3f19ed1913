//! Replaces text that JSON allows and Postgres refuses: escapes of NUL and of unpaired surrogates.

use std::borrow::Cow;

/// An object's text with every `\u0000` and every unpaired surrogate escape replaced by U+FFFD. Borrowed
/// if there is nothing to replace, which costs one scan.
pub(super) fn repair(raw: &str) -> Cow<'_, str> {
    let bytes = raw.as_bytes();
    if !suspicious(bytes) {
        return Cow::Borrowed(raw);
    }
    let mut repaired = String::with_capacity(raw.len());
    let (mut at, mut copied) = (0, 0);
    while at < bytes.len() {
        if bytes[at] != b'\\' {
            at += 1;
            continue;
        }
        let Some(unit) = escape(bytes, at) else {
            // Another escape, perhaps `\\`. Its second byte does not begin an escape.
            at += 2;
            continue;
        };
        let pair = (0xd800..0xdc00).contains(&unit)
            && escape(bytes, at + 6).is_some_and(|low| (0xdc00..0xe000).contains(&low));
        if pair {
            at += 12;
            continue;
        }
        if unit == 0 || (0xd800..0xe000).contains(&unit) {
            repaired.push_str(&raw[copied..at]);
            repaired.push_str("\\ufffd");
            copied = at + 6;
        }
        at += 6;
    }
    if copied == 0 {
        return Cow::Borrowed(raw);
    }
    repaired.push_str(&raw[copied..]);
    Cow::Owned(repaired)
}

/// Whether the text may have an escape to replace. Almost no object has one, so this scan comes first.
fn suspicious(bytes: &[u8]) -> bool {
    memchr::memchr_iter(b'\\', bytes)
        .any(|at| matches!(bytes[at + 1..], [b'u', b'0' | b'd' | b'D', ..]))
}

/// The code unit of a `\uXXXX` escape at `at`.
fn escape(bytes: &[u8], at: usize) -> Option<u16> {
    let escape = bytes.get(at..at + 6)?;
    if escape[0] != b'\\' || escape[1] != b'u' {
        return None;
    }
    std::str::from_utf8(&escape[2..])
        .ok()
        .and_then(|hex| u16::from_str_radix(hex, 16).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_postgres_refuses_is_replaced() {
        for (raw, expected) in [
            (r#""plain""#, r#""plain""#),
            (r#""a\u0000b""#, r#""a\ufffdb""#),
            (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#),
            (r#""\ud83d""#, r#""\ufffd""#),
            (r#""\ude00\ud83d""#, r#""\ufffd\ufffd""#),
            (r#""\ud83dx\ude00""#, r#""\ufffdx\ufffd""#),
            (r#""\\u0000""#, r#""\\u0000""#),
            (r#""\\\u0000""#, r#""\\\ufffd""#),
            (r#""\u00e9""#, r#""\u00e9""#),
        ] {
            assert_eq!(repair(raw), expected, "{raw}");
        }
    }

    #[test]
    fn an_escape_cut_off_by_the_end_is_left_for_the_parser() {
        for raw in [r"\", r"\u", r"\u00", r"\ud83d\u", r#""\u0000\"#] {
            let _ = repair(raw);
        }
    }
}
