//! Splits a list in which one object is not JSON, such as one with `NaN` for a number.
//!
//! A parser stops at such an object, so the rest of its page would be lost in every walk. This module
//! splits the list at its commas instead and does not read the objects. The rest of the response must
//! still be JSON, else nothing is salvaged.

use std::ops::Range;

use super::items::MAX_ITEMS;

/// The items of the list that the body's object has under one of `names`, and the body without them.
pub(super) fn salvage<'a>(body: &'a str, names: &[&str]) -> Option<(Vec<&'a str>, String)> {
    let list = list(body, names)?;
    let items = items(&body[list.clone()])?;
    Some((
        items,
        format!("{}{}", &body[..list.start], &body[list.end..]),
    ))
}

/// The range of the list's inside.
fn list(body: &str, names: &[&str]) -> Option<Range<usize>> {
    let (mut depth, mut member, mut found) = (0_usize, None::<&str>, None);
    for token in tokens(body) {
        match token {
            // A value that is a text is taken for a name too, until the next name replaces it.
            Token::Text(text) if depth == 1 => member = Some(text),
            Token::Open(at) => {
                depth += 1;
                let is_list = depth == 2 && body.as_bytes()[at] == b'[';
                if is_list
                    && found.is_none()
                    && member.is_some_and(|member| names.contains(&member))
                {
                    found = Some(at + 1);
                }
            }
            Token::Close(at) => {
                depth = depth.checked_sub(1)?;
                if let (1, Some(from)) = (depth, found) {
                    return Some(from..at);
                }
            }
            Token::Comma(_) | Token::Text(_) => {}
        }
    }
    None
}

/// The items between the list's own commas. `None` if an item is empty or there are too many.
fn items(list: &str) -> Option<Vec<&str>> {
    let (mut depth, mut from, mut items) = (0_usize, 0, Vec::new());
    let ends = tokens(list).filter_map(|token| match token {
        Token::Open(_) => {
            depth += 1;
            None
        }
        Token::Close(_) => {
            depth = depth.saturating_sub(1);
            None
        }
        Token::Comma(at) => (depth == 0).then_some(at),
        Token::Text(_) => None,
    });
    for end in ends.chain([list.len()]) {
        let item = list[from..end].trim();
        // An empty item means that a comma was misread, and then no item can be trusted.
        if item.is_empty() || items.len() == MAX_ITEMS {
            return None;
        }
        items.push(item);
        from = end + 1;
    }
    Some(items)
}

/// A token that begins or ends a value.
enum Token<'a> {
    Open(usize),
    Close(usize),
    Comma(usize),
    /// The inside of a string, as it was sent.
    Text(&'a str),
}

fn tokens(text: &str) -> impl Iterator<Item = Token<'_>> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() {
            let here = at;
            at += 1;
            match bytes[here] {
                b'{' | b'[' => return Some(Token::Open(here)),
                b'}' | b']' => return Some(Token::Close(here)),
                b',' => return Some(Token::Comma(here)),
                b'"' => {
                    while at < bytes.len() && bytes[at] != b'"' {
                        at += if bytes[at] == b'\\' { 2 } else { 1 };
                    }
                    let end = at.min(bytes.len());
                    at = end + 1;
                    // A string without an end may stop inside a character, where `get` finds no text.
                    return text.get(here + 1..end).map(Token::Text);
                }
                _ => {}
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_cut_at_its_own_commas() {
        let body = r#"{"type":"list","data":[{"a":[1,2],"b":"x],\"},"} , {"n":NaN},{"e":"\x"}],"pages":{"data":[9]}}"#;
        let (items, rest) = salvage(body, &["data"]).unwrap();
        assert_eq!(
            items,
            [
                r#"{"a":[1,2],"b":"x],\"},"}"#,
                r#"{"n":NaN}"#,
                r#"{"e":"\x"}"#
            ]
        );
        assert_eq!(rest, r#"{"type":"list","data":[],"pages":{"data":[9]}}"#);
    }

    #[test]
    fn what_cannot_be_cut_is_not_salvaged() {
        for body in [
            "",
            "{",
            r#"{"data":[{"a":1}"#,
            r#"{"data":[1,]}"#,
            r#"{"data":[]}"#,
            r#"{"other":[NaN]}"#,
            r#"{"x":{"data":[NaN]}}"#,
            r#"{"data":{"data":[NaN]}}"#,
            r#"{"data":["é"#,
            "}]",
        ] {
            assert!(salvage(body, &["data"]).is_none(), "{body}");
        }
    }
}
