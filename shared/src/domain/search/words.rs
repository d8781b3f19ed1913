//! Words of a text, in their order.

use std::ops::{Range, RangeInclusive};

use unicode_normalization::char::is_combining_mark;

use super::folding::folded;

/// Longer words are cut. Postgres takes 2,046 bytes, and no reader types as much.
const WORD_BYTES: usize = 200;
/// A number whose parts are joined has at least as many digits. Shorter ones would be found by chance.
const JOINED_DIGITS: RangeInclusive<usize> = 5..=30;

/// What stands between two spaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Chunk {
    /// In their order, each one place behind the one before.
    pub(super) pieces: Vec<Piece>,
    /// The chunk as it was written, if it has several pieces, such as an address.
    pub(super) whole: Option<String>,
    /// Its letters and digits without what parts them, if some are digits: an invoice's number.
    pub(super) joined: Vec<String>,
    /// Its digits, if it has nothing else: a part of a phone number.
    digits: Option<String>,
}

/// A word, or characters of a script that puts no space between words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Word(String),
    /// At least one character.
    Unspaced(Vec<char>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Word,
    Unspaced,
    Symbol,
    Between,
}

/// The chunks of a text that have any words.
pub(super) fn chunks(text: &str) -> Vec<Chunk> {
    text.split(|char: char| char.is_whitespace() || char.is_control())
        .map(Chunk::read)
        .filter(|chunk| !chunk.pieces.is_empty())
        .collect()
}

/// Chunks that make one number, such as a phone number that is written with spaces, and its digits.
pub(super) fn spaced_numbers(chunks: &[Chunk]) -> Vec<(Range<usize>, String)> {
    let mut numbers = Vec::new();
    let mut at = 0;
    while at < chunks.len() {
        let digits = chunks[at..]
            .iter()
            .map_while(|chunk| chunk.digits.as_deref());
        let parts: Vec<&str> = digits.collect();
        let number = parts.concat();
        if parts.len() > 1 && JOINED_DIGITS.contains(&number.len()) {
            numbers.push((at..at + parts.len(), number));
        }
        at += parts.len().max(1);
    }
    numbers
}

impl Chunk {
    fn read(text: &str) -> Self {
        let text = folded(text);
        let mut pieces: Vec<Piece> = Vec::new();
        let mut last = Class::Between;
        for char in text.chars() {
            let class = class(char);
            match (class, pieces.last_mut()) {
                (Class::Between, _) => {}
                (Class::Word, Some(Piece::Word(word))) if last == Class::Word => word.push(char),
                (Class::Unspaced, Some(Piece::Unspaced(run))) if last == Class::Unspaced => {
                    run.push(char);
                }
                (Class::Unspaced, _) => pieces.push(Piece::Unspaced(vec![char])),
                (Class::Word | Class::Symbol, _) => pieces.push(Piece::Word(char.to_string())),
            }
            last = class;
        }
        for piece in &mut pieces {
            if let Piece::Word(word) = piece {
                cut(word);
            }
        }
        let is_between = |char: char| class(char) == Class::Between;
        let whole = text.trim_matches(is_between);
        let is_made_of_words = pieces.len() > 1 && !pieces.iter().any(Piece::is_unspaced);
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let has_only_digits = !digits.is_empty()
            && text
                .chars()
                .all(|char| char.is_ascii_digit() || "+-./()".contains(char));
        let mut joined = Vec::new();
        if is_made_of_words && JOINED_DIGITS.contains(&digits.len()) {
            let letters: String = text.chars().filter(|char| !is_between(*char)).collect();
            if letters != digits && letters.len() <= WORD_BYTES {
                joined.push(letters);
            }
            joined.push(digits.clone());
        }
        let whole = (is_made_of_words && whole.len() <= WORD_BYTES).then(|| whole.to_owned());
        Self {
            pieces,
            whole,
            joined,
            digits: has_only_digits.then_some(digits),
        }
    }
}

impl Piece {
    const fn is_unspaced(&self) -> bool {
        matches!(self, Self::Unspaced(_))
    }
}

/// Cuts a word to the length at which it is stored.
pub(super) fn cut(word: &mut String) {
    word.truncate(word.floor_char_boundary(WORD_BYTES));
}

/// Whether a character is of a script that puts no space between words.
pub(super) fn is_unspaced(char: char) -> bool {
    class(char) == Class::Unspaced
}

fn class(char: char) -> Class {
    match char {
        // Kana and Han, then Thai and Lao, Myanmar, Khmer, and Han beyond the basic plane.
        '\u{2e80}'..='\u{2fdf}'
        | '\u{3005}'..='\u{3007}'
        | '\u{3041}'..='\u{309f}'
        | '\u{30a1}'..='\u{30ff}'
        | '\u{31f0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{0e01}'..='\u{0eff}'
        | '\u{1000}'..='\u{109f}'
        | '\u{1780}'..='\u{17ff}'
        | '\u{20000}'..='\u{3ffff}' => Class::Unspaced,
        // Arrows, signs and emoji.
        '\u{2190}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}' => Class::Symbol,
        char if char.is_alphanumeric() || is_combining_mark(char) => Class::Word,
        _ => Class::Between,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let pieces = chunks(text).into_iter().flat_map(|chunk| chunk.pieces);
        pieces
            .map(|piece| match piece {
                Piece::Word(word) => word,
                Piece::Unspaced(run) => format!("[{}]", String::from_iter(run)),
            })
            .collect()
    }

    #[test]
    fn texts_have_their_words() {
        for (text, expected) in [
            ("Refund, please!", "refund please"),
            ("  a\tb\u{0}c ", "a b c"),
            ("don't", "don t"),
            (
                "jane.doe+x@acme-corp.example",
                "jane doe x acme corp example",
            ),
            ("INV-2026-000123", "inv 2026 000123"),
            ("退款什么时候到账", "[退款什么时候到账]"),
            ("iPhone手机 ok", "iphone [手机] ok"),
            ("ขอบคุณ", "[ขอบคุณ]"),
            ("good 👍🏽", "good 👍 🏽"),
            ("हिन्दी", "हिन्दी"),
            ("— … “”", ""),
        ] {
            assert_eq!(words(text).join(" "), expected, "{text}");
        }
    }

    #[test]
    fn addresses_and_numbers_are_also_whole() {
        let chunk = &chunks("(INV-2026-000123).")[0];
        assert_eq!(chunk.whole.as_deref(), Some("inv-2026-000123"));
        assert_eq!(chunk.joined, ["inv2026000123", "2026000123"]);
        let address = &chunks("<Jane.Doe+x@acme.example>")[0];
        assert_eq!(address.whole.as_deref(), Some("jane.doe+x@acme.example"));
        assert!(address.joined.is_empty());
    }

    #[test]
    fn a_number_that_is_written_with_spaces_is_one() {
        let chunks = chunks("call +49 (30) 1234-5 now, or 7 or 12");
        assert_eq!(spaced_numbers(&chunks), [(1..4, "493012345".to_owned())]);
    }

    #[test]
    fn a_word_of_any_length_is_cut() {
        let words = words(&"ä".repeat(500));
        assert_eq!(words[0].len(), 200);
    }
}
