//! Turns the bytes of a response into text that can be split into objects.
//!
//! One byte that is not UTF-8, or one control character without an escape, makes a whole response
//! unreadable. Here both become escapes in their place, so that they cost one object at most. `repair`
//! replaces them later, when it reads the object. The two are separate passes, because a part of an
//! object must stay in quarantine as it was sent, and only a whole response can be escaped.

use std::fmt::Write as _;

/// The text of a response. Almost every body is already text, which costs two scans and no copy.
#[must_use]
pub fn readable(body: Vec<u8>) -> String {
    // JSON parsers refuse a byte order mark.
    let body = if body.starts_with(b"\xef\xbb\xbf") {
        body[3..].to_vec()
    } else {
        body
    };
    let text = String::from_utf8(body).unwrap_or_else(|error| escape_foreign(error.as_bytes()));
    // Line ends and tabs between values are allowed. Most bodies have no control character at all.
    if has_controls(text.as_bytes()) {
        escape_controls(text)
    } else {
        text
    }
}

/// Whether a control character is among the bytes. A block is looked at as a whole, which the compiler turns into vector
/// instructions. A scan that may stop at each byte takes ten times as long.
fn has_controls(bytes: &[u8]) -> bool {
    let has = |block: &[u8]| block.iter().fold(false, |has, byte| has | (*byte < b' '));
    bytes.chunks(256).any(has)
}

/// Bytes that are not UTF-8 become unpaired surrogates, `\udc80` to `\udcff`, which still name the byte.
fn escape_foreign(body: &[u8]) -> String {
    let mut text = String::with_capacity(body.len() + body.len() / 8);
    for chunk in body.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(text, "\\udc{byte:02x}");
        }
    }
    text
}

/// Control characters inside strings become `\u0000` to `\u001f`.
fn escape_controls(text: String) -> String {
    let bytes = text.as_bytes();
    let (mut escaped, mut copied) = (String::new(), 0);
    let (mut inside, mut at) = (false, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => inside = !inside,
            // Skip the escaped byte. A control character cannot be escaped, so it is not skipped.
            b'\\' if inside && bytes.get(at + 1).is_some_and(|next| *next >= b' ') => at += 1,
            control @ 0..=0x1f if inside => {
                escaped.push_str(&text[copied..at]);
                let _ = write!(escaped, "\\u{control:04x}");
                copied = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    if copied == 0 {
        return text;
    }
    escaped.push_str(&text[copied..]);
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_text_already_stays_as_it_is() {
        for text in [
            "",
            "{}",
            "{\n\t\"a\": \"é \\u0000 \\\" \\\\\"\r\n}",
            "\u{fffd}",
        ] {
            assert_eq!(readable(text.into()), text);
        }
    }

    #[test]
    fn foreign_bytes_and_controls_become_escapes_in_their_place() {
        for (body, expected) in [
            (&b"\xef\xbb\xbf{}"[..], "{}"),
            (b"{\"a\":\"caf\xe9!\"}", r#"{"a":"caf\udce9!"}"#),
            (b"\"\xf0\x9f\"", r#""\udcf0\udc9f""#),
            (b"{\n\"a\":\"x\0y\nz\"}", "{\n\"a\":\"x\\u0000y\\u000az\"}"),
            (b"\"\\\\\n\"", "\"\\\\\\u000a\""),
            // An escaped quote does not end a string.
            (
                b"{\"a\":\"\\\"\n\",\n\"b\":1}",
                "{\"a\":\"\\\"\\u000a\",\n\"b\":1}",
            ),
        ] {
            assert_eq!(
                readable(body.to_vec()),
                expected,
                "{:?}",
                String::from_utf8_lossy(body)
            );
        }
    }
}
