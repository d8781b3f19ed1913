//! The place of a text that a query is about.

use super::{folding::folded, query::SearchQuery, words::is_unspaced};

/// A text is looked through up to here, in bytes.
const LOOKED_THROUGH: usize = 64 << 10;
/// Characters that are shown before the first word that was found, and in all.
const BEFORE: usize = 60;
const SHOWN: usize = 240;

/// A piece of the text around the first word of the query, on one line. Its beginning if the text has none of the words.
#[must_use]
pub fn snippet(text: &str, query: &SearchQuery) -> String {
    let searched = &text[..text.floor_char_boundary(LOOKED_THROUGH)];
    let found = first_word(searched, query).unwrap_or(0);
    let before = text[..found].char_indices().rev().take(BEFORE).last();
    let mut start = before.map_or(0, |(at, _)| at);
    if start > 0 {
        // From a space on, unless there is none.
        start = text[start..found]
            .find(char::is_whitespace)
            .map_or(start, |space| start + space);
    }
    let shown = &text[start..];
    let end = shown
        .char_indices()
        .nth(SHOWN)
        .map_or(shown.len(), |(at, _)| {
            shown[..at]
                .rfind(char::is_whitespace)
                .filter(|space| start + space > found)
                .unwrap_or(at)
        });
    let words: Vec<&str> = shown[..end].split_whitespace().collect();
    let mut line = words.join(" ").replace(char::is_control, "");
    if start > 0 {
        line.insert(0, '…');
    }
    if end < shown.len() {
        line.push('…');
    }
    line
}

/// Where the first word of the query begins.
fn first_word(text: &str, query: &SearchQuery) -> Option<usize> {
    // Folding may change how long a character is, so each byte of the folded text knows where it comes from.
    let mut plain = String::with_capacity(text.len());
    let mut origins = Vec::with_capacity(text.len());
    for (at, char) in text.char_indices() {
        let mut bytes = [0; 4];
        plain.push_str(&folded(char.encode_utf8(&mut bytes)));
        origins.resize(plain.len(), at);
    }
    let places = query.shown_words().filter_map(|(word, is_beginning)| {
        let mut places = plain.match_indices(word).map(|(at, _)| at);
        places.find(|at| {
            let before = plain[..*at].chars().next_back();
            let behind = plain[at + word.len()..].chars().next();
            is_apart(before, word.chars().next())
                && (is_beginning || is_apart(word.chars().next_back(), behind))
        })
    });
    places.min().and_then(|at| origins.get(at).copied())
}

/// Whether two neighbouring characters are of two words.
fn is_apart(one: Option<char>, other: Option<char>) -> bool {
    let (Some(one), Some(other)) = (one, other) else {
        return true;
    };
    !(one.is_alphanumeric() && other.is_alphanumeric()) || is_unspaced(one) || is_unspaced(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, query: &str) -> String {
        snippet(text, &SearchQuery::read(query))
    }

    #[test]
    fn a_snippet_is_around_the_first_word() {
        let text = format!(
            "{}the Refund\nis late {}",
            "before ".repeat(50),
            "after ".repeat(80)
        );
        let snippet = of(&text, "refund");
        assert!(snippet.starts_with("…before "), "{snippet}");
        assert!(snippet.contains("the Refund is late after"), "{snippet}");
        assert!(snippet.ends_with("after…"), "{snippet}");
        assert!(snippet.chars().count() <= SHOWN + 2);
    }

    #[test]
    fn a_word_is_found_as_queries_find_it() {
        let long = "x ".repeat(200);
        for (word, query) in [
            ("Łódź", "lodz"),
            ("到账", "到账"),
            ("ISSUES", "issue"),
            ("ﬁle", "file"),
        ] {
            let snippet = of(&format!("{long}{word} {long}"), query);
            assert!(snippet.contains(word), "{snippet}");
        }
        assert!(!of(&format!("{long}reissue {long}"), "issue").contains("reissue"));
    }

    #[test]
    fn a_text_without_the_words_shows_its_beginning() {
        assert_eq!(of("One\ttwo\u{0}", "three"), "One two");
        assert_eq!(of("", "three"), "");
        let ends = of(&"字".repeat(1_000), "三");
        assert_eq!(ends.chars().count(), SHOWN + 1);
    }
}
