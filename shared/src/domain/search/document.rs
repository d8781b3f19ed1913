//! The words of a stored object.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{
    scope::{WordScope, filter_word},
    words::{Chunk, Piece, chunks, spaced_numbers},
};

/// An object's text that is searched and shown, in bytes. What is behind is not found.
pub const TEXT_BYTES: usize = 256 << 10;
/// Words with their places, in bytes. Postgres takes one mebibyte.
const MAX_BYTES: usize = 900 << 10;
/// The last place that Postgres tells apart, and the places that it keeps of one word.
const LAST_PLACE: u16 = 16_383;
const PLACES_OF_A_WORD: usize = 255;
/// Between two texts, so that no phrase begins in one and ends in the other.
const GAP: u16 = 8;
/// What a scope adds to each word, and what Postgres adds.
const WORD_OVERHEAD: usize = 7 + 8;

/// How much a word counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// A name, an address, an id, a title.
    Name,
    /// What says more about the object.
    Detail,
    /// What was written.
    Body,
}

/// The words of one object, with their places.
#[derive(Clone, Debug, Default)]
pub struct DocumentWords {
    words: BTreeMap<String, Vec<(u16, Weight)>>,
    place: u16,
    bytes: usize,
}

impl Weight {
    const fn letter(self) -> char {
        match self {
            Self::Name => 'A',
            Self::Detail => 'B',
            Self::Body => 'D',
        }
    }
}

impl DocumentWords {
    /// Adds a text behind those before.
    pub fn add(&mut self, text: &str, weight: Weight) {
        let chunks = chunks(text);
        let mut numbers = spaced_numbers(&chunks).into_iter().peekable();
        for (index, chunk) in chunks.iter().enumerate() {
            if let Some((_, number)) = numbers.next_if(|(range, _)| range.start == index) {
                self.put(number, weight);
            }
            self.add_chunk(chunk, weight);
        }
        self.place = self.place.saturating_add(GAP).min(LAST_PLACE);
    }

    /// Adds a quality that queries filter by.
    pub fn add_filter(&mut self, name: &str, value: &str) {
        let word = filter_word(name, value);
        self.bytes += word.len() + WORD_OVERHEAD;
        self.words.entry(word).or_default();
    }

    fn add_chunk(&mut self, chunk: &Chunk, weight: Weight) {
        for word in chunk.whole.iter().chain(&chunk.joined) {
            self.put(word.clone(), weight);
        }
        for piece in &chunk.pieces {
            match piece {
                Piece::Word(word) => {
                    self.put(word.clone(), weight);
                    self.go_on();
                }
                Piece::Unspaced(run) => {
                    // The last character alone, so that a query for it finds it.
                    for from in 0..run.len() {
                        let pair = run[from..].iter().take(2).collect();
                        self.put(pair, weight);
                        self.go_on();
                    }
                }
            }
        }
    }

    fn go_on(&mut self) {
        self.place = (self.place + 1).min(LAST_PLACE);
    }

    fn put(&mut self, word: String, weight: Weight) {
        if self.bytes + word.len() + WORD_OVERHEAD > MAX_BYTES {
            return;
        }
        let place = self.place + 1;
        let bytes = word.len() + WORD_OVERHEAD;
        let places = self.words.entry(word).or_insert_with(|| {
            self.bytes += bytes;
            Vec::new()
        });
        if places.len() < PLACES_OF_A_WORD && places.last().is_none_or(|(last, _)| *last < place) {
            self.bytes += 2;
            places.push((place.min(LAST_PLACE), weight));
        }
    }

    /// The words as Postgres reads a `tsvector`.
    #[must_use]
    pub fn literal(&self, scope: &WordScope) -> String {
        let prefix = scope.prefix();
        let mut literal = format!("'{prefix}:'");
        for (word, places) in &self.words {
            literal.push_str(" '");
            literal.push_str(&prefix);
            quote(word, &mut literal);
            literal.push('\'');
            for (number, (place, weight)) in places.iter().enumerate() {
                let sign = if number == 0 { ':' } else { ',' };
                // Writing to a string never fails.
                let _ = write!(literal, "{sign}{place}");
                if *weight != Weight::Body {
                    literal.push(weight.letter());
                }
            }
        }
        literal
    }
}

/// Writes a word as Postgres reads it between quotes.
pub(super) fn quote(word: &str, into: &mut String) {
    for char in word.chars() {
        if matches!(char, '\'' | '\\') {
            into.push(char);
        }
        into.push(char);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        TenantId,
        search::{Band, SearchKind},
    };

    fn literal(words: &DocumentWords) -> String {
        let scope = WordScope::new(TenantId::new(), SearchKind::Contact, Band::of_number(67));
        words.literal(&scope).replace(&scope.prefix(), "")
    }

    #[test]
    fn words_have_their_places_and_weights() {
        let mut words = DocumentWords::default();
        words.add("O'Neil Ada", Weight::Name);
        words.add("ada 退款了", Weight::Body);
        words.add_filter("tag", " VIP ");
        assert_eq!(
            literal(&words),
            "':' ':tag:vip' 'ada':3A,12 'neil':2A 'o':1A 'o''neil':1A '了':15 '款了':14 '退款':13"
        );
    }

    #[test]
    fn a_long_text_has_bounded_words() {
        let mut words = DocumentWords::default();
        let text: Vec<String> = (0..80_000).map(|number| format!("w{number}")).collect();
        words.add(&text.join(" "), Weight::Body);
        words.add(&"again ".repeat(20_000), Weight::Body);
        assert!(words.bytes <= MAX_BYTES + 600, "{}", words.bytes);
        assert!(words.words.len() > 20_000);
    }
}
