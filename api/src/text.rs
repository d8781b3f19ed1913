//! HTML of a message as readable plain text.
//!
//! One pass over the bytes and no recursion: message bodies are written by anybody, so depth and size
//! must not matter. Nothing of the markup survives, and the result is data, never markup again.

use htmlize::unescape;

/// Elements whose content is not text for people.
const UNREAD: [&str; 5] = ["script", "style", "head", "title", "template"];

/// Plain text of an HTML body: paragraphs as lines, list items with a dash, links with their address.
/// A body without any tag is taken as the plain text that it is.
#[must_use]
pub fn from_html(html: &str) -> String {
    let mut text = Text::default();
    if !html.contains('<') {
        return unescape(html).trim().to_owned();
    }
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        let (words, markup) = rest.split_at(at);
        text.words(words);
        rest = match read_tag(markup) {
            Some((tag, after)) => {
                text.tag(&tag);
                if !tag.closing && UNREAD.contains(&tag.name.as_str()) {
                    skip_past_end(after, &tag.name)
                } else {
                    after
                }
            }
            // A `<` that opens nothing is a character like any other.
            None => {
                text.words("&lt;");
                &markup[1..]
            }
        };
    }
    text.words(rest);
    text.finish()
}

/// A tag as far as text cares for it.
#[derive(Debug, Default)]
struct Tag {
    /// Lower case; empty for comments and declarations.
    name: String,
    closing: bool,
    /// `href` of a link, `alt` of an image.
    value: Option<String>,
}

/// Reads the tag that `markup` begins with, and what comes after it. `None` if none begins here.
fn read_tag(markup: &str) -> Option<(Tag, &str)> {
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
    let end = end_of_tag(named);
    let (tag, after) = named.split_at(end);
    let after = after.strip_prefix('>').unwrap_or(after);
    let name_length = tag
        .find(|c: char| c.is_ascii_whitespace() || c == '/')
        .unwrap_or(tag.len());
    let (name, attributes) = tag.split_at(name_length);
    let name = if first.is_ascii_alphabetic() {
        name.to_ascii_lowercase()
    } else {
        String::new()
    };
    let value = match name.as_str() {
        "a" => attribute(attributes, "href"),
        "img" => attribute(attributes, "alt"),
        _ => None,
    };
    Some((
        Tag {
            name,
            closing,
            value,
        },
        after,
    ))
}

/// Where the tag's `>` is: one inside quotes does not end it.
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
    // A quote that is never closed: the first `>` has to do.
    tag.find('>').unwrap_or(tag.len())
}

/// The value of an attribute, decoded. Attributes are few, so they are simply walked.
fn attribute(attributes: &str, wanted: &str) -> Option<String> {
    let mut rest = attributes.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
    while !rest.is_empty() {
        let name_end = rest
            .find(|c: char| c.is_ascii_whitespace() || c == '=')
            .unwrap_or(rest.len());
        let (name, after) = rest.split_at(name_end);
        let after = after.trim_start();
        let (value, after) = match after.strip_prefix('=').map(str::trim_start) {
            None => ("", after),
            Some(after) => match after.chars().next() {
                Some(quote @ ('"' | '\'')) => {
                    let inner = &after[1..];
                    let end = inner.find(quote).unwrap_or(inner.len());
                    (&inner[..end], inner.get(end + 1..).unwrap_or_default())
                }
                _ => after.split_at(
                    after
                        .find(|c: char| c.is_ascii_whitespace())
                        .unwrap_or(after.len()),
                ),
            },
        };
        if name.eq_ignore_ascii_case(wanted) {
            return Some(unescape(value).trim().to_owned());
        }
        // A stray `=` has an empty name: step over it, or the walk would stand still.
        let next = if name.is_empty() && after.len() == rest.len() {
            rest.get(1..).unwrap_or_default()
        } else {
            after
        };
        rest = next.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
    }
    None
}

/// What comes after `</name …>`; everything is swallowed when it never comes.
fn skip_past_end<'a>(after: &'a str, name: &str) -> &'a str {
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

/// Text under construction: white space is owed, and paid before the next word.
#[derive(Default)]
struct Text {
    out: String,
    /// Line ends owed: 1 a new line, 2 an empty line between.
    lines: usize,
    space: bool,
    /// In front of the next word: a list item's dash or number.
    mark: Option<String>,
    preformatted: usize,
    /// Open lists: a counter for an ordered one.
    lists: Vec<Option<u32>>,
    /// Open link: its address, and where its words begin.
    link: Option<(String, usize)>,
}

impl Text {
    fn words(&mut self, raw: &str) {
        let decoded = unescape(raw);
        if self.preformatted > 0 {
            for (at, line) in decoded.split('\n').enumerate() {
                if at > 0 {
                    self.lines = (self.lines + 1).min(2);
                }
                self.put(line.trim_end());
            }
            return;
        }
        let blank = |c: char| c.is_whitespace() || c == '\u{a0}';
        if decoded.starts_with(blank) {
            self.space = true;
        }
        for word in decoded.split(blank).filter(|word| !word.is_empty()) {
            self.put(word);
            self.space = true;
        }
        self.space = self.space && decoded.ends_with(blank);
    }

