//! HTML of a message as readable plain text.
//!
//! Anyone can write a message, so its depth and size must not matter. The text is made in one pass over
//! the bytes, without recursion. No markup survives, and the result is data and never markup again.

mod tags;
mod writer;

use htmlize::unescape;

use tags::{read_tag, skip_past_end};
use writer::TextWriter;

/// Elements whose content is not text for people.
const NOT_TEXT: [&str; 5] = ["script", "style", "head", "title", "template"];

/// Plain text of an HTML body: paragraphs as lines, list items with a dash, links with their address.
/// A body without any tag is plain text already.
#[must_use]
pub fn from_html(html: &str) -> String {
    if !html.contains('<') {
        return unescape(html).trim().to_owned();
    }
    let mut text = TextWriter::default();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        let (words, markup) = rest.split_at(at);
        text.words(words);
        rest = match read_tag(markup) {
            Some((tag, after)) => {
                text.tag(&tag);
                if !tag.closing && NOT_TEXT.contains(&tag.name.as_str()) {
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
