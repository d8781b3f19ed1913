//! Text of customers with every letter and digit of it covered, for people who look for a fault and must not read it.
//!
//! What stays is what a fault shows in: the structure of JSON, the names of its fields, lengths, and signs that no text
//! should have.

use std::fmt::Write as _;

/// Letters that a covered text keeps of its length. A longer one says how long it is.
const SHOWN_LETTERS: usize = 24;
/// In bytes. What comes after them is counted and not shown.
const LIMIT: usize = 4_000;
/// A longer name, or one of other letters, is a customer's own.
const LONGEST_NAME: usize = 40;

/// The JSON of an object, which may be broken, with its values covered.
///
/// Names of fields in small letters stay. A letter becomes `x`, a digit `0`, a sign that is not ASCII `·`, and a byte that
/// is no text `?`. Escapes stay if no letter hides behind them. White space outside of texts is left out.
#[must_use]
pub fn masked_json(bytes: &[u8]) -> String {
    let mut masked = String::new();
    let text = String::from_utf8_lossy(bytes);
    let mut rest = text.as_ref();
    while let Some(next) = rest.chars().next() {
        if masked.len() >= LIMIT {
            let _ = write!(masked, " … {} bytes more", rest.len());
            break;
        }
        if next == '"' {
            let (inside, behind, is_closed) = quoted(&rest[1..]);
            if behind.trim_start().starts_with(':') && is_name(inside) {
                let _ = write!(masked, "\"{inside}\"");
            } else {
                masked.push('"');
                cover_text(inside, &mut masked);
                if is_closed {
                    masked.push('"');
                }
            }
            rest = behind;
        } else if let Some(literal) = ["true", "false", "null"]
            .into_iter()
            .find(|literal| rest.starts_with(literal))
        {
            masked.push_str(literal);
            rest = &rest[literal.len()..];
        } else {
            if !next.is_whitespace() {
                masked.push(covered(next));
            }
            rest = &rest[next.len_utf8()..];
        }
    }
    masked
}

/// A parser's sentence with what it quotes covered. The name of a field that is missing or comes twice stays, because it is
/// ours.
#[must_use]
pub fn masked_reason(reason: &str) -> String {
    let names_field = ["missing field", "duplicate field"]
        .iter()
        .any(|beginning| reason.starts_with(beginning));
    let mut masked = String::new();
    let mut rest = reason;
    while let Some(at) = rest.find(['"', '`']) {
        let mark = &rest[at..=at];
        masked.push_str(&rest[..=at]);
        let behind = &rest[at + 1..];
        let (inside, after) = if mark == "\"" {
            let (inside, after, _) = quoted(behind);
            (inside, after)
        } else {
            behind.split_once(mark).unwrap_or((behind, ""))
        };
        if names_field && is_name(inside) {
            masked.push_str(inside);
        } else {
            cover_text(inside, &mut masked);
        }
        masked.push_str(mark);
        rest = after;
    }
    masked + rest
}

/// The text up to the quotation mark that ends it, what comes behind that, and whether it was there.
fn quoted(text: &str) -> (&str, &str, bool) {
    let mut escaped = false;
    for (at, next) in text.char_indices() {
        match next {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return (&text[..at], &text[at + 1..], true),
            _ => {}
        }
    }
    (text, "", false)
}

fn is_name(text: &str) -> bool {
    let is_small = |byte: u8| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit();
    (1..=LONGEST_NAME).contains(&text.len())
        && text.bytes().all(is_small)
        && text.starts_with(|first: char| first.is_ascii_lowercase())
}

fn cover_text(text: &str, masked: &mut String) {
    let (mut shown, mut rest) = (0, text);
    while let Some(next) = rest.chars().next().filter(|_| masked.len() < LIMIT) {
        if let Some(escape) = telling_escape(rest) {
            masked.push_str(escape);
            rest = &rest[escape.len()..];
            continue;
        }
        shown += 1;
        if shown <= SHOWN_LETTERS {
            masked.push(covered(next));
        }
        rest = &rest[next.len_utf8()..];
    }
    if shown > SHOWN_LETTERS {
        let _ = write!(masked, "…({} letters)", text.chars().count());
    }
}

