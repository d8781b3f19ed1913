//! Tags of HTML, as far as text needs them. Broken markup always has an end.

use htmlize::unescape;

/// The parts of a tag that matter to text.
#[derive(Debug, Default)]
pub(super) struct Tag {
    /// In lower case. Empty for comments and declarations.
    pub(super) name: String,
    pub(super) closing: bool,
    /// `href` of a link, `alt` of an image.
    pub(super) value: Option<String>,
}

/// The tag at the start of `markup`, and the rest after it. `None` if no tag starts here.
pub(super) fn read_tag(markup: &str) -> Option<(Tag, &str)> {
    let inner = &markup[1..];
    if let Some(comment) = inner.strip_prefix("!--") {
        let after = comment.find("-->").map_or("", |end| &comment[end + 3..]);
        return Some((Tag::default(), after));
    }
    let closing = inner.starts_with('/');
    let named = if closing { &inner[1..] } else { inner };
    let first = named.bytes().next()?;
    if !first.is_ascii_alphabetic() && first != b'!' && first != b'?' {
        return None;
    }
    let (tag, after) = named.split_at(end_of_tag(named));
    let after = after.strip_prefix('>').unwrap_or(after);
    // A declaration such as `<!doctype html>` is a tag without a name, which shows nothing.
    if !first.is_ascii_alphabetic() {
        return Some((Tag::default(), after));
    }
    let name_length = tag.find(is_separator).unwrap_or(tag.len());
    let (name, attributes) = tag.split_at(name_length);
    let name = name.to_ascii_lowercase();
    let value = match name.as_str() {
        "a" => attribute(attributes, "href"),
        "img" => attribute(attributes, "alt"),
        _ => None,
    };
    let tag = Tag {
        name,
        closing,
        value,
    };
    Some((tag, after))
}

/// The position of the tag's `>`. A `>` inside quotes does not end the tag.
fn end_of_tag(tag: &str) -> usize {
    let mut quote = None;
    for (at, byte) in tag.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return at,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    // The quote is never closed. Without this the rest of the message would count as the tag.
    tag.find('>').unwrap_or(tag.len())
}

/// The decoded value of an attribute. A tag has few attributes, so they are read one after another.
fn attribute(attributes: &str, name: &str) -> Option<String> {
    let mut rest = attributes.trim_start_matches(is_separator);
    while !rest.is_empty() {
        let (found, after) = split_before(rest, |c| c.is_ascii_whitespace() || c == '=');
        let after_name = after.trim_start();
        let (value, after) = match after_name.strip_prefix('=') {
            Some(after) => attribute_value(after.trim_start()),
            None => ("", after_name),
        };
        if found.eq_ignore_ascii_case(name) {
            return Some(unescape(value).trim().to_owned());
        }
        rest = after.trim_start_matches(is_separator);
    }
    None
}

/// The value at the start of `text`, with or without quotes, and the rest after it.
fn attribute_value(text: &str) -> (&str, &str) {
    match text.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let inner = &text[1..];
            let (value, after) = split_before(inner, |c| c == quote);
            (value, after.get(1..).unwrap_or_default())
        }
        _ => split_before(text, |c| c.is_ascii_whitespace()),
    }
}

fn split_before(text: &str, is_end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(is_end).unwrap_or(text.len()))
}

fn is_separator(c: char) -> bool {
    c.is_ascii_whitespace() || c == '/'
}

/// The rest after `</name …>`. Empty if the element never ends.
pub(super) fn skip_past_end<'a>(after: &'a str, name: &str) -> &'a str {
    let mut rest = after;
    while let Some(at) = rest.find("</") {
        let named = &rest[at + 2..];
        if named
            .get(..name.len())
            .is_some_and(|found| found.eq_ignore_ascii_case(name))
        {
            return named.find('>').map_or("", |end| &named[end + 1..]);
        }
        rest = named;
    }
    ""
}
