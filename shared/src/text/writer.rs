//! Words and tags become lines of text.

use htmlize::unescape;

use super::tags::Tag;

/// Text under construction. White space is only noted, and written before the next word, so that the
/// text neither starts nor ends with it.
#[derive(Default)]
pub(super) struct TextWriter {
    out: String,
    /// Line ends before the next word: 1 starts a line, 2 leaves an empty line between.
    lines: usize,
    /// Whether a space comes before the next word.
    space: bool,
    /// The dash or number of a list item, before the next word.
    mark: Option<String>,
    preformatted: usize,
    /// The open lists. An ordered one has a counter.
    lists: Vec<Option<u32>>,
    /// The open link: its address, and the position of its first word.
    link: Option<(String, usize)>,
}

impl TextWriter {
    pub(super) fn words(&mut self, raw: &str) {
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

    pub(super) fn tag(&mut self, tag: &Tag) {
        match (tag.name.as_str(), tag.closing) {
            ("br" | "hr", _) => self.lines = (self.lines + 1).min(2),
            (
                "p" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "blockquote" | "table" | "figure",
                _,
            ) => {
                self.break_lines(2);
            }
            ("div" | "tr" | "section" | "article" | "header" | "footer" | "dt" | "dd", _)
            | ("li", true) => {
                self.break_lines(1);
            }
            ("pre", _) => self.preformatted_tag(tag.closing),
            ("ul" | "ol", _) => self.list_tag(tag),
            ("li", false) => self.start_item(),
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

    fn preformatted_tag(&mut self, closing: bool) {
        self.break_lines(2);
        // A closing tag too many must not make the rest of the message wrap differently.
        self.preformatted = if closing {
            self.preformatted.saturating_sub(1)
        } else {
            self.preformatted + 1
        };
    }

    fn list_tag(&mut self, tag: &Tag) {
        if tag.closing {
            self.lists.pop();
        }
        // A list inside a list stands close to its item, an outer one apart from the text.
        self.break_lines(if self.lists.is_empty() { 2 } else { 1 });
        if !tag.closing {
            self.lists.push((tag.name == "ol").then_some(0));
        }
    }

    fn start_item(&mut self) {
        self.break_lines(1);
        self.mark = Some(match self.lists.last_mut() {
            Some(Some(count)) => {
                *count += 1;
                format!("{count}. ")
            }
            _ => "- ".to_owned(),
        });
    }

    /// Adds the link's address, unless its words are the address.
    fn end_link(&mut self) {
        let Some((href, start)) = self.link.take() else {
            return;
        };
        let shown = self.out.get(start..).unwrap_or_default().trim();
        let is_shown = shown == href || href.strip_prefix("mailto:") == Some(shown);
        // Other schemes, such as `javascript:`, mean nothing to a reader.
        if ["https://", "http://", "mailto:"]
            .iter()
            .any(|scheme| href.starts_with(scheme))
            && !is_shown
        {
            let address = if shown.is_empty() {
                href
            } else {
                format!("({href})")
            };
            // The address follows its words, and a space that is already noted follows the address.
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

    pub(super) fn finish(self) -> String {
        self.out
    }
}
