//! The comments of Rust, Lua, shell and TOML.

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// Counted from 1.
    pub line: usize,
    /// Without the marks that begin it.
    pub text: String,
    /// `///` or `//!`.
    pub is_doc: bool,
}

/// The comments of a Rust file, a line each. Strings and characters are stepped over.
#[must_use]
pub fn of_rust(text: &str) -> Vec<Comment> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => line_comment(text, at, line, &mut found),
            b'/' if bytes[at..].starts_with(b"/*") => block_comment(text, at, line, &mut found),
            b'"' => string_end(bytes, at),
            b'r' => raw_string_end(bytes, at),
            b'\'' => character_end(bytes, at),
            _ => at + 1,
        };
        line += bytes[at..end].iter().filter(|byte| **byte == b'\n').count();
        at = end;
    }
    found
}

fn line_comment(text: &str, at: usize, line: usize, found: &mut Vec<Comment>) -> usize {
    let end = text[at..]
        .find('\n')
        .map_or(text.len(), |length| at + length);
    let comment = &text[at + 2..end];
    let is_doc = comment.starts_with('!') || comment.starts_with('/') && !comment.starts_with("//");
    let text = comment.trim_start_matches(['/', '!']).to_owned();
    found.push(Comment { line, text, is_doc });
    end
}

fn block_comment(text: &str, at: usize, line: usize, found: &mut Vec<Comment>) -> usize {
    let end = text[at..]
        .find("*/")
        .map_or(text.len(), |length| at + length + 2);
    for (n, text) in text[at..end].lines().enumerate() {
        let text = text.trim().trim_matches(['/', '*']).to_owned();
        found.push(Comment {
            line: line + n,
            text,
            is_doc: false,
        });
    }
    end
}

fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while end < bytes.len() && bytes[end] != b'"' {
        end += if bytes[end] == b'\\' { 2 } else { 1 };
    }
    (end + 1).min(bytes.len())
}

/// Past `r"…"` and `r#"…"#`. An `r` that begins no string is one byte of a word.
fn raw_string_end(bytes: &[u8], at: usize) -> usize {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let inside_word = at > 0 && is_word(bytes[at - 1]) && bytes[at - 1] != b'b';
    let hashes = bytes[at + 1..]
        .iter()
        .take_while(|byte| **byte == b'#')
        .count();
    let open = at + 1 + hashes;
    if inside_word || bytes.get(open) != Some(&b'"') {
        return at + 1;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    let rest = &bytes[open + 1..];
    rest.windows(close.len())
        .position(|window| window == close.as_bytes())
        .map_or(bytes.len(), |length| open + 1 + length + close.len())
}

/// Past a character. A lifetime has no second quote close by.
fn character_end(bytes: &[u8], at: usize) -> usize {
    if bytes.get(at + 1) == Some(&b'\\') {
        let close = bytes[at + 3..].iter().position(|byte| *byte == b'\'');
        return close.map_or(at + 1, |length| at + 3 + length + 1);
    }
    let close = bytes[at + 1..]
        .iter()
        .take(6)
        .skip(1)
        .position(|byte| *byte == b'\'');
    let is_character = close.is_some_and(|length| {
        std::str::from_utf8(&bytes[at + 1..at + 2 + length])
            .is_ok_and(|text| text.chars().count() == 1)
    });
    if is_character {
        at + close.map_or(1, |length| length + 3)
    } else {
        at + 1
    }
}

/// The comments of Lua, shell, make and TOML files: from their mark to the end of the line.
#[must_use]
pub fn of_script(path: &str, text: &str) -> Vec<Comment> {
    let mark = if path.ends_with(".lua") { "--" } else { "#" };
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.starts_with("#!"))
        .filter_map(|(n, line)| Some((n, script_comment(line, mark)?)))
        .map(|(n, text)| Comment {
            line: n + 1,
            text: text.to_owned(),
            is_doc: false,
        })
        .collect()
}

/// A mark counts at the start of a line, or after a blank where no string is open.
fn script_comment<'a>(line: &'a str, mark: &str) -> Option<&'a str> {
    line.match_indices(mark).find_map(|(at, _)| {
        let before = &line[..at];
        let is_open = |quote| before.matches(quote).count() % 2 == 1;
        let begins = before.is_empty() || before.ends_with([' ', '\t']);
        (begins && !is_open('"') && !is_open('\''))
            .then(|| line[at..].trim_start_matches(['-', '#']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_lifetimes_hold_no_comments() {
        let text = "//! a\nfn f<'a>(x: &'a str) { // b\n  g(\"// no\", '\"', r#\"// no\"#, b'\\''); }\n/// c";
        let found = of_rust(text);
        let texts: Vec<(usize, &str, bool)> = found
            .iter()
            .map(|comment| (comment.line, comment.text.trim(), comment.is_doc))
            .collect();
        assert_eq!(texts, [(1, "a", true), (2, "b", false), (4, "c", true)]);
    }

    #[test]
    fn a_script_comment_begins_outside_of_strings() {
        let text = "#!/bin/sh\n# one\necho \"a # b\" # two\nx=${1#y}";
        let found = of_script("x.sh", text);
        let texts: Vec<&str> = found.iter().map(|comment| comment.text.trim()).collect();
        assert_eq!(texts, ["one", "two"]);
    }
}
