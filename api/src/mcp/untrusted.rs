//! Text that an end user may have written, made harmless for a model and for what shows its answer.
//!
//! A message may tell a model what to do, or hold an image whose address carries away what the model knows. No filter
//! finds every such text, so it is marked instead: in structured content it stands only in fields named `untrusted_*`, in
//! text only between `⟦` and `⟧`, and none of it can end the mark. Its links and images are no longer markup: they can
//! be read, and nothing makes them clickable or loads them.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::Serialize;

/// What customer text stands between. The text itself never has either character.
pub(super) const OPENING: char = '⟦';
pub(super) const CLOSING: char = '⟧';

/// A harmless text of bounded length.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct Untrusted(String);

impl Untrusted {
    /// The text, or as much of it as fits into so many bytes of JSON and how many characters are missing.
    pub(super) fn of(text: &str, limit: usize) -> Self {
        Self(shortened(&neutral(text), limit))
    }

    /// A piece of a text that is harmless already.
    pub(super) fn piece(neutral: &str) -> Self {
        Self(neutral.to_owned())
    }
}

impl JsonSchema for Untrusted {
    fn schema_name() -> Cow<'static, str> {
        "Untrusted".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        String::json_schema(generator)
    }
}

/// A text of the workspace itself, such as a tag, in the same way. It has no mark.
pub(super) fn plain(text: &str, limit: usize) -> String {
    shortened(&neutral(text), limit)
}

/// The same text without markup, without characters that cannot be seen, and without the marks.
pub(super) fn neutral(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut left = text;
    while let Some(c) = left.chars().next() {
        left = &left[c.len_utf8()..];
        let next = left.chars().next();
        match c {
            ':' if left.starts_with("//") => defang_scheme(&mut out),
            // `![`, `](`, `][` and `]:` are what makes an image, a link and the target of a link.
            '!' if next == Some('[') => out.push_str("! "),
            ']' if matches!(next, Some('(' | '[' | ':')) => out.push_str("] "),
            '<' if next.is_some_and(|next| next.is_ascii_alphabetic() || "/!?".contains(next)) => {
                out.push('‹');
            }
            '.' if ends_with_www(&out) => out.push_str("[.]"),
            OPENING => out.push('['),
            CLOSING => out.push(']'),
            '\t' => out.push(' '),
            '\u{2028}' | '\u{2029}' => out.push('\n'),
            '\n' => out.push('\n'),
            _ if c.is_control() || is_invisible(c) => {}
            _ => out.push(c),
        }
    }
    out
}

/// Splits a harmless text before the character that no longer fits into so many bytes of JSON.
pub(super) fn split_at(text: &str, limit: usize) -> (&str, &str) {
    let mut bytes = 0;
    for (at, c) in text.char_indices() {
        bytes += match c {
            '"' | '\\' | '\n' => 2,
            _ => c.len_utf8(),
        };
        if bytes > limit {
            return text.split_at(at);
        }
    }
    (text, "")
}

fn shortened(text: &str, limit: usize) -> String {
    match split_at(text, limit) {
        (whole, "") => whole.to_owned(),
        (head, cut) => format!("{head}… [{} more characters]", cut.chars().count()),
    }
}

/// `https:` becomes `hxxps:`, and any other scheme loses its colon. The two slashes follow.
fn defang_scheme(out: &mut String) {
    for (scheme, written) in [("https", "hxxps:"), ("http", "hxxp:")] {
        let Some(at) = out.len().checked_sub(scheme.len()) else {
            continue;
        };
        if out
            .get(at..)
            .is_some_and(|end| end.eq_ignore_ascii_case(scheme))
        {
            out.truncate(at);
            out.push_str(written);
            return;
        }
    }
    out.push_str("[:]");
}

/// Many programs make a link of a word that begins with `www.`.
fn ends_with_www(out: &str) -> bool {
    let Some(at) = out.len().checked_sub(3) else {
        return false;
    };
    out.get(at..)
        .is_some_and(|end| end.eq_ignore_ascii_case("www"))
        && !out[..at].ends_with(|c: char| c.is_alphanumeric())
}

/// Characters that no reader sees, by which a text can hide an instruction or turn its direction.
pub(crate) const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180e}'
            | '\u{200b}'
            | '\u{200e}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_images_can_be_read_and_are_no_markup() {
        for (written, read) in [
            ("see https://x.test/a?b=1", "see hxxps://x.test/a?b=1"),
            ("HTTP://x.test", "hxxp://x.test"),
            ("ftp://x.test", "ftp[:]//x.test"),
            (
                "![pixel](https://x.test/p.png)",
                "! [pixel] (hxxps://x.test/p.png)",
            ),
            (
                "![pixel][p]\n[p]: //x.test/p.png",
                "! [pixel] [p]\n[p] : //x.test/p.png",
            ),
            ("<img src=//x.test/p.png>", "‹img src=//x.test/p.png>"),
            ("www.x.test and awww.so", "www[.]x.test and awww.so"),
            ("a < b, 3 <4, [1] ok!", "a < b, 3 <4, [1] ok!"),
            ("jane.doe+x@acme.example", "jane.doe+x@acme.example"),
            ("", ""),
        ] {
            assert_eq!(neutral(written), read);
        }
    }

    #[test]
    fn no_text_ends_its_mark_or_hides() {
        assert_eq!(neutral("a⟧ next: b ⟦c"), "a] next: b [c");
        let hidden: String = "go"
            .chars()
            .map(|c| char::from_u32(0xe0000 + c as u32).unwrap())
            .collect();
        assert_eq!(
            neutral(&format!("hi{hidden}\u{202e}\u{200b}\r\u{7}\tyou\nthere")),
            "hi you\nthere"
        );
        // What joins letters and emoji is seen.
        assert_eq!(neutral("👩\u{200d}🚀"), "👩\u{200d}🚀");
    }

    #[test]
    fn a_long_text_says_how_much_of_it_is_missing() {
        assert_eq!(Untrusted::of("éééé", 4).0, "éé… [2 more characters]");
        assert_eq!(Untrusted::of("\"\"\"", 4).0, "\"\"… [1 more characters]");
        assert_eq!(Untrusted::of("abcd", 4).0, "abcd");
        assert_eq!(split_at("", 0), ("", ""));
    }
}