/// An escape that no good text has at its beginning: half a pair of surrogates, or a control sign.
fn telling_escape(text: &str) -> Option<&str> {
    let escape = text.get(..6).filter(|escape| escape.starts_with("\\u"))?;
    let code = u32::from_str_radix(&escape[2..], 16).ok()?;
    (code < 0x20 || (0xd800..0xe000).contains(&code)).then_some(escape)
}

const fn covered(sign: char) -> char {
    match sign {
        'a'..='z' | 'A'..='Z' => 'x',
        '0'..='9' => '0',
        ' ' | '!'..='~' => sign,
        // Bytes that are no text were read as this.
        char::REPLACEMENT_CHARACTER => '?',
        _ => '·',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structure_and_names_stay_and_values_do_not() {
        let json = r#"{ "id": "66f1ABC", "email" : "ada@example.com", "Ada's own": {"a b": [1.5e400, true, null]},
            "body": "caf\u00e9 \ud800 \u0000 – ok" , "phone": 4912345 }"#;
        insta::assert_snapshot!(masked_json(json.as_bytes()), @r#"{"id":"00x0xxx","email":"xxx@xxxxxxx.xxx","xxx'x xxx":{"x x":[0.0x000,true,null]},"body":"xxx\x00x0 \ud800 \u0000 · xx","phone":0000000}"#);
    }

    #[test]
    fn broken_objects_are_shown_as_far_as_they_go() {
        let broken = [
            &b"{\"name\": \"M\xfcller\\\", \"x"[..],
            b"<html>Gateway",
            b"{\"a\":1,\"a\":tru",
        ];
        let shown = broken.map(masked_json).join("\n");
        insta::assert_snapshot!(shown, @r#"
        {"name":"x?xxxx\", "x
        <xxxx>xxxxxxx
        {"a":0,"a":xxx
        "#);
    }

    #[test]
    fn long_values_and_objects_are_cut_and_counted() {
        let long = format!("{{\"body\":\"{}\"}}", "word ".repeat(1_000));
        insta::assert_snapshot!(masked_json(long.as_bytes()), @r#"{"body":"xxxx xxxx xxxx xxxx xxxx…(5000 letters)"}"#);
        let many = format!("[{}1]", "1,".repeat(50_000));
        let masked = masked_json(many.as_bytes());
        assert!(masked.ends_with(" … 96003 bytes more"));
        let escapes = format!("\"{}\"", "\\ud800".repeat(50_000));
        assert!(masked_json(escapes.as_bytes()).len() < LIMIT + 100);
    }

    #[test]
    fn a_reason_keeps_its_words_and_covers_what_it_quotes() {
        let reasons = [
            "missing field `created_at` at line 1 column 40",
            "invalid type: string \"ada \\\"@ home\", expected u64 at line 1 column 9",
            "invalid value: integer `4912345`, expected u8",
            "unknown variant `geheim`, expected `user` or `lead`",
            "invalid type: string \"cut off in the mid",
        ];
        insta::assert_snapshot!(reasons.map(masked_reason).join("\n"), @r#"
        missing field `created_at` at line 1 column 40
        invalid type: string "xxx \"@ xxxx", expected u64 at line 1 column 9
        invalid value: integer `0000000`, expected u8
        unknown variant `xxxxxx`, expected `xxxx` or `xxxx`
        invalid type: string "xxx xxx xx xxx xxx"
        "#);
    }

    #[test]
    fn no_letter_of_a_value_is_left_however_it_is_quoted() {
        for value in [
            "Q",
            "\"Q",
            "Q\\",
            "\\\"Q:",
            "Q\": ",
            "\u{202e}Q\u{0}Q",
            "`Q`",
            "trueQ",
            "q_name",
            "\\uQQQQ",
        ] {
            let object = serde_json::json!({ "name": value, "list": [value, {"of": value}] });
            let masked = masked_json(object.to_string().as_bytes()).to_lowercase();
            assert!(!masked.contains('q'), "{value:?}: {masked}");
            // As a parser quotes it, cut at each place.
            let reason = format!("invalid type: string {value:?}, expected u64");
            for end in (0..reason.len()).filter(|end| reason.is_char_boundary(*end)) {
                let masked = masked_reason(&reason[..end]).to_lowercase();
                assert!(!masked.contains('q'), "{value:?}: {masked}");
            }
        }
    }
}