    fn tag(&mut self, tag: &Tag) {
        match (tag.name.as_str(), tag.closing) {
            ("br" | "hr", _) => self.lines = (self.lines + 1).min(2),
            (
                "p" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "blockquote" | "table" | "figure",
                _,
            ) => {
                self.break_lines(2);
            }
            ("div" | "tr" | "section" | "article" | "header" | "footer" | "dt" | "dd", _) => {
                self.break_lines(1);
            }
            ("pre", closing) => {
                self.break_lines(2);
                self.preformatted = if closing {
                    self.preformatted.saturating_sub(1)
                } else {
                    self.preformatted + 1
                };
            }
            ("ul" | "ol", false) => {
                self.break_lines(if self.lists.is_empty() { 2 } else { 1 });
                self.lists.push((tag.name == "ol").then_some(0));
            }
            ("ul" | "ol", true) => {
                self.lists.pop();
                self.break_lines(if self.lists.is_empty() { 2 } else { 1 });
            }
            ("li", false) => {
                self.break_lines(1);
                self.mark = Some(match self.lists.last_mut() {
                    Some(Some(count)) => {
                        *count += 1;
                        format!("{count}. ")
                    }
                    _ => "- ".to_owned(),
                });
            }
            ("li", true) => self.break_lines(1),
            ("td" | "th", _) => self.space = true,
            ("img", false) => {
                if let Some(alt) = tag.value.as_deref().filter(|alt| !alt.is_empty()) {
                    self.put(&format!("[{alt}]"));
                }
            }
            ("a", false) => self.link = tag.value.clone().map(|href| (href, self.out.len())),
            ("a", true) => self.end_link(),
            _ => {}
        }
    }

    /// Adds the address where the words do not already say it.
    fn end_link(&mut self) {
        let Some((href, begun)) = self.link.take() else {
            return;
        };
        let shown = self.out.get(begun..).unwrap_or_default().trim();
        let says_it = shown == href || href.strip_prefix("mailto:") == Some(shown);
        if ["https://", "http://", "mailto:"]
            .iter()
            .any(|scheme| href.starts_with(scheme))
            && !says_it
        {
            let address = if shown.is_empty() {
                href
            } else {
                format!("({href})")
            };
            let space = std::mem::replace(&mut self.space, !shown.is_empty());
            self.put(&address);
            self.space = space;
        }
    }

    fn break_lines(&mut self, lines: usize) {
        self.lines = self.lines.max(lines);
    }

    fn put(&mut self, words: &str) {
        if words.is_empty() {
            return;
        }
        if !self.out.is_empty() {
            if self.lines > 0 {
                self.out.push_str(&"\n".repeat(self.lines));
            } else if self.space {
                self.out.push(' ');
            }
        }
        (self.lines, self.space) = (0, false);
        if let Some(mark) = self.mark.take() {
            self.out.push_str(&mark);
        }
        self.out.push_str(words);
    }

    fn finish(self) -> String {
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::from_html;

    #[test]
    fn messages_read_as_they_look() {
        for (html, text) in [
            ("<p>Hi there</p>", "Hi there"),
            ("<p>One</p>\n<p>Two<br>three</p>", "One\n\nTwo\nthree"),
            ("<p>a <b>bold</b>, <i>it</i>alic</p>", "a bold, italic"),
            ("<div>a</div><div>b</div>", "a\nb"),
            ("<ul><li>x</li><li>y</li></ul><p>z</p>", "- x\n- y\n\nz"),
            ("<ol><li>x</li><li>y</li></ol>", "1. x\n2. y"),
            (
                "<p>fish &amp; chips&nbsp;&lt;now&gt; &eacute;&#128512;</p>",
                "fish & chips <now> é😀",
            ),
            (
                "<p>see <a href=\"https://x.test/a?b=1&amp;c=2\">this</a>.</p>",
                "see this (https://x.test/a?b=1&c=2).",
            ),
            (
                "<a href='https://x.test'>https://x.test</a>",
                "https://x.test",
            ),
            ("<a href=mailto:a@b.test>a@b.test</a>", "a@b.test"),
            ("<a href=\"javascript:alert(1)\">click</a>", "click"),
            ("<p>cat: <img src=x alt=\"a cat\"></p>", "cat: [a cat]"),
            ("<pre>a\n  b</pre>", "a\n  b"),
            (
                "<table><tr><td>1</td><td>2</td></tr><tr><td>3</td></tr></table>",
                "1 2\n3",
            ),
            ("plain\ntext &amp; lines", "plain\ntext & lines"),
            ("a < b and b > c", "a < b and b > c"),
            ("", ""),
        ] {
            assert_eq!(from_html(html), text, "{html}");
        }
    }

    #[test]
    fn code_and_comments_are_not_text() {
        for html in [
            "a<script>alert('</p>')</script>b",
            "a<STYLE>p{}</StYlE >b",
            "a<!-- <p>no</p> -->b",
            "<title>t</title>ab",
            "a<img title=\"x>y\">b",
        ] {
            assert_eq!(from_html(html), "ab", "{html}");
        }
    }

    #[test]
    fn broken_markup_ends_and_leaves_no_tag_behind() {
        for html in [
            "<",
            "</",
            "<p",
            "<p a=\"",
            "<a href",
            "<a =",
            "<a ==",
            "<!--",
            "<script>",
            "é<é",
            "<p a='>x",
            "<a href='é",
        ] {
            let text = from_html(html);
            assert!(text.len() <= html.len() * 2, "{html}: {text}");
        }
        assert_eq!(from_html("a<p title=\"never closed>b"), "a\n\nb");
    }

    #[test]
    fn depth_and_size_do_not_matter() {
        let deep = "<ul><li>".repeat(100_000) + "x";
        assert_eq!(from_html(&deep), "- x");
        let wide = "<a href=x>".repeat(100_000);
        assert_eq!(from_html(&wide), "");
    }
}
